"""Rare turns of the engine: not yet, not in time, not permitted, and what a dry run says."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rotation.engine.fence import Fence, Limits, within
from rotation.errors import Denied, LeaseLost, NotFound, NotYet, Unreachable
from rotation.ledger.records import Step
from rotation.model import Credential, Force, Job, Outcome, Reason, Result, RotationRequest, SecretRef
from rotation.policy import RuleTerms
from tests.fakes import FakeClock, FakeRotator, InMemoryLedger, no_hook, value
from tests.world import NAME, REF, World


class SlowlyKnown(FakeRotator):
    """As Entra: what was just made is not accepted everywhere until `known` says so."""

    known = False

    async def verify(self, job: Job, credential: Credential) -> None:
        await super().verify(job, credential)
        if credential.slot != "k0" and not self.known:
            raise NotYet("not accepted everywhere yet", retry_after_s=20)


async def test_what_is_not_accepted_yet_is_kept_and_published_once_it_is() -> None:
    world = World("overlapping")
    slow = SlowlyKnown(world.server, "overlapping")
    world.rotator = slow
    await world.start()
    before = world.latest
    outcome = await world.ask()
    assert (outcome.result, outcome.retry_after_s) == (Result.DEFERRED, 20)
    assert world.latest.version == before.version
    assert (await world.ask()).result is Result.DEFERRED
    assert len(world.server.changes) == 1, "the provider is not asked for a second one"
    slow.known = True
    assert (await world.ask()).result in {Result.ROTATED, Result.RESUMED}
    assert world.works(world.latest)
    assert len(world.server.changes) == 1
    assert not world.staged_enabled()


async def test_a_slot_that_the_rule_does_not_name_is_denied_before_anything_changes() -> None:
    world = World("in-place")
    world.terms = RuleTerms(1, slots=("other",))
    await world.start()
    with pytest.raises(Denied):
        await world.ask()
    assert world.server.changes == []


class FindsOne(FakeRotator):
    """A provider with a credential that no version names."""

    asked: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset()

    async def orphans(
        self, job: Job, known: frozenset[str], before: datetime, operations: frozenset[str]
    ) -> Sequence[str]:
        self.asked, self.operations = known, operations
        return [] if self.server.passwords.get("lost") is None else ["lost"]


async def test_what_no_version_names_is_removed_at_the_provider() -> None:
    world = World("overlapping")
    finds = FindsOne(world.server, "overlapping")
    world.rotator = finds
    world.server.passwords["lost"] = "x"
    await world.start()
    await world.ask()
    world.time.ahead(hours=25)
    await world.ask("sweep")
    assert world.server.passwords["lost"] is None
    assert world.latest.tags["slot"] in finds.asked
    records = await world.ledger.read(REF)
    assert {record.operation_id for record in records if record.step is Step.APPLYING} <= finds.operations
    assert finds.operations <= {record.operation_id for record in records}
    steps = [(record.step, record.slot) for record in await world.ledger.read(REF)]
    assert (Step.RETIRED, "lost") in steps
    assert world.works(world.latest)


async def plan(world: World, **more: object) -> Outcome:
    request = RotationRequest(REF, None, Reason.OPERATOR, "test", demanded=True)
    return await world.engine.plan(replace(request, **more))  # type: ignore[arg-type]


async def test_a_dry_run_says_what_would_be_touched_and_touches_nothing() -> None:
    world = await World("alternating").start()
    planned = await plan(world)
    assert planned.result is Result.PLANNED
    assert "db.example:5432" in planned.detail
    assert "slots a, b, of which a is in use" in planned.detail
    assert (
        "first log in with the value, since nothing proves yet that this secret owns what it asks for" in planned.detail
    )
    assert world.server.changes == []
    assert await world.ledger.read(REF) == ()
    await world.ask()
    again = await plan(world, force=Force.YES)
    assert again.result is Result.DEFERRED, "as a run would say"
    assert "a is still in its grace period of 72 h" in again.detail
    forced = await plan(world, force=Force.GRACE)
    assert forced.result is Result.PLANNED
    assert "a would be retired" in forced.detail
    assert (await plan(world, demanded=False)).result is Result.NOT_DUE
    assert (await plan(world, version="0" * 32)).result is Result.SUPERSEDED


async def test_a_dry_run_tells_of_an_interrupted_rotation_and_of_lost_tags() -> None:
    world = await World().start()

    async def crash(when: str, call: str, _name: str) -> None:
        if (when, call) == ("after", "change"):
            raise Unreachable("cut")

    world.server.hook = crash
    with pytest.raises(Unreachable):
        await world.ask()
    interrupted = (await plan(world, demanded=False)).detail
    assert "an interrupted rotation would be finished first" in interrupted
    assert "; slot app; " in interrupted
    await world.write(value("app", "x"), tags={})
    assert (await plan(world)).result is Result.TAGS_LOST
    await world.vault.set("loose", value("app", "x"), tags={})
    assert (await plan(world, ref=SecretRef("kv", "loose"))).result is Result.UNMANAGED
    with pytest.raises(NotFound, match="ROTATION_VAULTS"):
        await plan(world, ref=SecretRef("elsewhere", NAME))


async def test_a_secret_restored_from_before_an_interrupted_rotation_is_mended_though_its_check_is_not_due() -> None:
    """Purged and restored from a backup, its latest version is an older one, which the history knows as proven."""
    world = await World().start()
    world.allow(min_interval=timedelta(days=9), verify_every=timedelta(days=7))
    await world.ask("sweep")
    backup = list(world.vault.all(NAME))[:1]
    world.time.ahead(hours=25)

    async def crash(when: str, call: str, _name: str) -> None:
        if (when, call) == ("after", "change"):
            raise Unreachable("cut")

    world.server.hook = crash
    with pytest.raises(Unreachable):
        await world.ask("operator", demanded=True, force=Force.YES)
    world.server.hook = no_hook
    world.vault.all(NAME)[:] = backup
    assert not world.works(world.latest)
    world.time.ahead(hours=1)
    assert (await world.ask("sweep")).result is Result.REPAIRED
    assert world.works(world.latest)


# The write fence.


async def fence_of(clock: FakeClock, ledger: InMemoryLedger) -> Fence:
    lease = await ledger.acquire(REF, create=True)
    assert lease is not None
    return Fence(lease, Limits())


async def test_no_write_starts_that_the_lease_may_not_outlast() -> None:
    clock = FakeClock()
    ledger = InMemoryLedger(clock)
    fence = await fence_of(clock, ledger)
    started: list[str] = []

    async def write() -> None:
        started.append("write")

    await fence.vault_write(write)
    clock.ahead(seconds=55)
    await fence.provider_write(write)  # renewed first
    assert len(started) == 2
    clock.ahead(seconds=61)
    assert await ledger.acquire(REF, create=True) is not None
    with pytest.raises(LeaseLost):
        await fence.vault_write(write)
    assert len(started) == 2


async def test_a_lease_too_short_for_the_call_starts_nothing() -> None:
    clock = FakeClock()
    lease = await InMemoryLedger(clock).acquire(REF, create=True)
    assert lease is not None
    fence = Fence(lease, Limits(vault_call=100.0))

    async def write() -> None:
        pytest.fail("a write was started")

    with pytest.raises(LeaseLost):
        await fence.vault_write(write)


async def test_what_does_not_answer_in_time_may_have_happened() -> None:
    with pytest.raises(Unreachable, match="the vault did not answer"):
        await within(0.01, "the vault", asyncio.sleep(10))
