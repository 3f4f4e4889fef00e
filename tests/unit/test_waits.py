"""What a secret that is not rotated yet waits for, to the second: its date, the interval, the window."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rotation.model import Reason, RotationRequest
from rotation.policy.windows import parse_window
from tests.fakes import value
from tests.world import NAME, REF, World

SECOND = timedelta(seconds=1)


async def expiring(in_days: float, **tags: str) -> World:
    """A first version, written just now, that ends then."""
    world = World()
    await world.vault.set(
        NAME, value("app", "first"), tags=world.tags | tags, expires_on=world.now + timedelta(days=in_days)
    )
    return world


async def begins(world: World, moment: datetime) -> None:
    """The latest version's own "activation date", as its owner set it."""
    versions = world.vault._secrets[NAME]
    versions[-1] = replace(versions[-1], not_before=moment)


# the due date


@pytest.mark.parametrize(("before", "result"), [(SECOND, "not_due"), (0 * SECOND, "rotated"), (-SECOND, "rotated")])
async def test_a_secret_is_due_at_the_lead_before_its_end_and_not_a_second_sooner(
    before: timedelta, result: str
) -> None:
    world = await expiring(90)
    world.time.moment = world.latest.created_on + timedelta(days=60) - before
    outcome = await world.ask("sweep")
    assert outcome.result == result


@pytest.mark.parametrize(("before", "result"), [(SECOND, "not_due"), (0 * SECOND, "rotated")])
async def test_an_event_may_come_a_day_before_and_no_more(before: timedelta, result: str) -> None:
    world = await expiring(90)
    world.time.moment = world.latest.created_on + timedelta(days=59) - before
    assert (await world.ask(early=True)).result == result


# a version that begins later


@pytest.mark.parametrize(("before", "result"), [(SECOND, "not_due"), (0 * SECOND, "rotated"), (-SECOND, "rotated")])
async def test_a_version_that_is_not_valid_yet_is_not_rotated_until_it_is(before: timedelta, result: str) -> None:
    world = await expiring(10)
    await begins(world, world.now + before)
    assert (await world.ask("sweep")).result == result


async def test_an_operator_need_not_wait_until_a_version_is_valid() -> None:
    world = await expiring(10)
    await begins(world, world.now + timedelta(days=3))
    assert (await world.ask("operator", demanded=True)).result == "rotated"


# the interval


@pytest.mark.parametrize(("before", "result"), [(SECOND, "deferred"), (0 * SECOND, "rotated")])
async def test_the_interval_is_over_to_the_second_and_the_answer_says_when(before: timedelta, result: str) -> None:
    world = World()
    world.allow(min_interval=timedelta(hours=24))
    await world.start()
    assert (await world.ask()).result == "rotated"
    rotated_at = [record.at for record in world.ledger.records(REF) if record.step == "rotated"][-1]
    world.time.moment = rotated_at + timedelta(hours=24) - before
    outcome = await world.engine.plan(RotationRequest(REF, None, Reason.OPERATOR, "test", demanded=True))
    if result == "deferred":
        assert f"{rotated_at + timedelta(hours=24):%Y-%m-%d %H:%M} UTC" in outcome.detail
    asked = await world.ask("operator", demanded=True)
    assert (asked.result, asked.retry_after_s) == (result, 1 if result == "deferred" else None)


# the window


async def test_a_secret_that_never_ends_waits_for_the_window_as_others_do() -> None:
    world = World()
    world.allow(window=parse_window("Sat,Sun 01:00-05:00 UTC"))
    await world.vault.set(NAME, value("app", "first"), tags=world.tags)
    world.time.moment = datetime.fromisoformat("2026-06-10T12:00:00+00:00")  # a Wednesday
    assert (await world.ask("sweep")).result == "deferred"
    world.time.moment = datetime.fromisoformat("2026-06-13T01:00:00+00:00")
    assert (await world.ask("sweep")).result == "rotated"


@pytest.mark.parametrize(("before", "result"), [(SECOND, "deferred"), (0 * SECOND, "rotated")])
async def test_the_window_is_waited_for_until_the_very_end_of_a_life(before: timedelta, result: str) -> None:
    world = World()
    world.allow(window=parse_window("Sat,Sun 01:00-05:00 UTC"))
    world.time.moment = datetime.fromisoformat("2026-06-01T12:00:00+00:00")
    await world.start()  # ten days, so until a Thursday
    assert world.latest.expires_on is not None
    world.time.moment = world.latest.expires_on - before
    assert (await world.ask("sweep")).result == result
