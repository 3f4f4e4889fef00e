"""Client secrets of an application, where the contract does not reach: tags, delays, orphans, bad days."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.azure.faults import Fault, Kind
from local.certificates import Certificates
from rotation.errors import NotYet, Refused, Rejected, RotationError, Throttled, Unreachable, Unusable
from rotation.model import Credential, Draft, Job, SecretRef, SecretValue
from rotation.rotators.azure.entra_app_secret import EntraAppSecret
from rotation.rotators.azure.rest import ApiClient, ApiResponse
from tests.contract.harness_entra import as_json
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec
from tests.local_azure import APPLICATION, CLIENT_ID, Place, opened

UNKNOWN = "99999999-9999-4999-8999-999999999999"
SECRET = "abC8Q~" + "x" * 34


@pytest.fixture
async def place(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with opened(tmp_path, certificates, monkeypatch) as running:
        yield running


@pytest.fixture
def rotator(place: Place) -> EntraAppSecret:
    return EntraAppSecret(place.services)


def job_for(place: Place, rotator: EntraAppSecret, **more: Any) -> Job:
    """To replace a secret that is made for it."""
    added = place.azure.graph.add_secret(APPLICATION, "made by hand", **more)
    spec = make_spec("entra-app-secret", target=APPLICATION)
    return make_job(rotator, spec, make_secret(added["secretText"]), added["keyId"])


@pytest.fixture
def job(place: Place, rotator: EntraAppSecret) -> Job:
    return job_for(place, rotator)


def listed(place: Place) -> dict[str, dict[str, Any]]:
    """The secrets that the application has, by key id."""
    application = place.azure.plane.store.get("application", APPLICATION) or {}
    return {one["keyId"]: one for one in application["passwords"] if not one["removed"]}


def status(code: int, azure_code: str = "SomeCode", *, path: str = "/graph/", **more: Any) -> Fault:
    return Fault(Kind.STATUS, path=path, status=code, code=azure_code, **more)


# tags and values


@pytest.mark.parametrize("target", [None, "orders", APPLICATION + "/", "../" + APPLICATION, APPLICATION + "\n"])
def test_a_target_that_is_no_object_id_is_told(rotator: EntraAppSecret, target: str | None) -> None:
    with pytest.raises(Unusable, match="object id") as raised:
        rotator.requested_access(make_spec("entra-app-secret", target=target), make_secret(SECRET))
    assert raised.value.field == "target"


def test_the_id_is_claimed_in_lower_case_and_the_tag_slot_is_not_believed(rotator: EntraAppSecret) -> None:
    spec = make_spec("entra-app-secret", target=APPLICATION.upper(), current_slot=UNKNOWN.upper())
    access = rotator.requested_access(spec, make_secret(SECRET))
    assert (access.targets, access.slots, access.current_slot) == ((APPLICATION,), (), None)


async def test_a_value_that_names_another_client_is_told(rotator: EntraAppSecret, job: Job) -> None:
    value = as_json(job.current.value.reveal())
    await rotator.verify(job, Credential(SecretValue(value), job.current.slot))
    with pytest.raises(Unusable, match="client id") as raised:
        await rotator.verify(job, Credential(SecretValue(value.replace(CLIENT_ID, UNKNOWN)), job.current.slot))
    assert raised.value.field == "value"


def test_nothing_is_drafted(rotator: EntraAppSecret, job: Job) -> None:
    assert rotator.draft(job) == Draft(None, None)


# apply


async def test_a_new_secret_says_whose_it_is_and_outlives_its_version(
    place: Place, rotator: EntraAppSecret, job: Job
) -> None:
    new = (await rotator.apply(job, Draft(None, None))).credential
    made = listed(place)[new.slot]
    assert made["displayName"].startswith("keyturn ")
    assert made["displayName"].endswith(job.operation_id)
    life = datetime.fromisoformat(made["endDateTime"]) - datetime.now(UTC)
    assert timedelta(days=119) < life <= timedelta(days=120), "90 days of validity, and 30 of lead"


async def test_no_secret_is_dropped_by_a_repetition(place: Place, rotator: EntraAppSecret, job: Job) -> None:
    first = (await rotator.apply(job, Draft(None, None))).credential
    second = (await rotator.apply(replace(job, resumed=True), Draft(None, None))).credential
    assert listed(place).keys() == {job.current.slot, first.slot, second.slot}


async def test_a_staged_secret_that_was_removed_since_is_replaced(
    place: Place, rotator: EntraAppSecret, job: Job
) -> None:
    staged = (await rotator.apply(job, Draft(None, None))).credential
    await rotator.retire(job, staged.slot)
    new = (await rotator.apply(replace(job, resumed=True), Draft(staged.slot, staged.value))).credential
    assert new.slot != staged.slot
    await rotator.verify(job, new)


async def test_a_lost_answer_is_not_sent_again(place: Place, rotator: EntraAppSecret, job: Job) -> None:
    with place.fault(Fault(Kind.DROP_AFTER, path="addPassword")) as fault, pytest.raises(Unreachable):
        await rotator.apply(job, Draft(None, None))
    assert fault.struck == 1
    assert len(listed(place)) == 2


# verify


async def test_a_new_secret_that_is_not_accepted_everywhere_is_neither_right_nor_wrong(
    place: Place, rotator: EntraAppSecret, job: Job
) -> None:
    place.azure.plane.propagation_s = 3600
    new = (await rotator.apply(job, Draft(None, None))).credential
    with pytest.raises(NotYet) as raised:
        await rotator.verify(job, new)
    assert raised.value.retry_after_s
    place.later = timedelta(minutes=11)
    with pytest.raises(Rejected):
        await rotator.verify(job, new)
    place.azure.plane.propagation_s = 0
    await rotator.verify(job, new)


async def test_a_new_secret_beside_expired_ones_is_not_yet_accepted_either(
    place: Place, rotator: EntraAppSecret
) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    job = job_for(place, rotator, start=past - timedelta(days=1), end=past)
    with pytest.raises(Rejected, match="expired"):
        await rotator.verify(job, job.current)
    new = (await rotator.apply(job, Draft(None, None))).credential
    store = place.azure.plane.store
    application = store.get("application", APPLICATION) or {}
    application["passwords"][1]["made"] = "2999-01-01T00:00:00Z"  # not known to those who check logins
    store.put("application", APPLICATION, application)
    with pytest.raises(NotYet):
        await rotator.verify(job, new)


async def test_a_new_secret_that_graph_does_not_show_yet_is_not_rejected(rotator: EntraAppSecret, job: Job) -> None:
    with pytest.raises(NotYet):
        await rotator.verify(job, Credential(SecretValue(SECRET), UNKNOWN))
    with pytest.raises(Rejected):
        await rotator.verify(job, Credential(job.current.value, UNKNOWN))


async def test_a_secret_of_another_key_id_is_rejected(rotator: EntraAppSecret, job: Job) -> None:
    new = (await rotator.apply(job, Draft(None, None))).credential
    with pytest.raises(Rejected, match="key id"):
        await rotator.verify(job, Credential(job.current.value, new.slot))


async def test_an_application_without_a_service_principal_is_told(
    place: Place, rotator: EntraAppSecret, job: Job
) -> None:
    place.azure.graph.add_application(APPLICATION, CLIENT_ID, principal=False)
    with pytest.raises(Refused, match="AADSTS7000229") as raised:
        await rotator.verify(job, job.current)
    assert not isinstance(raised.value, Rejected)


@pytest.mark.parametrize(
    "token",
    [
        "opaque",
        "a.!.c",
        f"a.{base64.urlsafe_b64encode(b'{}').decode()}.c",
        f"a.{base64.urlsafe_b64encode(b'[]').decode()}.c",
        f"a.{base64.urlsafe_b64encode(json.dumps({'tid': '../common'}).encode()).decode()}.c",
    ],
)
async def test_a_token_that_names_no_tenant_is_told(
    place: Place, rotator: EntraAppSecret, job: Job, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    shown = {"keyId": job.current.slot, "startDateTime": None, "endDateTime": None, "hint": None, "displayName": None}
    answering(monkeypatch, "get", {"appId": CLIENT_ID, "passwordCredentials": [shown]})
    place.tokens.fixed = token
    with pytest.raises(Refused, match="tenant"):
        await rotator.verify(job, job.current)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (status(400, "invalid", path="/login/"), Refused, "400 invalid"),
        (status(401, "invalid", path="/login/"), Refused, "service principal"),
        (status(429, path="/login/"), Throttled, "login service"),
        (status(503, path="/login/"), Unreachable, "login service"),
        (Fault(Kind.DROP_BEFORE, path="/login/"), Unreachable, "login service"),
    ],
    ids=lambda one: one.code if isinstance(one, Fault) else None,
)
async def test_what_the_login_service_answers_is_told_apart(
    place: Place, rotator: EntraAppSecret, job: Job, fault: Fault, error: type[RotationError], words: str
) -> None:
    with place.fault(fault), pytest.raises(error, match=words) as raised:
        await rotator.verify(job, job.current)
    assert type(raised.value) is error


# retire and orphans


async def test_a_secret_in_use_is_never_removed(place: Place, rotator: EntraAppSecret, job: Job) -> None:
    with pytest.raises(Refused, match="in use"):
        await rotator.retire(job, job.current.slot.upper())
    assert job.current.slot in listed(place)


async def test_removing_what_never_was_is_a_success(rotator: EntraAppSecret, job: Job) -> None:
    await rotator.retire(job, UNKNOWN)


async def test_a_removal_that_is_refused_is_no_success(place: Place, rotator: EntraAppSecret, job: Job) -> None:
    old = place.azure.graph.add_secret(APPLICATION)["keyId"]
    fault = status(400, "Request_BadRequest", path="removePassword")
    with place.fault(fault), pytest.raises(Refused, match="400 Request_BadRequest"):
        await rotator.retire(job, old)


async def test_orphans_are_what_a_secret_of_ours_added_and_no_version_names(
    place: Place, rotator: EntraAppSecret, job: Job
) -> None:
    orphan = (await rotator.apply(job, Draft(None, None))).credential
    known = (await rotator.apply(job, Draft(None, None))).credential
    others = replace(job, ref=SecretRef("kv-other", job.ref.name))
    await rotator.apply(others, Draft(None, None))
    soon = datetime.now(UTC) + timedelta(minutes=1)

    ours = frozenset({job.operation_id})

    async def found(before: datetime) -> list[str]:
        return list(await rotator.orphans(job, frozenset({known.slot.upper()}), before, ours))

    assert await found(soon) == [orphan.slot]
    assert await found(soon - timedelta(hours=1)) == []
    current = replace(job, current=orphan)
    assert await rotator.orphans(current, frozenset(), soon, ours) == [known.slot]
    await rotator.retire(job, orphan.slot)
    assert await found(soon) == []


async def test_a_secret_that_is_only_named_like_ours_is_left_alone(
    place: Place, rotator: EntraAppSecret, job: Job
) -> None:
    ours = (await rotator.apply(job, Draft(None, None))).credential
    prefix = listed(place)[ours.slot]["displayName"].removesuffix(job.operation_id)
    for name in (prefix, prefix + "f" * 24, prefix + job.operation_id + "0", prefix + job.operation_id.upper()):
        place.azure.graph.add_secret(APPLICATION, name)
    await rotator.apply(replace(job, operation_id="fedcba9876543210fedcba98"), Draft(None, None))
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert await rotator.orphans(job, frozenset(), soon, frozenset({job.operation_id, ""})) == [ours.slot]
    assert await rotator.orphans(job, frozenset(), soon, frozenset()) == []


# what Graph answers


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (status(400, "Request_BadRequest"), Refused, "400 Request_BadRequest"),
        (status(401, "InvalidAuthenticationToken"), Refused, "managed identity"),
        (status(403, "Authorization_RequestDenied"), Refused, r"Application\.ReadWrite\.OwnedBy"),
        (status(404, "Request_ResourceNotFound"), Refused, APPLICATION),
        (status(409, "Directory_ConcurrencyViolation"), Unreachable, "409"),
        (status(429, "TooManyRequests", headers={"Retry-After": "9"}), Throttled, "too many"),
        (status(503, "ServiceNotAvailable"), Unreachable, "503"),
    ],
    ids=lambda one: one.code if isinstance(one, Fault) else None,
)
async def test_what_graph_answers_is_told_apart(
    place: Place, rotator: EntraAppSecret, job: Job, fault: Fault, error: type[RotationError], words: str
) -> None:
    with place.fault(fault):
        for call in (
            rotator.apply(job, Draft(None, None)),
            rotator.verify(job, job.current),
            rotator.retire(job, UNKNOWN),
            rotator.orphans(job, frozenset(), datetime.now(UTC), frozenset()),
        ):
            with pytest.raises(error, match=words) as raised:
                await call
            assert type(raised.value) is error
            assert "Asked for" not in raised.value.message, "a foreign text was copied"
            assert raised.value.retry_after_s == (9 if error is Throttled else None)


async def test_an_application_that_does_not_exist_is_told(rotator: EntraAppSecret, job: Job) -> None:
    gone = replace(job, access=replace(job.access, targets=(UNKNOWN,)))
    with pytest.raises(Refused, match=UNKNOWN) as raised:
        await rotator.apply(gone, Draft(None, None))
    assert raised.value.field == "target"


def answering(monkeypatch: pytest.MonkeyPatch, verb: str, body: Mapping[str, Any]) -> None:
    async def answer(
        _plane: ApiClient, _over: aiohttp.ClientSession, _path: str, *_: object, **_query: str
    ) -> ApiResponse:
        return ApiResponse(200, body)

    monkeypatch.setattr(ApiClient, verb, answer)


@pytest.mark.parametrize("body", [{}, {"keyId": UNKNOWN}, {"keyId": 1, "secretText": "x"}, {"secretText": "x"}])
async def test_an_answer_that_does_not_tell_the_secret_is_refused(
    rotator: EntraAppSecret, job: Job, monkeypatch: pytest.MonkeyPatch, body: Mapping[str, Any]
) -> None:
    answering(monkeypatch, "post", body)
    with pytest.raises(Refused, match="did not return it"):
        await rotator.apply(job, Draft(None, None))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"appId": CLIENT_ID, "passwordCredentials": None},
        {"appId": CLIENT_ID, "passwordCredentials": [{}]},
        {"appId": CLIENT_ID, "passwordCredentials": [{"keyId": None}]},
        {"appId": CLIENT_ID, "passwordCredentials": [{"keyId": UNKNOWN, "endDateTime": "never"}]},
    ],
)
async def test_an_application_that_can_not_be_understood_is_told(
    rotator: EntraAppSecret, job: Job, monkeypatch: pytest.MonkeyPatch, body: Mapping[str, Any]
) -> None:
    answering(monkeypatch, "get", body)
    with pytest.raises(Refused, match="understood"):
        await rotator.verify(job, job.current)
