"""What a sweep asks for, and what it leaves alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rotation.engine.sweep import Sweeper
from rotation.errors import Unreachable
from rotation.ledger.records import Step
from rotation.model import Reason, RotationRequest, SecretValue
from tests.fakes import value
from tests.world import NAME, REF, World


class Swept(World):
    """A world with a sweeper that stays warm."""

    async def sweep(self) -> list[RotationRequest]:
        if not hasattr(self, "_sweeper"):
            self._sweeper = Sweeper(self.ledger, self.policy)
        return [request async for request in self._sweeper.requests(self.vault, self.now)]

    def read(self) -> list[str]:
        """Names of the secrets whose value was read since the last call."""
        names = [name for call, name in self.vault.calls if call == "get"]
        self.vault.calls.clear()
        return names


async def settled(variant: str = "in-place") -> Swept:
    """Rotated a day and a bit ago, checked an hour ago, and seen by a sweep."""
    world = Swept(variant)
    await world.start()
    await world.ask()
    world.time.ahead(hours=25)
    await world.ask("sweep")
    world.time.ahead(hours=1)
    assert await world.sweep() == []
    world.read()
    return world


async def test_nothing_to_do_is_nothing_asked_and_nothing_read() -> None:
    world = await settled()
    assert await world.sweep() == []
    assert world.read() == []


async def test_what_is_due_is_asked_for_pinned_to_its_version() -> None:
    world = await settled()
    world.time.ahead(days=70)
    assert await world.sweep() == [RotationRequest(REF, world.latest.version, Reason.SWEEP, "sweep")]


async def test_a_secret_that_the_ledger_does_not_know_is_asked_for_where_the_policy_covers_it() -> None:
    world = Swept()
    await world.start()
    assert [request.ref for request in await world.sweep()] == [REF]


async def test_secrets_without_tags_companions_and_disabled_ones_are_left_alone() -> None:
    world = await settled()
    await world.vault.set("notes", SecretValue("x"), tags={"team": "y"})
    off = await world.vault.set("off", value("app", "x"), tags=world.tags)
    await world.vault.set_enabled("off", off.version, enabled=False)
    await world.vault.set("other--staged", value("app", "x"), tags=world.tags)
    assert await world.sweep() == []


async def test_tags_that_can_not_be_used_are_asked_for_so_that_somebody_hears_of_it() -> None:
    world = await settled()
    await world.vault.set("typo", value("app", "x"), tags={**world.tags, "validity-days": "ninety"})
    assert [request.ref.name for request in await world.sweep()] == ["typo"]


async def test_tags_that_were_lost_are_asked_for() -> None:
    world = await settled()
    await world.write(value("app", "x"), tags={})
    assert [request.ref for request in await world.sweep()] == [REF]


async def test_the_daily_check_is_asked_for_once_a_day() -> None:
    world = await settled()
    world.time.ahead(hours=23)
    assert len(await world.sweep()) == 1
    await world.ask("sweep")
    assert await world.sweep() == []


async def checked(world: Swept, hours: int) -> int:
    """How often the latest version was checked, over so many hourly sweeps whose requests are all carried out."""
    await world.start()
    await world.ask()
    for _ in range(hours):
        world.time.ahead(minutes=59, seconds=55)
        for request in await world.sweep():
            await world.engine.handle(request)
            world.time.ahead(seconds=5)  # a run takes a moment: the check ends after the sweep that asked for it
    return sum(record.step is Step.VERIFIED for record in world.ledger.records(REF))


@pytest.mark.parametrize(
    ("verify_hours", "most", "least"), [(1, 48, 46), (6, 8, 7), (24, 2, 2), (0, 0, 0), (168, 0, 0)]
)
async def test_a_version_is_checked_as_often_as_the_rule_says(verify_hours: int, most: int, least: int) -> None:
    world = Swept()
    world.allow(verify_every=timedelta(hours=verify_hours) or None)
    assert least <= await checked(world, 48) <= most


@pytest.mark.parametrize("verify_hours", [0, 168])
async def test_what_needs_no_check_is_not_asked_for(verify_hours: int) -> None:
    world = Swept("alternating")
    world.allow(verify_every=timedelta(hours=verify_hours) or None)
    await checked(world, 80)  # the old role is retired by then
    asked = 0
    for _ in range(48):
        world.time.ahead(hours=1)
        asked += len(await world.sweep())
    assert asked == 0


async def test_a_slot_that_the_policy_permits_no_longer_does_not_ask_for_ever() -> None:
    world = Swept("alternating")
    await world.start()
    await world.ask()
    world.allow(slots=("b",))
    world.time.ahead(days=10)
    assert await world.sweep() == []
    world.time.ahead(days=70)
    assert [request.ref for request in await world.sweep()] == [REF], "what is due is asked for, and denied: it is seen"


async def test_an_interrupted_run_is_asked_for_once_its_lease_is_over() -> None:
    world = await settled()
    assert await world.ledger.acquire(REF, create=True) is not None
    assert await world.sweep() == []
    world.time.ahead(seconds=61)
    assert len(await world.sweep()) == 1


@pytest.mark.parametrize("after", [timedelta(seconds=3), timedelta(hours=2), timedelta(days=2)])
async def test_a_version_written_by_hand_is_asked_for_however_soon_it_came(after: timedelta) -> None:
    world = Swept()
    await world.start()
    await world.ask()
    world.time.moment += after
    await world.write(value("app", "by hand"))
    world.time.ahead(seconds=10)
    assert [request.version for request in await world.sweep()] == [world.latest.version]


async def test_our_own_version_is_looked_at_once_and_not_asked_for() -> None:
    world = Swept()
    await world.start()
    await world.ask()
    world.time.ahead(seconds=10)
    world.read()
    assert await world.sweep() == []
    assert world.read() == [NAME]
    assert await world.sweep() == []
    assert world.read() == []


async def test_an_old_role_is_asked_for_when_its_grace_is_over() -> None:
    world = Swept("alternating")
    await world.start()
    await world.ask()
    for _ in range(2):
        world.time.ahead(hours=23)
        await world.ask("sweep")
        await world.sweep()
    assert await world.sweep() == []
    world.time.ahead(hours=26)
    assert len(await world.sweep()) == 1
    assert (await world.ask("sweep")).result.value == "retired"


async def test_what_was_found_beside_a_secret_that_cannot_be_read_is_asked_for_all_the_same() -> None:
    world = await Swept().start()
    for number in range(5):
        await world.vault.set(f"more-{number}", value("app", "first"), tags=world.tags)

    async def hook(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("before", "get", "more-1"):
            raise Unreachable("the vault does not answer")

    world.vault.hook = hook
    sweeper = Sweeper(world.ledger, world.policy)
    found: list[str] = []

    async def sweep() -> None:
        async for request in sweeper.requests(world.vault, world.now):
            found.append(request.ref.name)  # noqa: PERF401  what came before the error is kept

    with pytest.raises(Unreachable):
        await sweep()
    assert found == [NAME, "more-0", "more-2", "more-3", "more-4"]


async def test_what_has_no_expiry_is_asked_for_when_it_is_due_though_nothing_is_checked() -> None:
    world = Swept()
    world.allow(verify_every=None)
    await world.start()
    world.time.ahead(minutes=6)
    await world.vault.set(NAME, world.latest.value, tags=world.tags)
    await world.ask("sweep")
    world.time.ahead(days=30)
    await world.vault.set_tags(NAME, world.latest.version, {**world.latest.tags, "team": "y"})
    world.time.ahead(days=29)
    assert await world.sweep() == []
    world.time.ahead(days=2)
    assert len(await world.sweep()) == 1
    assert (await world.ask("sweep")).result.value == "rotated"


async def test_a_secret_that_is_managed_no_longer_is_not_asked_for_and_read_once() -> None:
    world = await settled()
    tags = {name: text for name, text in world.latest.tags.items() if name != "rotator"}
    await world.vault.set_tags(NAME, world.latest.version, tags)
    world.time.ahead(hours=1)
    assert await world.sweep() == []
    assert world.read() == [NAME]
    assert await world.sweep() == []
    assert world.read() == []


async def test_tags_lost_right_after_a_rotation_are_asked_for_days_later_too() -> None:
    world = Swept()
    await world.start()
    await world.ask()
    await world.write(value("app", "x"), tags={})
    world.time.ahead(days=3)
    assert [request.ref for request in await world.sweep()] == [REF]


async def test_what_is_due_and_has_to_wait_is_not_asked_for_until_then() -> None:
    world = Swept()
    world.allow(min_interval=timedelta(hours=48), verify_every=None)
    await world.start()
    await world.ask()
    await world.vault.set_tags(NAME, world.latest.version, {**world.latest.tags, "lead-days": "45"})
    world.vault._secrets[NAME][-1] = replace(world.latest, expires_on=world.now + timedelta(days=20))
    world.time.ahead(hours=47)
    assert await world.sweep() == []
    world.time.ahead(hours=1)
    assert len(await world.sweep()) == 1
