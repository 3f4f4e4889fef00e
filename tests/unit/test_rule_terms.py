"""Each term of a rule decides something: what a run does, and what a plan says of it."""

import random
from datetime import datetime, timedelta

import pytest

from rotation.engine.engine import Engine, EngineDependencies
from rotation.errors import Denied, Unusable
from rotation.ledger.history import History
from rotation.ledger.records import Record, Step
from rotation.model import Adopt, Force, Outcome, Reason, RotationRequest, SecretValue
from rotation.policy.windows import parse_window
from tests.fakes import value
from tests.world import NAME, REF, World


async def rotated(kind: str = "in-place", **terms: object) -> World:
    """Rotated a moment ago, on these terms."""
    world = World(kind)
    world.allow(**terms)
    await world.start()
    assert (await world.ask()).result == "rotated"
    world.time.ahead(seconds=10)
    return world


async def demanded(world: World, force: Force = Force.NO) -> Outcome:
    return await world.ask("operator", demanded=True, force=force)


async def planned(world: World) -> Outcome:
    return await world.engine.plan(RotationRequest(REF, None, Reason.OPERATOR, "test", demanded=True))


# min-interval-hours


@pytest.mark.parametrize(
    ("hours", "after", "result"), [(24, 23, "deferred"), (24, 25, "rotated"), (0, 0, "rotated"), (2, 3, "rotated")]
)
async def test_the_interval_holds_back_even_what_an_operator_asks_for(hours: int, after: int, result: str) -> None:
    world = await rotated(min_interval=timedelta(hours=hours))
    world.time.ahead(hours=after)
    assert (await planned(world)).result == ("planned" if result == "rotated" else result)
    assert (await demanded(world)).result == result


async def test_force_overrides_the_interval() -> None:
    world = await rotated(min_interval=timedelta(hours=24))
    assert (await demanded(world, Force.YES)).result == "rotated"


# window


@pytest.mark.parametrize(
    ("window", "result"), [("Sat,Sun 01:00-05:00 UTC", "deferred"), ("Mon-Sun 00:00-24:00 UTC", "rotated")]
)
async def test_a_window_holds_back_what_is_due(window: str, result: str) -> None:
    world = World()
    world.allow(window=parse_window(window))
    await world.start()
    world.time.moment = world.time.moment.replace(hour=12)  # no time of day that the window has
    assert (await planned(world)).result == ("planned" if result == "rotated" else result)
    assert (await world.ask()).result == result


async def test_what_has_ended_waits_for_no_window() -> None:
    world = World()
    world.allow(window=parse_window("Sat,Sun 01:00-05:00 UTC"))
    await world.start()
    world.time.moment = (world.time.moment + timedelta(days=11)).replace(hour=12)
    assert (await world.ask()).result == "rotated"


# expiry-jitter-percent


def life(world: World) -> timedelta:
    assert world.latest.expires_on is not None
    return world.latest.expires_on - world.latest.created_on


@pytest.mark.parametrize("percent", [0, 5, 20])
async def test_jitter_shortens_a_life_by_so_much_at_most_and_lengthens_none(percent: int) -> None:
    lives = []
    for seed in range(12):
        world = World()
        world.allow(jitter_percent=percent)
        await world.start()
        parts = EngineDependencies(
            {"kv": world.vault}, world.ledger, world.policy, world._rotator, world.time.clock, random.Random(seed)
        )
        await Engine(parts).handle(RotationRequest(REF, None, Reason.NEAR_EXPIRY, "test"))
        lives.append(life(world))
    full, slack = timedelta(days=90), timedelta(seconds=5)
    assert max(lives) <= full + slack
    assert min(lives) >= full * (1 - percent / 100) - slack
    assert (max(lives) - min(lives) > full * percent / 200) is (percent > 0), "and it varies"


# verify-hours


@pytest.mark.parametrize(
    ("every", "checks"), [(None, 0), (timedelta(hours=24), 1), (timedelta(hours=800), 0), (timedelta(hours=1), 1)]
)
async def test_a_run_verifies_as_the_rule_says(every: timedelta | None, checks: int) -> None:
    world = await rotated(verify_every=every)
    world.time.ahead(days=20)
    assert (await world.ask("sweep")).result == "not_due"
    assert sum(record.step is Step.VERIFIED for record in world.ledger.records(REF)) == checks


# slots: what a claim does not name is held against the rule where it becomes known


async def test_the_slot_that_a_login_proves_must_be_permitted() -> None:
    world = World("overlapping")
    world.allow(slots=("k9",))
    await world.start()
    with pytest.raises(Denied, match="slot k0 "):
        await world.ask()
    assert world.server.changes == []


async def test_the_slot_that_a_provider_assigns_must_be_permitted() -> None:
    world = World("overlapping")
    world.allow(slots=("k0",))
    await world.start()
    with pytest.raises(Denied, match="slot k1 "):
        await world.ask()
    assert len(world.vault.all(NAME)) == 1, "what is not permitted is not published"


async def test_the_slot_that_is_drafted_must_be_permitted() -> None:
    world = World("made-here")
    await world.start()
    world.allow(slots=(world.latest.version,))
    with pytest.raises(Denied, match="slot "):
        await world.ask()
    assert world.staged_enabled() == []
    assert world.server.changes == []


async def test_a_slot_that_is_permitted_no_longer_is_not_set_anew() -> None:
    world = await rotated("overlapping")
    world.allow(slots=("k9",))
    world.server.passwords.clear()
    before = list(world.server.changes)
    world.time.ahead(hours=25)  # the daily check finds out
    with pytest.raises(Denied, match="slot k1 "):
        await world.ask("sweep")
    assert world.server.changes == before


async def test_what_an_operator_resets_must_be_permitted_as_the_value_names_it() -> None:
    world = World("alternating+admin")
    await world.start()
    await world.write(value("c", "does not work"))
    request = RotationRequest(
        REF, None, Reason.OPERATOR, "test", Force.YES, demanded=True, adopt=Adopt.RESET, slots=("a", "b")
    )
    with pytest.raises(Denied, match="slot c "):
        await world.engine.handle(request)
    assert world.server.changes == []


async def test_an_old_slot_that_is_permitted_no_longer_is_not_retired() -> None:
    world = await rotated("overlapping")
    world.allow(slots=("k1",))
    world.time.ahead(days=10)
    await world.ask("sweep")
    assert world.server.passwords["k0"] is not None
    world.allow(slots=("k0", "k1"))
    assert (await world.ask("sweep")).result == "retired"
    assert world.server.passwords["k0"] is None


# tags


async def test_a_plan_says_that_the_tags_leave_no_room() -> None:
    world = World()
    world.tags |= {f"t{number}": "x" for number in range(15 - len(world.tags))}
    await world.start()
    with pytest.raises(Unusable, match="tags"):
        await planned(world)
    with pytest.raises(Unusable, match="tags"):
        await world.ask()


async def test_restored_tags_overwrite_none_that_stands_there() -> None:
    world = await rotated()
    await world.write(world.latest.value, tags={"team": "new", "cost": "7"})
    await world.ask(restore_tags=True)
    assert {name: world.latest.tags[name] for name in ("team", "cost", "rotator", "validity-days")} == {
        "team": "new", "cost": "7", "rotator": "in-place", "validity-days": "90",
    }  # fmt: skip


def record(step: Step, tags: dict[str, str] | None, version: str | None = None) -> Record:
    return Record(
        datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
        step,
        "op",
        "sweep",
        "test",
        version=version,
        slot="a",
        tags=tags,
    )


def test_tags_are_those_of_a_version_that_was_published_and_of_that_one() -> None:
    history = History(
        [
            record(Step.PUBLISHED, {"team": "one"}, "v1"),
            record(Step.PUBLISHED, {"team": "two"}, "v2"),
            record(Step.APPLYING, {"team": "begun"}),
            record(Step.FAILED, {"team": "failed"}),
        ]
    )
    assert history.tags() == {"team": "two"}
    assert history.tags_of("v1") == {"team": "one"}
    assert history.tags_of("v3") is None


async def test_no_value_stands_in_what_these_tests_deny() -> None:
    world = World("overlapping")
    world.allow(slots=("k9",))
    await world.start()
    with pytest.raises(Denied) as denied:
        await world.ask()
    assert SecretValue("first").reveal() not in denied.value.message
