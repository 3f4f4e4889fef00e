"""Azure's lists may lag behind its writes: what is not shown yet is no rejection, and nothing is made twice for it.

Graph: "Microsoft Graph eventual consistency" in its best practices. The resource manager: reads of another region, see
"Throttling and consistency" there; a fault of the stand-in brings both about.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

from local.azure.faults import Fault, Kind
from local.azure.graph import LIFETIME
from local.certificates import Certificates
from local.tokens import TENANT
from rotation.engine.engine import Engine, EngineDependencies
from rotation.errors import NotYet, Rejected
from rotation.ledger.records import Step
from rotation.model import Applied, Credential, Draft, Job, Reason, Result, RotationRequest, SecretRef
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.targets import parse_target
from rotation.ports import Rotator
from rotation.rotators.azure.entra_app_secret import EntraAppSecret
from rotation.rotators.azure.storage_key import SETTLES_AFTER, StorageKey
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec
from tests.fakes import FakeClock, InMemoryLedger, InMemoryVault
from tests.local_azure import ACCOUNT, APPLICATION, CLIENT_ID, Place, opened

NAME = "st-orders"
KINDS = ("storage-key", "entra-app-secret")
READS = {"storage-key": "/listKeys", "entra-app-secret": "/graph/"}


@pytest.fixture
async def place(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with opened(tmp_path, certificates, monkeypatch) as running:
        yield running


def at_hand(place: Place, kind: str) -> tuple[Rotator, Job]:
    """A rotator, and a job whose current value works."""
    if kind == "storage-key":
        keys = StorageKey(place.services)
        value = place.azure.arm.keys(ACCOUNT)["key1"]
        return keys, make_job(keys, make_spec(kind, target=ACCOUNT), make_secret(value), "key1")
    secrets = EntraAppSecret(place.services)
    added = place.azure.graph.add_secret(APPLICATION, "first")
    spec = make_spec(kind, target=APPLICATION)
    return secrets, make_job(secrets, spec, make_secret(added["secretText"]), added["keyId"])


def lag(kind: str, times: int | None = None) -> Fault:
    method = "POST" if kind == "storage-key" else "GET"
    return Fault(Kind.LAG, path=READS[kind], method=method, times=times)


def shown(place: Place, kind: str) -> Mapping[str, Any]:
    """Behind the app's back: what there is."""
    if kind == "storage-key":
        return place.azure.arm.keys(ACCOUNT)
    application = place.azure.plane.store.get("application", APPLICATION) or {}
    return {one["keyId"]: one["hint"] for one in application["passwords"] if not one["removed"]}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_made_a_moment_ago_and_is_not_shown_yet_is_not_rejected(place: Place, kind: str) -> None:
    rotator, job = at_hand(place, kind)
    made = (await rotator.apply(job, rotator.draft(job))).credential
    with place.fault(lag(kind)) as fault, pytest.raises(NotYet):
        await rotator.verify(job, made)
    assert fault.struck > 0
    await rotator.verify(job, made)


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_made_twice_while_the_list_lags(place: Place, kind: str) -> None:
    """As the engine goes on after `NotYet`: with what it staged. Made anew each time, it would never settle."""
    rotator, job = at_hand(place, kind)
    made = (await rotator.apply(job, rotator.draft(job))).credential
    before = shown(place, kind)
    staged = Draft(made.slot, made.value, place.services.now())
    again = replace(job, resumed=True)
    with place.fault(lag(kind)):
        for _ in range(3):
            with pytest.raises(NotYet):
                await rotator.apply(again, staged)
    assert (await rotator.apply(again, staged)).credential == made
    assert shown(place, kind) == before


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_still_not_shown_after_a_while_is_gone_and_made_anew(place: Place, kind: str) -> None:
    rotator, job = at_hand(place, kind)
    made = (await rotator.apply(job, rotator.draft(job))).credential
    if kind == "storage-key":
        await rotator.retire(job, "key2")  # somebody else regenerated it
    else:
        await rotator.retire(job, made.slot)
    staged = Draft(made.slot, made.value, place.services.now() - SETTLES_AFTER - timedelta(seconds=1))
    anew = (await rotator.apply(replace(job, resumed=True), staged)).credential
    assert anew.value != made.value
    await rotator.verify(job, anew)


async def test_a_key_that_works_and_is_not_listed_yet_is_neither_proven_nor_rejected(place: Place) -> None:
    """An operator regenerated key1 and wrote it at once."""
    rotator, job = at_hand(place, "storage-key")
    await rotator.retire(replace(job, current=Credential(job.current.value, "key2")), "key1")
    fresh = make_job(rotator, job.spec, make_secret(place.azure.arm.keys(ACCOUNT)["key1"]), "key1")
    with place.fault(lag("storage-key")):
        with pytest.raises(NotYet):
            await rotator.prove(fresh)
        with pytest.raises(NotYet):
            await rotator.verify(fresh, fresh.current)
    assert (await rotator.prove(fresh)).slot == "key1"


async def test_a_key_that_neither_works_nor_is_listed_is_rejected_however_old_the_list_is(place: Place) -> None:
    rotator, job = at_hand(place, "storage-key")
    await rotator.retire(replace(job, current=Credential(job.current.value, "key2")), "key1")
    for call in (rotator.prove(job), rotator.verify(job, job.current)):
        with pytest.raises(Rejected):
            await call


@pytest.mark.parametrize("kind", KINDS)
async def test_a_rotation_that_meets_a_lagging_list_waits_and_ends_with_what_it_made_first(
    place: Place, kind: str
) -> None:
    """The whole engine: each look finds what the one before it made, staged and could not prove yet."""
    rotator, job = at_hand(place, kind)
    old = shown(place, kind)
    time = FakeClock(place.services.now())
    vault, ledger = InMemoryVault("kv", time), InMemoryLedger(time)
    tags = {"rotator": kind, "target": job.access.targets[0]}
    first = await vault.set(NAME, job.current.value, tags=tags, expires_on=time.now() + timedelta(days=2))
    permit = RuleTerms(rule=1, slots=("*",), min_interval=timedelta(), jitter_percent=0)
    target = parse_target(job.access.targets[0])
    policy = Policy((Rule(("kv",), ("*",), (kind,), permit, (target,)),))
    engine = Engine(EngineDependencies({"kv": vault}, ledger, policy, lambda _: rotator, time.clock, random.Random(1)))
    made = rotator.apply
    faults = [lag(kind, times=4)]

    async def apply_and_lag(job: Job, draft: Draft) -> Applied:
        applied = await made(job, draft)
        if faults:
            place.azure.faults.add(faults.pop())
        return applied

    rotator.apply = apply_and_lag  # type: ignore[method-assign]
    seen = []
    for _ in range(6):
        outcome = await engine.handle(RotationRequest(SecretRef("kv", NAME), first.version, Reason.NEAR_EXPIRY, "test"))
        seen.append(outcome.result)
        if outcome.result is not Result.DEFERRED:
            break
        assert outcome.retry_after_s is not None, "so that the message comes back soon"
        time.ahead(seconds=outcome.retry_after_s)

    assert seen == [Result.DEFERRED] * 4 + [Result.RESUMED]
    changed = {slot: value for slot, value in shown(place, kind).items() if old.get(slot) != value}
    assert len(changed) == 1, "one new key or secret, not one for each look"
    assert {record.slot for record in ledger.records(SecretRef("kv", NAME)) if record.step is Step.ROTATED} == {
        *changed
    }


# the clients whose tokens the stand-in gives


async def test_msals_client_finds_its_way_by_the_authoritys_metadata(place: Place, certificates: Certificates) -> None:
    """azure-identity's ClientSecretCredential is MSAL for Python; it reads `.well-known/openid-configuration` first."""

    def ask(secret: str) -> float:
        with ClientSecretCredential(
            TENANT,
            CLIENT_ID,
            secret,
            authority=place.azure.login_url,
            disable_instance_discovery=True,  # which asks login.microsoftonline.com, whatever the authority
            connection_verify=str(certificates.ca),
        ) as credential:
            return float(credential.get_token("https://vault.azure.net/.default").expires_on)

    secret = place.azure.graph.add_secret(APPLICATION)["secretText"]
    assert await asyncio.to_thread(ask, secret) > place.services.now().timestamp()
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        await asyncio.to_thread(ask, "wrong")


def test_a_secret_lives_longer_than_it_settles() -> None:
    assert LIFETIME > SETTLES_AFTER
