"""Which of an account's keys a value is, by the account's own word, and that it is the account that was proven."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from local.azure.faults import Fault, Kind
from local.certificates import Certificates
from rotation.errors import MovedElsewhere, NotYet, Refused, Rejected, RotationError, Unreachable, Unusable
from rotation.model import Credential, Draft, Job, Proof, SecretValue
from rotation.rotators.azure.storage_key import StorageKey
from tests.contract.harness_storage_key import connection_string
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec
from tests.local_azure import ACCOUNT, Place, opened


@pytest.fixture
async def place(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with opened(tmp_path, certificates, monkeypatch) as running:
        yield running


@pytest.fixture
def rotator(place: Place) -> StorageKey:
    return StorageKey(place.services)


def job_for(rotator: StorageKey, value: str, tagged: str | None = None) -> Job:
    """With no slot known, as the engine asks for a proof."""
    return make_job(rotator, make_spec("storage-key", target=ACCOUNT, current_slot=tagged), make_secret(value), "")


@pytest.mark.parametrize("tagged", [None, "key1", "key2", "kerb1"])
@pytest.mark.parametrize("slot", ["key1", "key2"])
async def test_the_account_says_which_key_it_is_and_no_tag(
    place: Place, rotator: StorageKey, slot: str, tagged: str | None
) -> None:
    key = place.azure.arm.keys(ACCOUNT)[slot]
    before = place.azure.arm.keys(ACCOUNT)
    for value in (key, connection_string(key)):
        assert await rotator.prove(job_for(rotator, value, tagged)) == Proof(slot, "storage:stdemo")
    assert place.azure.arm.keys(ACCOUNT) == before


async def test_one_account_is_the_same_under_whatever_id(place: Place, rotator: StorageKey) -> None:
    spec = make_spec("storage-key", target=ACCOUNT.upper().replace("STDEMO", "stdemo"))
    key = place.azure.arm.keys(ACCOUNT)["key2"]
    assert (await rotator.prove(make_job(rotator, spec, make_secret(key), ""))).realm == "storage:stdemo"


async def test_a_key_that_the_account_does_not_list_is_rejected(place: Place, rotator: StorageKey) -> None:
    key = place.azure.arm.keys(ACCOUNT)["key1"]
    with pytest.raises(Rejected, match="none of the keys"):
        await rotator.prove(job_for(rotator, key.swapcase()))
    job = job_for(rotator, place.azure.arm.keys(ACCOUNT)["key2"])
    await rotator.retire(replace(job, current=Credential(SecretValue(key), "key1")), "key2")
    with pytest.raises(Rejected):
        await rotator.prove(job)


async def test_two_keys_that_are_the_same_prove_nothing(place: Place, rotator: StorageKey) -> None:
    account = place.azure.plane.store.get("account", ACCOUNT) or {}
    account["keys"]["key2"]["value"] = account["keys"]["key1"]["value"]
    place.azure.plane.store.put("account", ACCOUNT, account)
    with pytest.raises(Unusable, match="the same"):
        await rotator.prove(job_for(rotator, account["keys"]["key1"]["value"]))


async def test_a_listed_key_that_the_blob_service_refuses_is_not_proven(place: Place, rotator: StorageKey) -> None:
    place.azure.plane.propagation_s = 3600
    job = job_for(rotator, place.azure.arm.keys(ACCOUNT)["key1"])
    new = (
        await rotator.apply(replace(job, current=Credential(job.current.value, "key1")), Draft("key2", None))
    ).credential
    fresh = job_for(rotator, new.value.reveal())
    with pytest.raises(NotYet):
        await rotator.prove(fresh)
    place.later = timedelta(minutes=11)
    with pytest.raises(Rejected):
        await rotator.prove(fresh)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(Kind.DROP_BEFORE), Unreachable),
        (Fault(Kind.DROP_BEFORE, path="/blob/"), Unreachable),
        (Fault(Kind.STATUS, path="/blob/", status=503, code="ServerBusy"), Unreachable),
        (Fault(Kind.STATUS, path="/arm/", status=403, code="AuthorizationFailed"), Refused),
        (Fault(Kind.STATUS, path="/blob/", status=403, code="AuthorizationFailure"), Refused),
    ],
    ids=lambda one: one.code if isinstance(one, Fault) else None,
)
async def test_what_is_no_answer_about_the_key_is_no_rejection(
    place: Place, rotator: StorageKey, fault: Fault, error: type[RotationError]
) -> None:
    job = job_for(rotator, place.azure.arm.keys(ACCOUNT)["key1"])
    with place.fault(fault), pytest.raises(error) as raised:
        await rotator.prove(job)
    assert type(raised.value) is error


async def test_an_account_other_than_the_proven_one_is_not_changed(place: Place, rotator: StorageKey) -> None:
    before = place.azure.arm.keys(ACCOUNT)
    job = job_for(rotator, before["key1"])
    job = replace(job, current=Credential(job.current.value, "key1"), realm="storage:stother")
    with pytest.raises(MovedElsewhere):
        await rotator.apply(job, Draft("key2", None))
    with pytest.raises(MovedElsewhere):
        await rotator.retire(job, "key2")
    assert place.azure.arm.keys(ACCOUNT) == before
    proven = replace(job, realm="storage:stdemo")
    await rotator.verify(proven, (await rotator.apply(proven, Draft("key2", None))).credential)
