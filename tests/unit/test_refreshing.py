"""Refresh targets are asked to take a new version: once each, again after a lost answer, and never at a price."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from rotation.engine.sweep import Sweeper
from rotation.errors import Denied, Gone, LeaseLost, Refused, RotationError, Throttled, Unreachable
from rotation.ledger.history import History
from rotation.ledger.records import Record, Step
from rotation.ledger.refreshes import AT_MOST, WAITS
from rotation.model import Outcome, Reason, Result, RotationRequest, SecretValue
from rotation.reasons import RefreshState
from rotation.terms import Refresh
from tests.crash.test_killed_anywhere import install, quiet
from tests.fakes import parts, value
from tests.following import FollowedWorld
from tests.killer import Killed, Killer
from tests.timed_queue import TimedQueue
from tests.world import KINDS, NAME, REF, World

SITE = Refresh("app-settings", "/subscriptions/s/resourcegroups/g/providers/microsoft.web/sites/shop")
HOOK = Refresh("webhook", "https://shop.example/hook", (), ("kv", "hook-key"))
KEY = "whsec_aXQgaXMgYSB0ZXN0J3Mgb3duIGtleSwgMzIgYnl0ZXM="


async def world_with(*refresh_targets: Refresh, variant: str = "in-place") -> World:
    world = World(variant)
    world.allow(refresh=refresh_targets)
    await world.start()
    await world.vault.set("hook-key", SecretValue(KEY), tags={})
    world.vault.calls.clear()
    return world


def states(outcome: Outcome) -> Mapping[str, RefreshState]:
    return {one.name: one.state for one in outcome.refreshed}


def told(world: World) -> list[Mapping[str, str]]:
    """What the history says of refresh targets that were asked."""
    return [record.refreshed for record in world.ledger.records(REF) if record.refreshed]


async def later(world: World, *, ahead: timedelta = timedelta(hours=25)) -> Outcome:
    """A look for the sake of nothing else."""
    world.time.moment += ahead
    return await world.ask("refresh")


@pytest.mark.parametrize("variant", KINDS)
async def test_each_refresh_target_is_asked_once_after_the_version_is_out_and_proven(variant: str) -> None:
    world = await world_with(SITE, HOOK, variant=variant)
    outcome = await world.ask()
    assert outcome.result is Result.ROTATED
    assert states(outcome) == {SITE.name: RefreshState.DONE, HOOK.name: RefreshState.DONE}
    assert [order.version for order in world.refresh_targets.asked] == [world.latest.version] * 2
    assert {order.refresh: order.secret for order in world.refresh_targets.asked} == {
        SITE: None,
        HOOK: SecretValue(KEY),
    }
    await later(world)
    assert len(world.refresh_targets.asked) == 2


async def test_the_record_of_the_version_says_who_will_be_asked_and_a_later_one_who_was() -> None:
    world = await world_with(SITE, HOOK)
    await world.ask()
    records = world.ledger.records(REF)
    (published,) = [record for record in records if record.step is Step.PUBLISHED]
    assert published.refresh == [SITE.name, HOOK.name]
    assert (records[-1].version, records[-1].refreshed) == (
        world.latest.version,
        {SITE.name: "done", HOOK.name: "done"},
    )
    assert Record.from_line(records[-1].to_line()) == records[-1]


async def test_a_rule_without_refresh_targets_costs_no_call_and_no_field() -> None:
    world = await world_with()
    outcome = await world.ask()
    assert (outcome.refreshed, told(world)) == ((), [])
    assert "refresh" not in "".join(record.to_line() for record in world.ledger.records(REF))
    with_one = await world_with(SITE)
    await with_one.ask()
    assert with_one.vault.calls == world.vault.calls
    assert with_one.ledger.appends == world.ledger.appends + 1


@pytest.mark.parametrize("variant", KINDS)
@pytest.mark.parametrize(
    "wrong", [Unreachable("down"), Refused("no right"), ValueError("of a library"), Denied("no")], ids=repr
)
async def test_a_refresh_target_that_is_down_changes_nothing_about_the_rotation(variant: str, wrong: Exception) -> None:
    """But for the records of it: outcome, versions and steps are those of a rule without it."""
    plain, failing = await world_with(variant=variant), await world_with(SITE, variant=variant)
    failing.refresh_targets.wrong = wrong
    one, other = await plain.ask(), await failing.ask()
    assert replace(other, refreshed=(), detail="", duration_ms=0) == replace(one, detail="", duration_ms=0)
    assert states(other) == {SITE.name: RefreshState.FAILED}
    steps = [record.step for record in failing.ledger.records(REF) if not record.refreshed]
    assert steps == [record.step for record in plain.ledger.records(REF)]


async def world_followed(variant: str, let_in: list[bool]) -> FollowedWorld:
    """let_in: at each call of the one refresh target, whether all followers had the new login."""
    world = await FollowedWorld(variant).start()
    world.allow(followers=tuple(map(str, world.refs)), refresh=(SITE,))

    async def look(when: str, _call: str, _name: str) -> None:
        if when == "before":
            let_in.append(all(world.login_of(ref) == parts(world.latest.value) for ref in world.refs))

    world.refresh_targets.hook = look
    return world


@pytest.mark.parametrize("variant", ["in-place", "alternating"])
async def test_followers_are_written_before_anybody_is_asked_also_after_a_kill_at_any_moment(variant: str) -> None:
    let_in: list[bool] = []
    counted = await world_followed(variant, let_in)
    counter = Killer(at=0)
    counted.listen(counter)
    assert states(await counted.ask()) == {SITE.name: RefreshState.DONE}
    assert let_in == [True]
    for at in range(1, counter.count + 1):
        let_in.clear()
        world = await world_followed(variant, let_in)
        pinned = world.latest.version
        world.listen(Killer(at))
        with pytest.raises(Killed):
            await world.ask(version=pinned)
        world.listen(quiet)
        world.time.ahead(seconds=61)
        await world.ask(version=pinned)
        await world.swept()  # where the version is out and not proven yet, the message that comes again proves nothing
        assert let_in, f"killed at {at}: nobody was asked"
        assert all(let_in), f"killed at {at}: asked while a follower had the old login"


async def test_followers_of_what_a_repair_wrote_are_written_before_anybody_is_asked() -> None:
    let_in: list[bool] = []
    world = await world_followed("alternating", let_in)
    await world.ask()
    user, _ = parts(world.latest.value)
    world.server.passwords[user] = "somebody's"
    world.time.ahead(hours=25)
    let_in.clear()
    assert (await world.ask("sweep")).result is Result.REPAIRED
    assert let_in == [True]


async def test_a_refresh_target_that_failed_is_asked_again_by_a_message_and_one_that_was_reached_is_not() -> None:
    world = await world_with(SITE, HOOK)
    world.queue = TimedQueue(world.time)

    async def one_is_down(when: str, _call: str, name: str) -> None:
        if when == "before" and name == SITE.name:
            raise Unreachable("down")

    world.refresh_targets.hook = one_is_down
    await world.ask()
    world.refresh_targets.hook = quiet
    (message,) = world.queue.messages
    assert message.visible_at == world.time.monotonic() + WAITS[0].total_seconds()
    assert '"reason": "refresh"' in message.text
    assert states(await later(world, ahead=WAITS[0])) == {SITE.name: RefreshState.DONE}
    assert [order.refresh for order in world.refresh_targets.asked] == [HOOK, SITE]


@pytest.mark.parametrize(("wants", "waits"), [(None, 10), (3, 10), (90, 90), (10**9, 86_400)])
async def test_a_refresh_target_that_says_when_to_come_back_is_left_alone_until_then(
    wants: int | None, waits: int
) -> None:
    world = await world_with(SITE)
    world.queue = TimedQueue(world.time)
    world.refresh_targets.wrong = Throttled("too many calls", retry_after_s=wants)
    await world.ask()
    (message,) = world.queue.messages
    assert message.visible_at == world.time.monotonic() + waits


async def test_an_answer_that_was_lost_brings_a_second_call() -> None:
    world = await world_with(SITE)

    async def lost(when: str, _call: str, _name: str) -> None:
        if when == "after":
            raise Unreachable("no answer")

    world.refresh_targets.hook = lost
    assert states(await world.ask()) == {SITE.name: RefreshState.FAILED}
    world.refresh_targets.hook = quiet
    assert states(await later(world)) == {SITE.name: RefreshState.DONE}
    first, second = world.refresh_targets.asked
    assert first == second, "the same words, so that whoever keeps the id sees that it is no second rotation"


async def test_a_refresh_target_is_not_asked_before_its_time() -> None:
    world = await world_with(SITE)
    world.refresh_targets.wrong = Unreachable("down")
    await world.ask()
    world.refresh_targets.wrong = None
    assert states(await later(world, ahead=timedelta(seconds=3))) == {}
    assert states(await later(world, ahead=timedelta(seconds=6))) == {SITE.name: RefreshState.DONE}


async def test_it_is_given_up_after_so_many_tries_and_the_outcome_says_so() -> None:
    world = await world_with(SITE)
    world.refresh_targets.wrong = Refused("the site is not there")
    outcomes = [await world.ask()] + [await later(world) for _ in range(AT_MOST)]
    ended = [states(outcome).get(SITE.name) for outcome in outcomes]
    assert ended == [RefreshState.FAILED] * (AT_MOST - 1) + [RefreshState.GIVEN_UP, None]
    assert "the site is not there" in outcomes[0].detail
    world.refresh_targets.wrong = None
    await later(world)
    assert world.refresh_targets.asked == []


async def test_the_next_rotation_asks_one_that_was_given_up_again() -> None:
    world = await world_with(SITE)
    world.refresh_targets.wrong = Gone("410")
    assert states(await world.ask()) == {SITE.name: RefreshState.GIVEN_UP}
    world.refresh_targets.wrong = None
    assert states(await world.ask("operator", demanded=True)) == {SITE.name: RefreshState.DONE}


async def test_only_the_newest_version_is_owed() -> None:
    world = await world_with(SITE)
    world.refresh_targets.wrong = Unreachable("down")
    await world.ask()
    world.refresh_targets.wrong = None
    await world.ask("operator", demanded=True)
    assert [order.version for order in world.refresh_targets.asked] == [world.latest.version]
    await later(world)
    assert len(world.refresh_targets.asked) == 1


async def test_what_the_policy_names_no_longer_is_not_asked() -> None:
    world = await world_with(SITE)
    world.refresh_targets.wrong = Unreachable("down")
    await world.ask()
    world.refresh_targets.wrong = None
    world.allow(refresh=(HOOK,))
    assert states(await later(world)) == {SITE.name: RefreshState.DROPPED}
    assert (await later(world)).refreshed == ()
    assert world.refresh_targets.asked == []


@pytest.mark.parametrize("variant", KINDS)
async def test_killed_at_any_moment_the_next_look_asks_and_no_second_one_does(variant: str) -> None:
    counted = await world_with(SITE, variant=variant)
    counter = Killer(at=0)
    install(counted, counter)
    counted.refresh_targets.hook = counter
    await counted.ask()
    twice = 0
    for at in range(1, counter.count + 1):
        world = await world_with(SITE, variant=variant)
        killer = Killer(at)
        install(world, killer)
        world.refresh_targets.hook = killer
        with pytest.raises(Killed):
            await world.ask()
        install(world, quiet)
        world.refresh_targets.hook = quiet
        for _ in range(3):
            world.time.ahead(minutes=30)
            await world.ask("sweep")
        asked = [order.version for order in world.refresh_targets.asked]
        assert set(asked) == {world.latest.version}, f"killed at {at}"
        assert len(asked) <= 2, f"killed at {at}"
        twice += len(asked) == 2
        before = len(asked)
        await later(world)
        assert len(world.refresh_targets.asked) == before, f"killed at {at}: asked for ever"
    assert 0 < twice <= 3, "only a kill after the call and before its record brings a second one"


async def test_a_message_for_an_older_version_still_asks_for_the_newest() -> None:
    world = await world_with(SITE)
    first = world.latest.version
    world.refresh_targets.wrong = Unreachable("down")
    await world.ask()
    world.refresh_targets.wrong = None
    world.time.ahead(hours=1)
    outcome = await world.ask("refresh", version=first)
    assert (outcome.result, states(outcome)) == (Result.SUPERSEDED, {SITE.name: RefreshState.DONE})


async def test_a_secret_that_is_written_again_by_a_repair_is_told_to_refresh_targets_as_well() -> None:
    world = await world_with(SITE, variant="overlapping")
    await world.ask()
    await world.write(value("k1", "typo"))
    outcome = await world.ask("sweep")
    assert (outcome.result, states(outcome)) == (Result.REPAIRED, {SITE.name: RefreshState.DONE})


async def test_a_key_that_can_not_be_read_is_a_failed_try_and_its_value_is_scrubbed_from_what_fails() -> None:
    elsewhere = Refresh("webhook", "https://shop.example/hook", (), ("kv-elsewhere", "hook-key"))
    gone = Refresh("webhook", "https://shop.example/other", (), ("kv", "no-such"))
    world = await world_with(elsewhere, gone)
    outcome = await world.ask()
    assert outcome.result is Result.ROTATED
    assert "kv-elsewhere/hook-key is in a vault that is not among ROTATION_VAULTS" in outcome.detail
    assert "there is no secret no-such" in outcome.detail
    shows = await world_with(HOOK)
    shows.refresh_targets.wrong = Refused(f"the key {KEY} is wrong")
    outcome = await shows.ask()
    assert KEY not in outcome.detail + "".join(record.to_line() for record in shows.ledger.records(REF))
    assert "the key [hidden] is wrong" in outcome.detail


async def test_a_record_that_can_not_be_written_makes_no_failure() -> None:
    world = await world_with(SITE)

    async def full(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("before", "append", Step.STAGED) and world.refresh_targets.asked:
            raise Unreachable("the ledger does not answer")

    world.ledger.hook = full
    world.queue = TimedQueue(world.time)
    assert (await world.ask()).result is Result.ROTATED
    assert world.queue.messages == [], "else a ledger that takes no record would have refresh targets asked without end"
    world.ledger.hook = quiet
    await later(world)
    assert len(world.refresh_targets.asked) == 2, "at least once"


async def test_an_instance_that_is_being_stopped_leaves_it_to_another() -> None:
    world = await world_with(SITE)
    world.queue = TimedQueue(world.time)

    async def stops(when: str, call: str, name: str) -> None:
        world.stopping = world.stopping or (when, call, name) == ("after", "append", Step.ROTATED)

    world.ledger.hook = stops
    assert (await world.ask()).result is Result.ROTATED
    assert world.refresh_targets.asked == []
    assert len(world.queue.messages) == 1
    world.stopping, world.ledger.hook = False, quiet
    await later(world, ahead=timedelta(seconds=1))
    assert len(world.refresh_targets.asked) == 1


async def asked_for(world: World, sweeper: Sweeper) -> list[RotationRequest]:
    return [one async for one in sweeper.requests(world.vault, world.now) if one.ref.name == NAME]


async def test_the_sweep_asks_for_what_is_owed_when_it_is_time_and_then_no_more() -> None:
    world = await world_with(SITE)
    sweeper = Sweeper(world.ledger, world.policy)
    world.refresh_targets.wrong = Unreachable("down")
    await world.ask()
    assert await asked_for(world, sweeper) == []
    world.time.ahead(seconds=11)
    (request,) = await asked_for(world, sweeper)
    assert request.reason is Reason.SWEEP
    world.refresh_targets.wrong = None
    await world.engine.handle(request)
    assert len(world.refresh_targets.asked) == 1
    world.time.ahead(minutes=30)
    assert await asked_for(world, sweeper) == []


async def test_a_plan_says_who_would_be_asked_and_asks_nobody() -> None:
    world = await world_with(SITE)
    outcome = await world.engine.plan(RotationRequest(REF, None, Reason.OPERATOR, "test", demanded=True))
    assert f"then asked to take it: {SITE.name}" in outcome.detail
    assert world.refresh_targets.asked == []


async def test_a_run_that_fails_asks_nobody() -> None:
    world = await world_with(SITE)
    world.server.down = True
    with pytest.raises(RotationError):
        await world.ask()
    assert world.refresh_targets.asked == []


async def test_nobody_is_asked_to_take_a_version_that_is_not_proven_yet() -> None:
    world = await world_with(SITE)
    first = world.latest.version

    async def goes_down(when: str, call: str, name: str) -> None:
        world.server.down = world.server.down or (when, call, name) == ("after", "set", NAME)

    world.vault.hook = goes_down
    with pytest.raises(RotationError):
        await world.ask()
    assert world.latest.version != first
    assert (await world.ask("refresh", version=first)).result is Result.SUPERSEDED
    assert world.refresh_targets.asked == []
    world.server.down, world.vault.hook = False, quiet
    await world.ask("sweep")
    assert [order.version for order in world.refresh_targets.asked] == [world.latest.version]


async def test_a_secret_that_is_no_longer_managed_is_still_owed_to_its_refresh_targets() -> None:
    world = await world_with(SITE)
    sweeper = Sweeper(world.ledger, world.policy)
    world.refresh_targets.wrong = Unreachable("down")
    await world.ask()
    world.refresh_targets.wrong = None
    await world.vault.set_tags(NAME, world.latest.version, {})
    assert await asked_for(world, sweeper) == []
    world.time.ahead(seconds=11)
    (request,) = await asked_for(world, sweeper)
    outcome = await world.engine.handle(request)
    assert (outcome.result, states(outcome)) == (Result.UNMANAGED, {SITE.name: RefreshState.DONE})


async def test_the_last_thing_that_was_done_to_a_secret_is_its_rotation_and_not_the_asking() -> None:
    world = await world_with(SITE)
    await world.ask()
    last = History(world.ledger.records(REF)).last_done()
    assert last is not None
    assert last.step is Step.ROTATED


async def test_a_run_that_lost_its_lease_counts_no_try() -> None:
    world = await world_with(SITE)
    world.refresh_targets.wrong = LeaseLost("it ran out")
    outcome = await world.ask()
    assert (outcome.result, outcome.refreshed, told(world)) == (Result.ROTATED, (), [])
    world.refresh_targets.wrong = None
    assert states(await world.ask("sweep")) == {SITE.name: RefreshState.DONE}
