"""A resource with two keys is data: here one whose answers and calls are not those of a storage account."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rotation.errors import MovedElsewhere, Refused, RotationError, Unusable
from rotation.model import Job, RequestedAccess, SecretValue, Spec
from rotation.rotators.azure.rest import ApiClient, ApiResponse
from rotation.rotators.azure.table import Keyed, Slot
from rotation.rotators.azure.two_keys import TwoKeys
from tests.contract.harness_generated import NoTokens
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec

CACHE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Contoso.Cache/caches/orders-cache"
)
PLACES = {"primary": "primaryKey", "secondary": "secondaryKey"}
CACHES = Keyed(
    name="cache-key", what="cache", types={"contoso.cache/caches": ("[a-z-]+",)}, realm="cache",
    api_version="2024-11-01", role="Contoso Cache Contributor", regenerate="renewKey", body={"keyType": "{slot}"},
    slots=(Slot("primary", "primaryKey", "Primary"), Slot("secondary", "secondaryKey", "Secondary")),
)  # fmt: skip


class FakePlane(ApiClient):
    """A resource manager with one cache."""

    def __init__(self) -> None:
        super().__init__("Azure Resource Manager", "https://arm.example", NoTokens())
        self.kept = {"primaryKey": "p0", "secondaryKey": "s0"}
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.answer: ApiResponse | None = None

    async def post(self, over: Any, path: str, body: Mapping[str, Any], **query: str) -> ApiResponse:
        assert query == {"api-version": "2024-11-01"}
        self.asked.append((path, body))
        if path.endswith("/renewKey"):
            self.kept[PLACES[body["keyType"].lower()]] = "new"
        return self.answer or ApiResponse(200, self.kept)


def job(spec: Spec, slot: str = "primary") -> Job:
    class Claims:
        def requested_access(self, spec: Spec, _secret: object) -> RequestedAccess:
            target, _ = TwoKeys(CACHES, FakePlane()).target(spec)
            return RequestedAccess((target,), CACHES.both, current_slot=None, form="plain", confidential=())

    made: Any = Claims()
    return make_job(made, spec, make_secret("p0"), slot)


SPEC = make_spec("cache-key", target=CACHE)
OVER: Any = None


async def test_its_own_calls_and_answers_are_used() -> None:
    plane = FakePlane()
    two = TwoKeys(CACHES, plane)
    listed = await two.listed(OVER, job(SPEC))
    assert two.slot_of(SecretValue("s0"), listed, job(SPEC)) == "secondary"
    assert two.slot_of(SecretValue("x"), listed, job(SPEC)) is None
    made = await two.regenerate(OVER, job(SPEC), "secondary")
    assert made is not None
    assert made.value == SecretValue("new")
    assert plane.asked == [(f"{CACHE.lower()}/listKeys", {}), (f"{CACHE.lower()}/renewKey", {"keyType": "Secondary"})]


async def test_the_key_in_use_is_not_regenerated() -> None:
    plane = FakePlane()
    for slot in ("primary", "key1"):
        with pytest.raises(Refused, match="not regenerated"):
            await TwoKeys(CACHES, plane).regenerate(OVER, job(SPEC), slot)
    assert plane.asked == []


async def test_two_keys_that_are_the_same_tell_nothing() -> None:
    plane = FakePlane()
    plane.kept["secondaryKey"] = "p0"
    two = TwoKeys(CACHES, plane)
    with pytest.raises(Unusable, match="both keys of cache orders-cache are the same"):
        two.slot_of(SecretValue("p0"), await two.listed(OVER, job(SPEC)), job(SPEC))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ApiResponse(200, {"keys": []}), "can't be understood"),
        (ApiResponse(200, {"primaryKey": 7}), "can't be understood"),
        (ApiResponse(403, {}), "give it Contoso Cache Contributor"),
        (ApiResponse(404, {}), "there is no cache orders-cache"),
        (ApiResponse(412, {}), "cache orders-cache is being changed by another request"),
        (ApiResponse(418, {}), "answered 418"),
    ],
)
async def test_answers_that_are_of_no_use_are_refused_in_words(answer: ApiResponse, words: str) -> None:
    plane = FakePlane()
    plane.answer = answer
    with pytest.raises(RotationError, match=words):
        await TwoKeys(CACHES, plane).listed(OVER, job(SPEC))


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (replace(SPEC, target=None), "target"),
        (replace(SPEC, target="orders-cache"), "target"),
        (replace(SPEC, slots=("key1", "key2")), "slots"),
    ],
)
def test_tags_that_name_none_are_refused(spec: Spec, field: str) -> None:
    with pytest.raises(Unusable) as refused:
        TwoKeys(CACHES, FakePlane()).target(spec)
    assert refused.value.field == field


def test_the_other_slot_is_known_only_when_one_is_in_use() -> None:
    two = TwoKeys(CACHES, FakePlane())
    assert two.other_slot(job(SPEC)) == "secondary"
    with pytest.raises(Unusable, match="nothing proved yet"):
        two.other_slot(job(SPEC, slot=""))


def test_nothing_is_changed_where_another_resource_was_proven() -> None:
    two = TwoKeys(CACHES, FakePlane())
    two.check_realm(replace(job(SPEC), realm="cache:orders-cache"))
    with pytest.raises(MovedElsewhere):
        two.check_realm(replace(job(SPEC), realm="cache:other"))
