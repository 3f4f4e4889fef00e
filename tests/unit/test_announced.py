"""What a run is about to do to the vault or to a provider stands in the history first."""

import json

import pytest

from handlers.reading import _shown as shown
from rotation.errors import Refused
from rotation.ledger.history import History
from rotation.ledger.records import AboutTo, Step
from rotation.model import Force, Job, Result
from tests.fakes import FakeRotator, no_hook, value
from tests.unit.test_engine_edges import FindsOne
from tests.world import KINDS, NAME, REF, World


def announced(world: World) -> list[tuple[str | None, str | None]]:
    """Each act that was announced, with its slot."""
    return [(record.about_to, record.slot) for record in world.ledger.records(REF) if record.about_to]


@pytest.mark.parametrize("variant", KINDS)
async def test_nothing_is_written_that_was_not_announced_in_years_of_rotations(variant: str) -> None:
    world = await World(variant).start()
    recorded = world.watch_records()
    for _ in range(4):
        assert (await world.ask()).result is Result.ROTATED
        for hours in (1, 73, 25):
            world.time.ahead(hours=hours)
            await world.ask("sweep")
        world.time.ahead(days=75)
    assert recorded.missing == []


async def test_restored_tags_are_announced_with_what_they_will_be() -> None:
    world = await World().start()
    await world.ask()
    before = world.latest.tags
    await world.write(world.latest.value, tags={"mine": "1"})
    written, recorded = world.latest, world.watch_records()
    await world.ask("operator", restore_tags=True)
    assert recorded.missing == []
    [record] = [one for one in world.ledger.records(REF) if one.about_to == AboutTo.SET_TAGS]
    assert (record.step, record.version) == (Step.STAGED, written.version)
    assert record.tags == {**before, "mine": "1"}


@pytest.mark.parametrize("force", [Force.YES, Force.GRACE])
async def test_force_restores_lost_tags_too(force: Force) -> None:
    world = await World().start()
    await world.ask()
    await world.write(world.latest.value, tags={})
    assert (await world.ask("operator")).result is Result.TAGS_LOST
    recorded = world.watch_records()
    assert (await world.ask("operator", force=force, demanded=True)).result is Result.ROTATED
    assert world.latest.tags["rotator"] == "in-place"
    assert recorded.missing == []


async def test_a_retirement_is_announced_with_the_versions_that_it_disables() -> None:
    world = await World("alternating").start()
    old = world.latest
    await world.ask()
    world.time.ahead(hours=73)
    recorded, before = world.watch_records(), world.ledger.appends
    assert (await world.ask("sweep")).result is Result.RETIRED
    assert recorded.missing == []
    assert (AboutTo.RETIRE, "a") in announced(world)
    disabled = [(one.version, one.slot) for one in world.ledger.records(REF) if one.about_to == AboutTo.DISABLE]
    assert (old.version, "a") in disabled
    assert world.ledger.appends - before == 3, "verified; the standby password and all that will be done; retired"
    [retired] = [one for one in world.ledger.records(REF) if one.step is Step.RETIRED]
    assert (retired.about_to, retired.staged_version) == (
        AboutTo.UNSTAGE,
        world.vault.all(f"{NAME}--staged")[-1].version,
    )


async def test_a_staged_value_is_announced_as_disabled_where_its_rotation_could_not_do_it() -> None:
    world = await World().start()
    recorded = world.watch_records()

    async def refuse(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "set_enabled"):
            raise Refused("no")

    world.vault.hook = refuse
    with pytest.raises(Refused):
        await world.ask()
    assert world.staged_enabled()
    world.vault.hook = no_hook
    world.time.ahead(hours=25)
    await world.ask("sweep")
    assert not world.staged_enabled()
    assert recorded.missing == []
    told = [(one.step, one.about_to) for one in world.ledger.records(REF) if one.about_to]
    assert told == [(Step.PUBLISHED, AboutTo.UNSTAGE), (Step.VERIFIED, AboutTo.UNSTAGE)]


async def test_a_leftover_is_announced_before_it_is_disabled() -> None:
    world = await World().start()
    await world.ask()
    [staged] = world.vault.all(f"{NAME}--staged")
    await world.vault.set_enabled(f"{NAME}--staged", staged.version, enabled=True)
    world.time.ahead(hours=25)
    await world.ask("sweep")
    assert not world.staged_enabled()
    [record] = [one for one in world.ledger.records(REF) if one.announces]
    assert (record.about_to, record.version, record.staged_version) == (AboutTo.UNSTAGE, staged.version, None)


async def test_what_no_version_names_is_announced_before_it_is_removed() -> None:
    world = World("overlapping")
    world.rotator = FindsOne(world.server, "overlapping")
    world.server.passwords["lost"] = "x"
    await world.start()
    await world.ask()
    recorded = world.watch_records()
    world.time.ahead(hours=25)
    await world.ask("sweep")
    assert world.server.passwords["lost"] is None
    assert recorded.missing == []
    assert (AboutTo.REMOVE, "lost") in announced(world)


async def test_a_repair_is_announced_before_its_version_is_written() -> None:
    world = await World().start()
    await world.ask()
    await world.write(value("app", "typo"))
    recorded = world.watch_records()
    assert (await world.ask("sweep")).result is Result.REPAIRED
    assert recorded.missing == []
    assert (AboutTo.PUBLISH, "app") in announced(world)


class NeverRetires(FakeRotator):
    async def retire(self, job: Job, slot: str) -> None:
        raise Refused(f"{slot} of {job.ref} can't be ended")


async def test_what_fails_each_hour_is_announced_once_a_day() -> None:
    world = World("two-keys")
    world.rotator = NeverRetires(world.server, "two-keys")
    world.allow(verify_every=None)
    await world.start()
    await world.ask()
    world.time.ahead(hours=73)
    for _ in range(5):
        with pytest.raises(Refused):
            await world.ask("sweep")
        world.time.ahead(hours=1)
    assert announced(world).count((AboutTo.RETIRE, "key1")) == 1
    assert [record.step for record in world.ledger.records(REF)].count(Step.FAILED) == 1
    world.time.ahead(hours=20)
    with pytest.raises(Refused):
        await world.ask("sweep")
    assert announced(world).count((AboutTo.RETIRE, "key1")) == 2
    history = History(world.ledger.records(REF))
    last = history.last_done()
    assert last is not None
    assert last.step is Step.FAILED, "what will be done is not what was done"


async def test_a_rotation_takes_no_more_appends_for_it() -> None:
    for variant in KINDS:
        world = await World(variant).start()
        await world.ask()
        for hours in (73, 25):
            world.time.ahead(hours=hours)
            await world.ask("sweep")
        world.time.ahead(days=75)
        before = world.ledger.appends
        assert (await world.ask()).result is Result.ROTATED
        assert world.ledger.appends - before == 4, f"{variant}: verified, applying, published, rotated"


# by which login a change was made


async def test_an_administrator_who_sets_the_other_slot_repairs_nothing() -> None:
    world = await World("alternating+admin").start()
    world.server.passwords["b"] = "changed by somebody"
    assert (await world.ask()).result is Result.ROTATED
    assert world.works(world.latest)


async def test_an_administrator_who_sets_what_the_vault_holds_wrong_repairs_it() -> None:
    world = await World("in-place+admin").start()
    world.allow(verify_every=None)
    await world.ask()
    world.server.passwords["app"] = "changed by somebody"
    world.time.ahead(days=75)
    assert (await world.ask()).result is Result.REPAIRED
    assert world.works(world.latest)


async def test_a_listing_shows_what_was_done_last_and_the_history_what_will_be() -> None:
    world = await World("two-keys").start()
    await world.ask()
    world.time.ahead(hours=73)

    async def kill(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "change"):
            raise KeyboardInterrupt

    world.server.hook = kill
    with pytest.raises(KeyboardInterrupt):
        await world.ask("sweep")
    records = world.ledger.records(REF)
    assert records[-1].about_to == AboutTo.DISABLE
    [item] = [item async for item in world.vault.secrets() if item.ref.name == NAME]
    last = shown(item, records)["last"]
    assert isinstance(last, dict)
    assert last["step"] == "verified"
    assert json.loads(records[-1].to_line())["about_to"] == "disable"
