"""Storage keys, where the contract does not reach: tags, values, and what Azure answers on bad days."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.azure.faults import Fault, Kind
from local.certificates import Certificates
from rotation.errors import NotYet, Refused, Rejected, RotationError, Throttled, Unreachable, Unusable
from rotation.model import Credential, Draft, Job, SecretValue
from rotation.rotators.azure.rest import ApiClient, ApiResponse
from rotation.rotators.azure.storage_key import StorageKey
from tests.contract.harness_storage_key import connection_string
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec
from tests.local_azure import ACCOUNT, GROUP, SUBSCRIPTION, Place, opened

KEY = "A" * 86 + "=="


@pytest.fixture
async def place(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with opened(tmp_path, certificates, monkeypatch) as running:
        yield running


@pytest.fixture
def rotator(place: Place) -> StorageKey:
    return StorageKey(place.services)


@pytest.fixture
def job(place: Place, rotator: StorageKey) -> Job:
    key = place.azure.arm.keys(ACCOUNT)["key1"]
    return make_job(rotator, make_spec("storage-key", target=ACCOUNT), make_secret(key), "key1")


def status(code: int, azure_code: str = "SomeCode", *, path: str = "/arm/", **more: Any) -> Fault:
    return Fault(Kind.STATUS, path=path, status=code, code=azure_code, **more)


# tags and values


def test_the_target_is_claimed_in_lower_case(job: Job) -> None:
    assert job.access.targets == (ACCOUNT.lower(),)
    assert job.access.slots == ("key1", "key2")


@pytest.mark.parametrize(
    "target",
    [
        None,
        "stdemo",
        "https://management.azure.com" + ACCOUNT,
        ACCOUNT + "/",
        ACCOUNT + "/blobServices/default",
        ACCOUNT + "?x=1",
        ACCOUNT + "#x",
        ACCOUNT + "%2f",
        ACCOUNT + "\n",
        ACCOUNT.replace("stdemo", "ST"),
        ACCOUNT.replace("stdemo", "st-demo"),
        ACCOUNT.replace("stdemo", "st\N{KELVIN SIGN}demo"),
        ACCOUNT.replace("Microsoft.Storage", "Microsoft.KeyVault"),
        ACCOUNT.replace("rg-Local.1", ".."),
        ACCOUNT.replace("rg-Local.1", "a..b"),
        ACCOUNT.replace("rg-Local.1", "rg."),
        ACCOUNT.replace("rg-Local.1", "rg/../rg"),
        ACCOUNT.replace(SUBSCRIPTION, "mine"),
        f"{GROUP}/*",
    ],
)
def test_a_target_that_is_no_storage_account_is_told(rotator: StorageKey, target: str | None) -> None:
    with pytest.raises(Unusable) as raised:
        rotator.requested_access(make_spec("storage-key", target=target), make_secret(KEY))
    assert raised.value.field == "target"


@pytest.mark.parametrize("slots", [("key1",), ("key1", "kerb1"), ("KEY1", "KEY2"), ("key1", "key2", "key3")])
def test_slots_that_are_not_the_two_keys_are_told(rotator: StorageKey, slots: tuple[str, ...]) -> None:
    with pytest.raises(Unusable) as raised:
        rotator.requested_access(make_spec("storage-key", target=ACCOUNT, slots=slots), make_secret(KEY))
    assert raised.value.field == "slots"


def test_the_tag_slot_is_not_believed(rotator: StorageKey) -> None:
    spec = make_spec("storage-key", target=ACCOUNT, current_slot="key2")
    assert rotator.requested_access(spec, make_secret(KEY)).current_slot is None


def test_a_connection_string_of_another_account_is_told(rotator: StorageKey) -> None:
    value = connection_string(KEY).replace("stdemo", "stother")
    with pytest.raises(Unusable, match="AccountName") as raised:
        rotator.requested_access(make_spec("storage-key", target=ACCOUNT), make_secret(value))
    assert raised.value.field == "value"


@pytest.mark.parametrize(("current", "other"), [("key1", "key2"), ("key2", "key1")])
def test_the_keys_take_turns(rotator: StorageKey, job: Job, current: str, other: str) -> None:
    assert rotator.draft(replace(job, current=Credential(job.current.value, current))) == Draft(other, None)


@pytest.mark.parametrize("slot", ["", "key3", "0" * 32])
def test_without_a_proven_key_none_is_drafted_since_it_might_be_in_use(
    rotator: StorageKey, job: Job, slot: str
) -> None:
    with pytest.raises(Unusable):
        rotator.draft(replace(job, current=Credential(job.current.value, slot)))


def test_the_order_of_slots_may_be_turned_round(rotator: StorageKey) -> None:
    spec = make_spec("storage-key", target=ACCOUNT, slots=("key2", "key1"))
    assert rotator.requested_access(spec, make_secret(KEY)).slots == ("key2", "key1")


async def test_of_a_connection_string_nothing_but_the_key_changes(place: Place, rotator: StorageKey) -> None:
    before = "AccountKey={};DefaultEndpointsProtocol=https;ACCOUNTNAME=stdemo;EndpointSuffix=core.windows.net;"
    value = before.format(place.azure.arm.keys(ACCOUNT)["key1"])
    job = make_job(rotator, make_spec("storage-key", target=ACCOUNT), make_secret(value), "key1")
    new = (await rotator.apply(job, rotator.draft(job))).credential
    assert new.value.reveal() == before.format(place.azure.arm.keys(ACCOUNT)["key2"])


# what must never happen


async def test_the_key_in_use_is_never_regenerated(place: Place, rotator: StorageKey, job: Job) -> None:
    before = place.azure.arm.keys(ACCOUNT)
    with pytest.raises(Refused, match="in use"):
        await rotator.apply(job, Draft("key1", None))
    with pytest.raises(Refused, match="in use"):
        await rotator.retire(job, "key1")
    with pytest.raises(Refused, match="no key"):
        await rotator.retire(job, "kerb1")
    assert place.azure.arm.keys(ACCOUNT) == before


async def test_a_lost_answer_is_not_taken_for_a_refusal_nor_sent_again(
    place: Place, rotator: StorageKey, job: Job
) -> None:
    before = place.azure.arm.keys(ACCOUNT)
    with place.fault(Fault(Kind.DROP_AFTER, path="/regenerateKey")) as fault, pytest.raises(Unreachable):
        await rotator.apply(job, rotator.draft(job))
    assert fault.struck == 1
    assert place.azure.arm.keys(ACCOUNT)["key2"] != before["key2"]
    new = (await rotator.apply(replace(job, resumed=True), rotator.draft(job))).credential
    await rotator.verify(job, new)


async def test_a_staged_value_that_is_no_longer_the_key_is_not_published(
    place: Place, rotator: StorageKey, job: Job
) -> None:
    stale = SecretValue(place.azure.arm.keys(ACCOUNT)["key2"])
    await rotator.retire(job, "key2")
    new = (await rotator.apply(job, Draft("key2", stale))).credential
    assert new.value != stale
    await rotator.verify(job, new)


@pytest.mark.parametrize(("method", "code"), [("POST", 307), ("POST", 308), ("GET", 302), ("GET", 307)])
async def test_a_redirect_is_not_followed(place: Place, rotator: StorageKey, job: Job, method: str, code: int) -> None:
    elsewhere = {"Location": f"{place.azure.plane.url}/blob/elsewhere/"}
    answered = status(code, method=method, headers=elsewhere)
    trap = Fault(Kind.DROP_BEFORE, path="elsewhere")
    with place.fault(trap), place.fault(answered), pytest.raises(Refused, match=str(code)):
        await rotator.verify(job, job.current)
    assert trap.struck == 0


# verify


async def test_a_new_key_that_is_not_accepted_everywhere_is_neither_right_nor_wrong(
    place: Place, rotator: StorageKey, job: Job
) -> None:
    place.azure.plane.propagation_s = 3600
    new = (await rotator.apply(job, rotator.draft(job))).credential
    with pytest.raises(NotYet) as raised:
        await rotator.verify(job, new)
    assert raised.value.retry_after_s
    place.later = timedelta(minutes=11)
    with pytest.raises(Rejected):
        await rotator.verify(job, new)
    place.azure.plane.propagation_s = 0
    await rotator.verify(job, new)


async def test_an_account_that_allows_no_keys_is_told(place: Place, rotator: StorageKey, job: Job) -> None:
    place.azure.arm.add_account(ACCOUNT, allow_shared_key=False)
    with pytest.raises(Refused, match="allowSharedKeyAccess"):
        await rotator.verify(job, job.current)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (status(403, "KeyBasedAuthenticationNotPermitted", path="/blob/"), Refused, "allowSharedKeyAccess"),
        (status(403, "AuthorizationFailure", path="/blob/"), Refused, "firewall"),
        (status(404, "ResourceNotFound", path="/blob/"), Refused, "404"),
        (status(302, "Moved", path="/blob/", headers={"Location": "https://localhost:1/"}), Refused, "302"),
        (status(429, "ServerBusy", path="/blob/"), Throttled, "too many"),
        (status(503, "ServerBusy", path="/blob/"), Unreachable, "503"),
        (Fault(Kind.DROP_BEFORE, path="/blob/"), Unreachable, "did not answer"),
    ],
    ids=lambda one: one.code if isinstance(one, Fault) else None,
)
async def test_what_the_blob_service_answers_is_told_apart(
    place: Place, rotator: StorageKey, job: Job, fault: Fault, error: type[RotationError], words: str
) -> None:
    with place.fault(fault), pytest.raises(error, match=words) as raised:
        await rotator.verify(job, job.current)
    assert type(raised.value) is error


async def test_a_firewall_is_not_taken_for_a_wrong_key(place: Place, rotator: StorageKey, job: Job) -> None:
    place.azure.arm.add_account(ACCOUNT, firewall=True)
    with pytest.raises(Refused, match="firewall") as raised:
        await rotator.verify(job, job.current)
    assert not isinstance(raised.value, Rejected)


# what the resource manager answers


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (status(400, "BadRequest"), Refused, "400 BadRequest"),
        (status(401, "ExpiredAuthenticationToken"), Refused, "managed identity"),
        (status(403, "AuthorizationFailed"), Refused, "Storage Account Key Operator Service Role and Reader"),
        (status(404, "ResourceNotFound"), Refused, "tag target"),
        (status(408, "Timeout"), Unreachable, "408"),
        (status(409, "OperationInProgress"), Unreachable, "409"),
        (status(409, "ScopeLocked"), Refused, "lock"),
        (status(429, "TooManyRequests"), Throttled, "too many"),
        (status(500, "InternalServerError"), Unreachable, "500"),
        (Fault(Kind.DROP_BEFORE), Unreachable, "did not answer"),
    ],
    ids=lambda one: one.code if isinstance(one, Fault) else None,
)
async def test_what_the_resource_manager_answers_is_told_apart(
    place: Place, rotator: StorageKey, job: Job, fault: Fault, error: type[RotationError], words: str
) -> None:
    before = place.azure.arm.keys(ACCOUNT)
    with place.fault(fault):
        for call in (
            rotator.apply(job, rotator.draft(job)),
            rotator.verify(job, job.current),
            rotator.retire(job, "key2"),
        ):
            with pytest.raises(error, match=words) as raised:
                await call
            assert type(raised.value) is error
            assert "Asked for" not in raised.value.message, "a foreign text was copied"
    assert place.azure.arm.keys(ACCOUNT) == before


async def test_a_throttled_call_says_when_to_come_back(place: Place, rotator: StorageKey, job: Job) -> None:
    with place.fault(status(429, headers={"Retry-After": "17"})) as fault, pytest.raises(Throttled) as raised:
        await rotator.verify(job, job.current)
    assert raised.value.retry_after_s == 17
    assert fault.struck == 1


@pytest.mark.parametrize(("times", "works"), [(2, True), (3, False)])
async def test_what_only_reads_is_tried_again_a_few_times(
    place: Place, rotator: StorageKey, job: Job, times: int, works: bool
) -> None:
    with place.fault(status(503, path="/arm/", method="GET", times=times)):
        if works:
            await rotator.verify(job, job.current)
        else:
            with pytest.raises(Unreachable):
                await rotator.verify(job, job.current)


async def test_what_says_when_to_come_back_is_not_asked_before(place: Place, rotator: StorageKey, job: Job) -> None:
    with place.fault(status(503, method="GET", headers={"Retry-After": "60"})) as fault:
        with pytest.raises(Unreachable) as raised:
            await rotator.verify(job, job.current)
        assert raised.value.retry_after_s == 60
        assert fault.struck == 1


async def test_an_account_that_does_not_exist_is_told(rotator: StorageKey, job: Job) -> None:
    gone = replace(job, access=replace(job.access, targets=(ACCOUNT.lower() + "2",)))
    with pytest.raises(Refused, match="no storage account stdemo2") as raised:
        await rotator.retire(gone, "key2")
    assert raised.value.field == "target"


def answering(monkeypatch: pytest.MonkeyPatch, verb: str, body: Mapping[str, Any]) -> None:
    async def answer(
        _plane: ApiClient, _over: aiohttp.ClientSession, _path: str, *_: object, **_query: str
    ) -> ApiResponse:
        return ApiResponse(200, body)

    monkeypatch.setattr(ApiClient, verb, answer)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"keys": None},
        {"keys": [{"keyName": "key2"}]},
        {"keys": [{"keyName": "key2", "value": "x", "creationTime": "soon"}]},
        {"keys": []},
    ],
)
async def test_an_answer_without_the_new_key_is_refused(
    rotator: StorageKey, job: Job, monkeypatch: pytest.MonkeyPatch, body: Mapping[str, Any]
) -> None:
    answering(monkeypatch, "post", body)
    with pytest.raises(Refused):
        await rotator.apply(job, rotator.draft(job))


@pytest.mark.parametrize(
    "properties", [{}, {"primaryEndpoints": {}}, {"primaryEndpoints": {"blob": "http://stdemo.blob.core.windows.net/"}}]
)
async def test_a_key_is_proven_over_https_alone(
    rotator: StorageKey, job: Job, monkeypatch: pytest.MonkeyPatch, properties: Mapping[str, Any]
) -> None:
    answering(monkeypatch, "get", {"properties": properties})
    with pytest.raises(Refused, match="https"):
        await rotator.verify(job, job.current)


async def test_a_key_of_unknown_age_that_is_refused_is_wrong(
    place: Place, rotator: StorageKey, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = job.current.value.reveal()
    answering(monkeypatch, "post", {"keys": [{"keyName": "key1", "value": key, "creationTime": None}]})
    with place.fault(status(403, "AuthenticationFailed", path="/blob/")), pytest.raises(Rejected):
        await rotator.verify(job, job.current)
