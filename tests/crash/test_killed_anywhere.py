"""Killed before or after any call of a rotation, whatever the kind, the next run ends with a working latest version."""

from collections.abc import Awaitable, Callable

import pytest

from rotation.ledger.records import AboutTo, Step
from rotation.model import Result
from rotation.spec import companion
from tests.fakes import parts, value
from tests.following import FollowedWorld
from tests.killer import Killed, Killer
from tests.unit.test_engine_edges import FindsOne
from tests.world import KINDS, NAME, REF, World


def install(world: World, hook: Callable[[str, str, str], Awaitable[None]]) -> None:
    world.vault.hook = world.ledger.hook = world.server.hook = hook


async def quiet(_when: str, _call: str, _name: str) -> None:
    return


async def moments(variant: str) -> int:
    world = await World(variant).start()
    counter = Killer(at=0)
    install(world, counter)
    assert (await world.ask()).result is Result.ROTATED
    return counter.count


@pytest.mark.parametrize("variant", KINDS)
async def test_a_rotation_killed_at_any_moment_is_finished_by_the_next_look(variant: str) -> None:
    total = await moments(variant)
    assert total > 10
    for at in range(1, total + 1):
        world = await World(variant).start()
        first, recorded = world.latest, world.watch_records()
        install(world, Killer(at))
        with pytest.raises(Killed):
            await world.ask()
        install(world, quiet)
        if world.latest is first and world.kind != "in-place":
            assert world.works(world.latest), "consumers of another slot never notice"

        world.time.ahead(seconds=61)
        for _ in range(3):
            await world.ask("sweep")
            world.time.ahead(minutes=30)
        assert world.latest.version != first.version, f"killed at {at}: never rotated"
        assert world.works(world.latest), f"killed at {at}: the latest version does not log in"
        assert not world.staged_enabled(), f"killed at {at}: a staged value stays readable"
        assert world.latest.tags["team"] == "x"
        rotated = [record for record in await world.ledger.read(world.latest.ref) if record.step is Step.ROTATED]
        assert [record.version for record in rotated] == [world.latest.version], f"killed at {at}: taken for another's"
        assert recorded.missing == [], f"killed at {at}: done before it was announced"
        if world.kind != "in-place":
            assert world.works(first), f"killed at {at}: a slow consumer lost its credential before the grace was over"


@pytest.mark.parametrize("variant", KINDS)
async def test_a_retirement_killed_at_any_moment_locks_nobody_out(variant: str) -> None:
    for at in range(1, 60):
        world = await World(variant).start()
        await world.ask()
        world.time.ahead(hours=73)
        recorded = world.watch_records()
        install(world, Killer(at))
        try:
            await world.ask("sweep")
        except Killed:
            pass
        else:
            break
        install(world, quiet)
        world.time.ahead(seconds=61)
        await world.ask("sweep")
        await world.ask("sweep", demanded=True)
        assert world.works(world.latest), f"killed at {at}"
        slot, _ = parts(world.latest.value)
        world.time.ahead(hours=73)
        await world.ask("sweep")
        again = await world.ask("operator", demanded=True)
        assert again.result in {Result.ROTATED, Result.REPAIRED}, f"killed at {at}: {again}"
        assert world.works(world.latest), f"killed at {at}: after {slot}"
        assert recorded.missing == [], f"killed at {at}: done before it was announced"
    else:
        pytest.fail("a retirement has no end")


@pytest.mark.parametrize("variant", ["in-place", "in-place+admin", "alternating", "alternating+admin"])
async def test_killed_at_any_moment_the_followers_are_written_by_the_next_look(variant: str) -> None:
    """One follower in the leader's vault, one in another: by the message that comes again, or by the sweep."""
    counted = await FollowedWorld(variant).start()
    counter = Killer(at=0)
    counted.listen(counter)
    assert (await counted.ask()).result is Result.ROTATED
    for at, again in [(at, again) for at in range(1, counter.count + 1) for again in (False, True)]:
        world = await FollowedWorld(variant).start()
        first, pinned = world.latest, world.latest.version
        recorded = world.watch_records()
        recorded.followers = {ref.name for ref in world.refs}
        world.second.on_write = recorded.written
        world.listen(Killer(at))
        with pytest.raises(Killed):
            await world.ask(version=pinned)
        world.listen(quiet)
        if world.kind != "in-place":
            assert all(map(world.lets_in, world.refs)), f"killed at {at}: two roles lock nobody out"
        world.time.ahead(seconds=61)
        if again:
            await world.ask(version=pinned)
            assert all(map(world.lets_in, world.refs)), f"killed at {at}: not written by the message that came again"
        for _ in range(3):
            await world.swept()
            world.time.ahead(minutes=30)
        assert world.latest.version != first.version, f"killed at {at}: never rotated"
        assert world.all_let_in(), f"killed at {at}: somebody is locked out"
        for ref in world.refs:
            assert world.login_of(ref) == parts(world.latest.value), f"killed at {at}: {ref} has an older login"
        assert recorded.missing == [], f"killed at {at}: done before it was announced"


async def to_restore(world: World) -> None:
    await world.write(world.latest.value, tags={})


async def to_repair(world: World) -> None:
    await world.write(value("k1", "typo"))


async def to_clear_up(world: World) -> None:
    world.server.passwords["lost"] = "x"
    world.time.ahead(hours=25)


async def to_unstage(world: World) -> None:
    staged = world.vault.all(companion(NAME))[-1]
    await world.vault.set_enabled(companion(NAME), staged.version, enabled=True)
    world.time.ahead(hours=25)


@pytest.mark.parametrize(
    ("act", "kind", "prepare", "done"),
    [
        (AboutTo.SET_TAGS, "overlapping", to_restore, lambda world: "rotator" in world.latest.tags),
        (AboutTo.PUBLISH, "overlapping", to_repair, lambda world: world.works(world.latest)),
        (AboutTo.REMOVE, "overlapping", to_clear_up, lambda world: world.server.passwords["lost"] is None),
        (AboutTo.UNSTAGE, "in-place", to_unstage, lambda world: not world.staged_enabled()),
    ],
)
async def test_an_act_killed_at_any_moment_is_announced_before_it_and_done_by_the_next_look(
    act: AboutTo, kind: str, prepare: Callable[[World], Awaitable[None]], done: Callable[[World], bool]
) -> None:
    cut_off = 0
    for at in range(1, 60):
        world = World(kind)
        world.rotator = FindsOne(world.server, kind)
        await world.start()
        await world.ask()
        await prepare(world)
        recorded = world.watch_records()
        install(world, Killer(at))
        try:
            await world.ask("sweep", restore_tags=True)
        except Killed:
            pass
        else:
            break
        install(world, quiet)
        records = world.ledger.records(REF)
        cut_off += bool(records) and records[-1].about_to == act and not done(world)
        world.time.ahead(seconds=61)
        await world.ask("sweep", restore_tags=True)
        assert done(world), f"killed at {at}"
        assert recorded.missing == [], f"killed at {at}: done before it was announced"
    else:
        pytest.fail("it has no end")
    assert cut_off, "one kill came between the record and the act"
