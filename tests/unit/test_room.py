"""A vault takes so many new versions and no more: nothing is changed that could not be told to it."""

import pytest

from rotation.errors import Throttled
from rotation.ledger.records import Step
from rotation.model import Outcome, Result
from tests.world import REF, World


class Full:
    """In place of the vault's `reserve_writes`: full at these of its calls, counted from 0."""

    def __init__(self, world: World, *at: int) -> None:
        self._at = at
        self._rooms = world.vault.rooms
        world.vault.reserve_writes = self  # type: ignore[method-assign]

    async def __call__(self, creations: int) -> None:
        self._rooms.append(creations)
        if len(self._rooms) - 1 in self._at:
            raise Throttled("the vault takes no more new versions for now", retry_after_s=12)


async def steps(world: World) -> list[Step]:
    return [record.step for record in await world.ledger.read(REF)]


async def throttled(world: World) -> None:
    with pytest.raises(Throttled) as told:
        await world.ask()
    assert told.value.retry_after_s == 12


@pytest.mark.parametrize(
    ("variant", "rooms"),
    [("in-place", [2, 0]), ("alternating", [2, 0]), ("two-keys", [1, 0]), ("overlapping", [1, 0])],
)
async def test_room_for_all_that_a_rotation_writes_is_kept_before_it_changes_anything(
    variant: str, rooms: list[int]
) -> None:
    world = await World(variant).start()
    assert (await world.ask()).result is Result.ROTATED
    assert world.vault.rooms == rooms


async def test_a_full_vault_leaves_everything_as_it_was_and_is_no_failure() -> None:
    world = await World().start()
    before, passwords = world.latest, dict(world.server.passwords)
    Full(world, 0)
    await throttled(world)
    assert world.latest == before
    assert world.server.passwords == passwords
    assert not world.staged_enabled()
    assert await steps(world) == [Step.ADOPTED]
    assert (await world.ask()).result is Result.ROTATED


async def test_a_vault_that_fills_up_after_staging_keeps_the_old_password_alive() -> None:
    world = await World().start()
    passwords = dict(world.server.passwords)
    Full(world, 1)
    await throttled(world)
    assert world.server.passwords == passwords
    assert world.works(world.latest)
    assert await steps(world) == [Step.ADOPTED, Step.STAGED, Step.APPLYING]
    outcome: Outcome = await world.ask()
    assert outcome.result is Result.RESUMED
    assert world.vault.rooms == [2, 0, 1, 0], "what was staged is not staged again"
    assert world.works(world.latest)
