"""Of a follower that is written after its leader's refresh targets were asked: they are asked again."""

from datetime import timedelta

import pytest

from rotation.errors import RotationError, Unreachable
from rotation.ledger.records import AboutTo, Step
from rotation.model import Reason, Result
from rotation.reasons import RefreshState
from rotation.terms import Refresh
from tests.crash.test_killed_anywhere import quiet
from tests.fakes import uri
from tests.following import ELSEWHERE, URL, FollowedWorld, keywords
from tests.killer import Killed, Killer
from tests.timed_queue import TimedQueue
from tests.world import NAME, REF

SITE = Refresh("app-settings", "/subscriptions/s/resourcegroups/g/providers/microsoft.web/sites/shop")
JOB = Refresh("github", "contoso/orders", (("workflow", "refresh.yml"), ("ref", "main")))


async def world_of(*refresh_targets: Refresh, variant: str = "alternating") -> FollowedWorld:
    world = await FollowedWorld(variant).start()
    world.allow(refresh=refresh_targets)
    return world


async def rotated_without(world: FollowedWorld) -> None:
    """Two roles: the rotation goes on while a follower can't be read, so that refresh targets are asked too early."""
    await world.second.set_enabled(ELSEWHERE.name, world.of(ELSEWHERE).version, enabled=False)
    assert (await world.rotate()).result is Result.ROTATED
    assert not world.lets_in(ELSEWHERE) or world.login_of(ELSEWHERE) != world.login_of(URL)
    await world.second.set_enabled(ELSEWHERE.name, world.of(ELSEWHERE).version, enabled=True)
    world.time.ahead(hours=1)


def asked(world: FollowedWorld) -> list[str]:
    return [order.refresh.name for order in world.refresh_targets.asked]


async def test_a_follower_that_the_sweep_writes_later_has_the_refresh_targets_asked_again_once() -> None:
    world = await world_of(SITE, JOB)
    await rotated_without(world)
    assert asked(world) == [SITE.name, JOB.name]
    (outcome,) = await world.swept()
    assert world.login_of(ELSEWHERE) == world.login_of(URL)
    assert {one.name: one.state for one in outcome.refreshed} == dict.fromkeys((SITE.name, JOB.name), RefreshState.DONE)
    assert asked(world) == [SITE.name, JOB.name] * 2
    world.time.ahead(hours=1)
    assert await world.swept() == []
    assert len(asked(world)) == 4


async def test_the_record_before_the_write_says_who_will_be_asked() -> None:
    world = await world_of(SITE)
    await rotated_without(world)
    await world.swept()
    (record,) = [one for one in world.ledger.records(REF) if one.about_to == AboutTo.FOLLOW]
    assert (record.step, record.refresh, record.version) == (Step.STAGED, [SITE.name], world.latest.version)


async def test_a_rule_without_refresh_targets_gets_no_field() -> None:
    world = await world_of()
    await rotated_without(world)
    await world.swept()
    (record,) = [one for one in world.ledger.records(REF) if one.about_to == AboutTo.FOLLOW]
    assert record.refresh is None


async def test_each_time_is_another_order_so_that_a_receiver_takes_none_for_a_repetition() -> None:
    world = await world_of(SITE)
    await rotated_without(world)
    for _ in range(2):
        await world.swept()
        world.time.ahead(hours=1)
        await world.put(ELSEWHERE, uri("a", "somebody-elses"))
        world.time.ahead(hours=1)
    await world.swept()
    ids = [(order.operation_id, order.version) for order in world.refresh_targets.asked]
    assert len(set(ids)) == len(ids) == 4
    assert {version for _, version in ids} == {world.latest.version}


async def test_where_the_leader_was_never_published_by_a_run_they_are_asked_for_the_first_time() -> None:
    world = await FollowedWorld("alternating").start()
    world.allow(refresh=(SITE,))
    await world.write(world.latest.value, world.tags | {"lead-days": "1"})
    assert (await world.ask("sweep")).result is Result.NOT_DUE  # proven, and known from now on
    await world.put(URL, keywords("a", "somebody-elses"))
    world.time.ahead(hours=1)
    await world.swept()
    assert world.login_of(URL) == ("a", "firstpassword")
    assert asked(world) == [SITE.name]


async def test_killed_at_any_call_they_are_asked_after_the_follower_is_written() -> None:
    counted = await world_of(SITE)
    await rotated_without(counted)
    counter = Killer(at=0)
    counted.listen(counter)
    counted.refresh_targets.hook = counter
    (request,) = await counted.sweep()
    counter.count = 0
    await counted.engine.handle(request)
    for at in range(1, counter.count + 1):
        world = await world_of(SITE)
        await rotated_without(world)
        (request,) = await world.sweep()
        killer = Killer(at)
        world.listen(killer)
        world.refresh_targets.hook = killer
        with pytest.raises(Killed):
            await world.engine.handle(request)
        world.listen(quiet)
        let_in: list[bool] = []

        async def look(when: str, _call: str, _name: str, world: FollowedWorld = world) -> None:
            if when == "before":
                let_in.append(world.login_of(ELSEWHERE) == world.login_of(URL))  # noqa: B023  called in this round

        world.refresh_targets.hook = look
        world.time.ahead(minutes=30)
        await world.swept()
        assert world.login_of(ELSEWHERE) == world.login_of(URL), f"killed at {at}"
        times = len(asked(world))
        assert times >= 2, f"killed at {at}: not asked after the follower was written"
        assert all(let_in), f"killed at {at}"
        world.time.ahead(minutes=30)
        await world.swept()
        assert len(asked(world)) == times, f"killed at {at}: asked for ever"


async def test_while_the_follower_can_not_be_written_nobody_is_asked_and_no_message_is_left() -> None:
    world = await world_of(SITE)
    await rotated_without(world)
    world.queue = TimedQueue(world.time)

    async def refuses(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("before", "set", ELSEWHERE.name):
            raise Unreachable("the vault does not answer")

    world.second.hook = refuses
    for _ in range(3):
        (outcome,) = await world.swept()
        assert "can't be written" in outcome.detail
        assert outcome.refreshed == ()
        world.time.ahead(hours=1)
    assert (asked(world), world.queue.messages) == ([SITE.name], [])
    world.second.hook = quiet
    await world.swept()
    assert asked(world) == [SITE.name] * 2


async def test_what_is_owed_since_the_publication_is_asked_all_the_same_while_a_follower_waits() -> None:
    world = await world_of(SITE)
    world.refresh_targets.wrong = Unreachable("down")
    await rotated_without(world)

    async def refuses(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("before", "set", ELSEWHERE.name):
            raise Unreachable("the vault does not answer")

    world.second.hook, world.refresh_targets.wrong = refuses, None
    await world.swept()
    assert asked(world) == [SITE.name]
    world.second.hook = quiet
    world.time.ahead(hours=1)
    await world.swept()
    assert asked(world) == [SITE.name] * 2


async def test_an_answer_of_the_vault_that_was_lost_is_found_by_the_next_sweep() -> None:
    world = await world_of(SITE)
    await rotated_without(world)

    async def lost(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("after", "set", ELSEWHERE.name):
            raise Unreachable("no answer")

    world.second.hook = lost
    await world.swept()
    world.second.hook = quiet
    world.time.ahead(hours=1)
    await world.swept()
    assert world.login_of(ELSEWHERE) == world.login_of(URL)
    assert asked(world) == [SITE.name] * 2


async def test_a_follower_that_needs_no_new_login_any_more_is_not_waited_for() -> None:
    """Killed before the write; then its owner writes the right login, and takes it out of the policy or deletes it."""
    for deed in ("written", "deleted", "out"):
        world = await world_of(SITE)
        await rotated_without(world)
        (request,) = await world.sweep()

        async def killed(when: str, call: str, name: str) -> None:
            if (when, call, name) == ("before", "set", ELSEWHERE.name):
                raise Killed

        world.second.hook = killed
        with pytest.raises(Killed):
            await world.engine.handle(request)
        world.second.hook = quiet
        if deed == "written":
            await world.put(ELSEWHERE, world.latest.value)
        elif deed == "deleted":
            world.second.delete(ELSEWHERE.name)
        else:
            world.allow(followers=(str(URL),))
        world.time.ahead(hours=1)
        await world.swept()
        assert asked(world) == [SITE.name] * 2, deed
        world.time.ahead(hours=1)
        assert await world.swept() == [], deed


async def test_after_a_kill_whoever_the_policy_names_by_then_is_asked() -> None:
    world = await world_of(SITE)
    await rotated_without(world)
    (request,) = await world.sweep()

    async def killed(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("before", "set", ELSEWHERE.name):
            raise Killed

    world.second.hook = killed
    with pytest.raises(Killed):
        await world.engine.handle(request)
    world.second.hook = quiet
    world.allow(refresh=(SITE, JOB))
    world.time.ahead(hours=1)
    await world.swept()
    assert asked(world) == [SITE.name, SITE.name, JOB.name]


async def test_nobody_is_asked_for_a_leader_that_is_not_proven_yet() -> None:
    world = await world_of(SITE, variant="in-place")
    first = world.latest.version

    async def goes_down(when: str, call: str, name: str) -> None:
        world.server.down = world.server.down or (when, call, name) == ("after", "set", NAME)

    async def refuses(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("before", "set", ELSEWHERE.name):
            raise Unreachable("the vault does not answer")

    world.vault.hook, world.second.hook = goes_down, refuses
    with pytest.raises(RotationError):
        await world.rotate()
    world.vault.hook = world.second.hook = quiet
    world.time.ahead(seconds=61)
    assert (await world.ask("refresh", version=first)).result is Result.SUPERSEDED
    assert world.login_of(ELSEWHERE) == world.login_of(URL), "mended by the message, before its leader is proven"
    assert asked(world) == []
    world.server.down = False
    world.time.ahead(hours=1)
    await world.swept()
    assert asked(world) == [SITE.name]


async def test_a_follower_that_is_written_while_a_refresh_target_is_down_begins_its_tries_anew() -> None:
    world = await world_of(SITE)
    world.refresh_targets.wrong = Unreachable("down")
    await rotated_without(world)
    (outcome,) = await world.swept()
    assert [one.state for one in outcome.refreshed] == [RefreshState.FAILED]
    world.time.ahead(seconds=11)
    world.refresh_targets.wrong = None
    outcome = await world.ask(Reason.REFRESH)
    assert [one.state for one in outcome.refreshed] == [RefreshState.DONE]
    world.time.ahead(seconds=timedelta(hours=25).total_seconds())
    await world.swept()
    assert asked(world) == [SITE.name]
