"""Killed before or after any call of a rotation, whatever the kind, the next run ends with a working latest version."""

from collections.abc import Awaitable, Callable

import pytest

from rotation.model import Result
from rotation.records import Step
from tests.fakes import parts
from tests.world import KINDS, World


class Killed(BaseException):
    """Nothing of ours catches it, as nothing catches SIGKILL."""


class Killer:
    """Kills at the n-th moment, before or after a call takes effect; counts them all. The dead do nothing more."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    async def __call__(self, _when: str, _call: str, _name: str) -> None:
        self.count += 1
        if 0 < self.at <= self.count:
            raise Killed


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
        first = world.latest
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
        if world.kind != "in-place":
            assert world.works(first), f"killed at {at}: a slow consumer lost its credential before the grace was over"


@pytest.mark.parametrize("variant", KINDS)
async def test_a_retirement_killed_at_any_moment_locks_nobody_out(variant: str) -> None:
    for at in range(1, 60):
        world = await World(variant).start()
        await world.ask()
        world.time.ahead(hours=73)
        killer = Killer(at)
        install(world, killer)
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
    else:
        pytest.fail("a retirement has no end")
