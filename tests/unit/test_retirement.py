"""When an old credential ends, and what is left over: each term of it decides something."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from rotation.errors import Unreachable
from rotation.ledger.records import Record, Step
from rotation.model import Force, Job
from rotation.ports import LEASE_S
from rotation.spec import companion
from tests.fakes import FakeRotator, FakeServer, no_hook, parts, value
from tests.world import NAME, REF, World

SECOND = timedelta(seconds=1)
OLDEST_RUN = timedelta(seconds=LEASE_S + 600)  # the lease, and the function time-out


async def rotated(variant: str) -> World:
    world = await World(variant).start()
    assert (await world.ask()).result == "rotated"
    return world


def retired(world: World) -> list[Record]:
    return [record for record in world.ledger.records(REF) if record.step is Step.RETIRED]


# grace


@pytest.mark.parametrize(("before", "result"), [(SECOND, "not_due"), (0 * SECOND, "retired")])
async def test_grace_counts_from_the_successor_and_is_over_to_the_second(before: timedelta, result: str) -> None:
    world = World("overlapping")
    await world.start()
    world.time.ahead(days=4)  # a grace that counted from the old version itself would be over by now
    assert (await world.ask()).result == "rotated"
    superseded = world.latest.created_on
    world.time.moment = superseded + timedelta(hours=72) - before
    assert (await world.ask("sweep")).result == result
    assert (world.server.passwords["k0"] is None) is (result == "retired")


async def test_an_operator_may_end_grace_and_force_alone_does_not() -> None:
    world = await rotated("overlapping")
    world.time.ahead(hours=1)
    await world.ask("operator", demanded=True, force=Force.YES)
    assert world.server.passwords["k0"] is not None
    world.time.ahead(hours=1)
    await world.ask("operator", demanded=True, force=Force.GRACE)
    assert world.server.passwords["k0"] is None


async def test_a_slot_in_grace_keeps_no_other_from_being_retired() -> None:
    world = await rotated("overlapping")
    world.time.ahead(hours=50)
    # The newer slot comes first by its name, and is in grace when the older one is over.
    await world.write(world.latest.value)
    world.time.ahead(hours=23)
    await world.ask("sweep")
    assert [record.slot for record in retired(world)] == ["k0"]


async def test_a_slot_whose_grace_is_over_does_not_wait_for_another_that_comes_before_it() -> None:
    world = await World("overlapping").start()

    async def by_hand(slot: str) -> None:
        world.server.passwords[slot] = "x"
        await world.vault.set(NAME, value(slot, "x"), tags=world.tags, expires_on=world.now + timedelta(days=90))
        await world.ask("sweep")
        world.time.ahead(hours=50)

    await world.ask()
    await by_hand("a")
    await by_hand("z")
    await world.ask("sweep")
    assert [record.slot for record in retired(world)] == ["k0", "k1"]
    assert world.server.passwords["a"] == "x", "its own grace has 22 hours to go"


async def test_all_versions_of_a_retired_slot_are_disabled() -> None:
    world = await rotated("overlapping")
    world.time.ahead(hours=73)
    await world.ask("sweep")
    assert [one.enabled for one in world.vault.all(NAME)] == [False, True]


async def test_a_version_that_its_owner_disabled_is_not_disabled_again() -> None:
    world = await rotated("overlapping")
    await world.vault.set_enabled(NAME, world.vault.all(NAME)[0].version, enabled=False)
    world.time.ahead(hours=73)
    world.vault.calls.clear()
    assert (await world.ask("sweep")).result.value == "retired"
    assert ("set_enabled", NAME) not in world.vault.calls


# a parked password


async def test_a_role_without_an_administrator_gets_a_parked_password_that_a_second_try_does_not_change() -> None:
    world = await rotated("alternating")
    world.time.ahead(hours=73)

    async def lost(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("after", "change", "a"):
            raise Unreachable("the answer was lost")

    world.server.hook = lost
    with pytest.raises(Unreachable):
        await world.ask("sweep")
    parked = world.server.passwords["a"]
    versions = len(world.vault.all(companion(NAME)))
    world.server.hook = no_hook
    assert (await world.ask("sweep")).result == "retired"
    assert world.server.passwords["a"] == parked
    assert len(world.vault.all(companion(NAME))) == versions, "what was staged before is used"


async def test_a_parked_password_that_is_gone_before_it_was_set_is_made_anew() -> None:
    world = await rotated("alternating")
    world.time.ahead(hours=73)

    async def down(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "change"):
            raise Unreachable("the server does not answer")

    world.server.hook = down
    with pytest.raises(Unreachable):
        await world.ask("sweep")
    world.server.hook = no_hook
    world.vault.delete(companion(NAME))
    assert (await world.ask("sweep")).result == "retired"
    (kept,) = world.vault.all(companion(NAME))
    assert world.server.passwords["a"] == parts(kept.value)[1]


async def test_once_it_is_recorded_no_staged_password_can_be_read() -> None:
    world = await rotated("alternating")
    world.time.ahead(hours=73)
    assert (await world.ask("sweep")).result == "retired"
    assert world.vault.all(companion(NAME)), "there was one"
    assert not [one for one in world.vault.all(companion(NAME)) if one.enabled]


# leftovers


async def leftover(world: World) -> str:
    """A staged value of a run that was cut off, whose secret the owner then wrote anew by hand; -> its version."""

    async def lost(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "change"):
            raise Unreachable("the server does not answer")

    world.server.hook = lost
    with pytest.raises(Unreachable):
        await world.ask()
    world.server.hook = no_hook
    await world.vault.set(NAME, world.latest.value, tags=world.tags, expires_on=world.now + timedelta(days=90))
    (left,) = [one for one in world.vault.all(companion(NAME)) if one.enabled]
    return left.version


def is_readable(world: World, version: str) -> bool:
    return next(one.enabled for one in world.vault.all(companion(NAME)) if one.version == version)


@pytest.mark.parametrize(("more", "readable"), [(0 * SECOND, True), (SECOND, False)])
async def test_a_staged_leftover_is_disabled_once_no_run_can_be_at_work_on_it(more: timedelta, readable: bool) -> None:
    world = await World().start()
    version = await leftover(world)
    created = next(one.created_on for one in world.vault.all(companion(NAME)) if one.version == version)
    world.time.moment = created + OLDEST_RUN + more
    await world.ask("sweep")
    assert is_readable(world, version) is readable


async def test_what_is_disabled_already_is_not_written_again() -> None:
    world = await World().start()
    version = await leftover(world)
    world.time.ahead(days=2)
    await world.ask("sweep")
    assert not is_readable(world, version)
    world.vault.calls.clear()
    world.time.ahead(days=2)
    await world.ask("sweep")
    assert ("set_enabled", companion(NAME)) not in world.vault.calls


async def test_a_value_that_the_ledger_does_not_name_is_none_of_ours() -> None:
    world = await rotated("in-place")
    planted = await world.vault.set(companion(NAME), world.latest.value, tags={})
    world.time.ahead(days=2)
    await world.ask("sweep")
    assert is_readable(world, planted.version)


class LosingRotator(FakeRotator):
    """Its provider has credentials that no version names. Notes what it was asked."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server, "overlapping")
        self.asked: list[tuple[str | None, frozenset[str], datetime]] = []
        self.retiring: list[str] = []

    async def orphans(
        self, job: Job, known: frozenset[str], before: datetime, operations: frozenset[str]
    ) -> Sequence[str]:
        self.asked.append((job.realm, known, before))
        return [slot for slot in ("lost",) if self.server.passwords.get(slot)]

    async def retire(self, job: Job, slot: str) -> None:
        self.retiring.append(slot)
        await super().retire(job, slot)


async def test_what_no_version_names_is_looked_for_among_what_is_older_than_any_run_and_removed() -> None:
    world = World("overlapping")
    world.rotator = rotator = LosingRotator(world.server)
    world.server.passwords["lost"] = "x"
    await world.start()
    await world.ask()
    world.time.ahead(hours=25)
    await world.ask("sweep")
    realm, known, before = rotator.asked[-1]
    assert realm == world.server.realm
    assert known == {"k0", "k1"}
    assert before == world.now - OLDEST_RUN
    assert rotator.retiring == ["lost"]
    assert [(record.slot, record.detail) for record in retired(world)] == [("lost", "no version ever named it")]


async def test_a_retirement_is_told_which_slot_and_which_provider() -> None:
    world = World("overlapping")
    world.rotator = rotator = LosingRotator(world.server)
    await world.start()
    await world.ask()
    world.time.ahead(hours=73)
    await world.ask("sweep")
    assert rotator.retiring == ["k0"]
