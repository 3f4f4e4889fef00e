"""Secrets that repeat another's credential: each is written when its leader is, and by nobody else."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from app.messages import from_text
from rotation.engine.engine import Engine
from rotation.errors import BoundElsewhere, Denied, NotFound, Throttled, Unreachable, Unusable
from rotation.formats import read
from rotation.ledger.records import AboutTo, Step
from rotation.model import Force, Reason, Result, RotationRequest, SecretRef, SecretValue
from rotation.policy import Policy, Rule
from tests.fakes import uri
from tests.following import BARE, ELSEWHERE, URL, FollowedWorld, keywords
from tests.timed_queue import TimedQueue
from tests.world import NAME, REF

EACH_KIND = pytest.mark.parametrize("variant", ["in-place", "in-place+admin", "alternating", "alternating+admin"])


async def world_of(variant: str = "in-place") -> FollowedWorld:
    return await FollowedWorld(variant).start()


async def known(variant: str = "in-place") -> FollowedWorld:
    """Rotated once, so long ago that nothing waits."""
    world = await world_of(variant)
    await world.rotate()
    world.time.ahead(hours=100)
    for _ in range(3):
        await world.swept()
        world.time.ahead(hours=1)
    return world


def sets(world: FollowedWorld) -> list[tuple[str, str]]:
    return [call for vault in (world.vault, world.second) for call in vault.calls if call[0] == "set"]


# what a follower gets


@EACH_KIND
async def test_a_rotation_writes_each_follower_in_its_own_form(variant: str) -> None:
    world = await world_of(variant)
    before = {ref: world.of(ref) for ref in world.refs}
    assert (await world.rotate()).result is Result.ROTATED
    assert world.all_let_in()
    for ref in world.refs:
        old, new = before[ref], world.of(ref)
        assert new.version != old.version
        assert (new.tags, new.content_type) == (old.tags, old.content_type)
        assert new.expires_on == world.latest.expires_on
        found, was = read(new.value), read(old.value)
        assert (found.name, found.hosts, found.dbname, found.options) == (was.name, was.hosts, was.dbname, was.options)


@EACH_KIND
async def test_a_follower_has_no_lease_no_history_and_no_staged_value(variant: str) -> None:
    world = await world_of(variant)
    await world.rotate()
    assert [entry.name async for entry in world.ledger.entries("kv")] == [NAME]
    assert [entry async for entry in world.ledger.entries("kv-b")] == []
    assert {name for _, name in sets(world)} <= {NAME, f"{NAME}--staged", "pg-admin", *(ref.name for ref in world.refs)}


async def test_who_is_named_and_does_not_follow_is_left_alone() -> None:
    world = await world_of()
    await world.put(URL, keywords("app", "theirs"), {"team": "y"})
    other = await world.put(ELSEWHERE, uri("app", "theirs"), {"follows": "kv/another"})
    assert (await world.rotate()).result is Result.ROTATED
    assert read(world.of(URL).value).password == SecretValue("theirs")
    assert world.of(ELSEWHERE) == other
    assert world.lets_in(BARE)


async def test_who_follows_and_is_not_named_is_left_alone() -> None:
    world = await world_of()
    world.allow(followers=(str(URL),))
    before = world.of(BARE)
    assert (await world.rotate()).result is Result.ROTATED
    assert world.of(BARE) == before
    assert world.lets_in(URL)


# whose request it is


async def test_a_followers_request_is_its_leaders() -> None:
    world = await world_of()
    event = RotationRequest(ELSEWHERE, world.of(ELSEWHERE).version, Reason.NEAR_EXPIRY, "event-grid", early=True)
    outcome = await world.engine.handle(event)
    assert (outcome.result, outcome.ref) == (Result.ROTATED, REF)
    assert outcome.detail.startswith("kv-b/orders-db follows kv/orders-db: ")
    assert world.all_let_in()
    # It comes again: its version is superseded by now, and the leader is not due.
    assert (await world.engine.handle(event)).result is Result.NOT_DUE
    assert len(world.server.changes) == 1


async def test_only_an_event_about_a_followers_latest_version_counts_as_early() -> None:
    world = await world_of()
    old = world.of(URL).version
    await world.rotate()
    expires = world.latest.expires_on
    assert expires is not None
    world.time.moment = expires - timedelta(days=30, hours=20)
    event = RotationRequest(URL, old, Reason.NEAR_EXPIRY, "event-grid", early=True)
    assert (await world.engine.handle(event)).result is Result.NOT_DUE
    assert (await world.engine.handle(replace(event, version=world.of(URL).version))).result is Result.ROTATED


async def test_an_operators_pin_is_on_the_followers_own_version() -> None:
    world = await world_of()
    version = world.of(URL).version
    wish = RotationRequest(URL, version, Reason.OPERATOR, "ops", Force.YES, demanded=True)
    assert (await world.engine.handle(wish)).result is Result.ROTATED
    again = await world.engine.handle(wish)
    assert (again.result, again.ref, again.version) == (Result.SUPERSEDED, URL, world.of(URL).version)
    assert len(world.server.changes) == 1


@pytest.mark.parametrize("leader", ["kv/orders-db", "kv/pg-admin", "kv/no-such", "evil/orders-db"])
async def test_a_follower_that_the_policy_does_not_name_is_denied_and_learns_nothing(leader: str) -> None:
    world = await world_of()
    stranger = SecretRef("kv-b", "stranger")
    await world.put(stranger, uri("app", "x"), {"follows": leader})
    world.vault.calls.clear()
    for call in (world.engine.handle, world.engine.plan):
        with pytest.raises(Denied) as denied:
            await call(RotationRequest(stranger, None, Reason.OPERATOR, "x", demanded=True))
        assert denied.value.message == (
            "no rule of the policy lets 'kv-b/stranger' follow the secret in its tag follows: add it to the "
            "`followers` of the rule that covers that secret, or take the tag off"
        )
    assert world.vault.calls == []


async def test_a_secret_that_a_rule_covers_follows_nobody() -> None:
    world = await world_of()
    await world.rotate()
    await world.write(world.latest.value, {**world.tags, "follows": "kv-b/orders-db"})
    with pytest.raises(Denied, match="lets 'kv/orders-db' follow"):
        await world.ask()
    assert [request.ref for request in await world.sweep()] == [REF], "so that somebody hears of it"
    with pytest.raises(Denied):
        await world.engine.plan(RotationRequest(REF, None, Reason.OPERATOR, "x"))


async def test_a_tag_that_names_no_secret_is_told() -> None:
    world = await world_of()
    await world.put(URL, world.of(URL).value, {"follows": "orders-db"})
    with pytest.raises(Unusable, match="make it VAULT/SECRET"):
        await world.engine.handle(RotationRequest(URL, None, Reason.OPERATOR, "x"))


async def test_a_leader_that_is_deleted_leaves_its_followers_as_they_are() -> None:
    world = await known()
    before = [world.of(ref) for ref in world.refs]
    world.vault.delete(NAME)
    with pytest.raises(NotFound, match="there is no secret orders-db"):
        await world.engine.handle(RotationRequest(ELSEWHERE, None, Reason.NEAR_EXPIRY, "x"))
    assert await world.sweep() == []
    assert [world.of(ref) for ref in world.refs] == before


# whoever is behind is written first


@EACH_KIND
async def test_a_follower_with_another_login_is_found_by_the_sweep_and_written(variant: str) -> None:
    world = await known(variant)
    assert await world.sweep() == []
    slot = read(world.latest.value).user or ""
    await world.put(ELSEWHERE, uri(slot, "typo"))
    assert not world.lets_in(ELSEWHERE)
    (outcome,) = await world.swept()
    assert outcome.result is Result.NOT_DUE
    assert world.all_let_in()
    assert await world.sweep() == []
    (act,) = [r for r in world.ledger.records(REF) if r.about_to == AboutTo.FOLLOW]
    assert (act.version, list(act.followers or ())) == (world.latest.version, [str(ELSEWHERE)])


async def test_they_come_before_a_message_is_found_to_be_superseded() -> None:
    world = await known()
    await world.put(URL, keywords("app", "typo"))
    assert (await world.ask(version="older")).result is Result.SUPERSEDED
    assert world.lets_in(URL)


@pytest.mark.parametrize("request_kind", ["sweep", "near-expiry"])
async def test_what_somebody_wrote_into_the_leader_reaches_no_follower_before_it_is_proven(request_kind: str) -> None:
    world = await known("in-place+admin")
    before = [world.of(ref).version for ref in world.refs]
    await world.write(uri("app", "typo"))
    assert (await world.ask(version="older")).result is Result.SUPERSEDED
    assert [world.of(ref).version for ref in world.refs] == before
    assert (await world.ask(request_kind)).result is Result.REPAIRED
    assert [world.of(ref).version for ref in world.refs] == before, "what works is the latest again"
    assert world.all_let_in()


async def test_what_works_is_followed_once_it_is_proven_and_named() -> None:
    world = await known()
    world.server.passwords["app"] = "byhand"
    await world.write(uri("app", "byhand"))
    await world.put(URL, keywords("app", "byhand"))
    hand = world.of(URL).version
    await world.ask("sweep")
    assert world.all_let_in()
    assert world.vault.all(URL.name)[-2].version == hand, (
        "due, it was rotated next: who had it already was not given the dead one in between"
    )


async def test_an_unmanaged_leader_whose_version_is_not_named_is_peoples_and_so_are_its_followers() -> None:
    world = await known()
    world.server.passwords["app"] = "byhand"
    await world.write(uri("app", "byhand"), {"team": "x"})
    await world.put(URL, keywords("app", "byhand2"))
    before = world.of(URL)
    await world.ask("sweep")
    assert world.of(URL) == before


async def test_a_version_without_tags_counts_as_a_follower_that_can_not_be_written() -> None:
    world = await known()
    await world.put(URL, keywords("app", "typo"), {})
    outcome = await world.rotate()
    assert outcome.result is Result.DEFERRED
    assert "kv/orders-url can't be written: its latest version was written without tags" in outcome.detail
    assert len(world.server.changes) == 1


# a change in place, and who can't be written


Spoil = Callable[[FollowedWorld], Awaitable[None]]


async def unreadable(world: FollowedWorld) -> None:
    async def hook(_when: str, call: str, _name: str) -> None:
        if call == "get":
            raise Unreachable("the vault did not answer")

    world.second.hook = hook


async def disabled(world: FollowedWorld) -> None:
    await world.second.set_enabled(ELSEWHERE.name, world.of(ELSEWHERE).version, enabled=False)


async def foreign(world: FollowedWorld) -> None:
    await world.put(ELSEWHERE, SecretValue("postgresql://app:firstpassword@evil.example:5432/orders"))


async def odd(world: FollowedWorld) -> None:
    await world.put(ELSEWHERE, SecretValue("mongodb://app:firstpassword@db.example/orders"))


async def copied(world: FollowedWorld) -> None:
    await world.put(URL, SecretValue(keywords("app", "firstpassword").reveal() + " sslkey=/keys/firstpassword"))


async def unlisted(world: FollowedWorld) -> None:
    del world.vaults["kv-b"]


WRONG = [(unreadable, 600), (disabled, None), (foreign, None), (odd, None), (copied, None), (unlisted, None)]


@pytest.mark.parametrize(("spoil", "again_s"), WRONG)
async def test_a_change_in_place_waits_for_a_follower_that_can_not_be_written(
    spoil: Spoil, again_s: int | None
) -> None:
    world = await world_of()
    await spoil(world)
    calls = len(sets(world))
    outcome = await world.rotate()
    assert (outcome.result, outcome.retry_after_s) == (Result.DEFERRED, again_s)
    assert "can't be written" in outcome.detail
    assert outcome.detail.count("its follower") == 1
    plan = await world.engine.plan(RotationRequest(REF, None, Reason.OPERATOR, "x", demanded=True))
    assert plan.result is Result.DEFERRED
    assert world.server.changes == []
    assert len(sets(world)) == calls, "and nothing was staged"
    assert world.works(world.latest)


@pytest.mark.parametrize(("spoil", "again_s"), WRONG)
async def test_an_operator_who_breaks_slow_consumers_does_not_wait(spoil: Spoil, again_s: int | None) -> None:
    world = await world_of()
    await spoil(world)
    outcome = await world.rotate(Force.GRACE)
    assert outcome.result is Result.ROTATED, again_s
    assert "can't be written" in outcome.detail
    assert world.lets_in(BARE)


async def test_a_leader_that_is_locked_out_does_not_wait_for_its_followers() -> None:
    world = await known("in-place+admin")
    await disabled(world)
    world.server.passwords["app"] = "somebody's"
    world.time.ahead(hours=25)
    assert (await world.ask("sweep")).result is Result.REPAIRED
    assert world.works(world.latest)
    assert world.lets_in(URL)


@pytest.mark.parametrize("room", ["kv", "kv-b"])
async def test_a_change_in_place_waits_for_room_in_each_followers_vault(room: str) -> None:
    world = await world_of()
    await world.ask()  # known, and not due any more
    world.time.ahead(hours=1)
    full = world.vaults[room]

    async def reserve(creations: int) -> None:
        if creations:
            raise Throttled("the vault takes no more new versions for now", retry_after_s=7)

    full.reserve_writes = reserve  # type: ignore[method-assign]
    changes = len(world.server.changes)
    outcome = await world.rotate()
    assert (outcome.result, outcome.retry_after_s) == (Result.DEFERRED, 7)
    assert len(world.server.changes) == changes


async def test_room_is_kept_for_each_follower_before_anything_changes() -> None:
    world = await world_of()
    rooms: list[tuple[str, int]] = []

    async def hook(when: str, call: str, name: str) -> None:
        if (when, call) == ("before", "change"):
            rooms.extend(("kv", one) for one in world.vault.rooms)
            rooms.extend(("kv-b", one) for one in world.second.rooms)

    world.listen(hook)
    await world.rotate()
    assert rooms == [("kv", 2), ("kv", 2), ("kv", 0), ("kv-b", 1)]
    assert sum(world.vault.rooms) == 4
    assert sum(world.second.rooms) == 1


async def test_in_place_followers_are_written_beside_the_leader_not_after_it() -> None:
    """Every vault call takes one unit: from the change to the last follower's new version it is one write."""
    world = await world_of()
    told: list[tuple[str, str, str]] = []

    async def hook(when: str, call: str, name: str) -> None:
        told.append((when, call, name))

    world.listen(hook)
    await world.rotate()
    gap = told[told.index(("after", "change", "app")) + 1 :]
    calls = [(call, name) for when, call, name in gap if when == "before" and call in {"get", "set", "versions"}]
    assert sorted(calls) == sorted([("set", NAME), *(("set", ref.name) for ref in world.refs)])
    first_end = next(at for at, one in enumerate(gap) if one[0] == "after")
    begun = [name for when, call, name in gap[:first_end] if (when, call) == ("before", "set")]
    assert begun[0] == NAME, "the leader first"


async def test_the_history_says_which_will_be_written_and_which_were() -> None:
    world = await world_of()
    before = {str(ref): world.of(ref).version for ref in world.refs}
    await world.rotate()
    records = {record.step: record for record in world.ledger.records(REF)}
    assert records[Step.APPLYING].followers == before
    assert records[Step.ROTATED].followers == {str(ref): world.of(ref).version for ref in world.refs}


async def test_a_follower_that_fails_in_the_gap_is_told_and_the_reminder_stays_to_mend_it() -> None:
    world = await world_of()
    world.queue = TimedQueue(world.time)

    async def hook(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "set"):
            raise Unreachable("the vault did not answer")

    world.second.hook = hook
    outcome = await world.rotate()
    assert outcome.result is Result.ROTATED
    assert "its follower kv-b/orders-db can't be written: the vault did not answer" in outcome.detail
    assert not world.lets_in(ELSEWHERE)
    assert world.lets_in(URL)
    world.second.hook = world.vault.hook
    world.time.ahead(seconds=70)
    (reminder,) = world.queue.messages
    assert (await world.engine.handle(from_text(reminder.text))).result is Result.SUPERSEDED
    assert world.all_let_in()


async def test_once_the_followers_have_the_new_login_the_reminder_is_called_off() -> None:
    world = await world_of()
    world.queue = TimedQueue(world.time)
    await world.rotate()
    assert (world.queue.left, world.queue.called_off, world.queue.messages) == (1, 1, [])


# old slots


async def test_an_old_role_lives_on_until_each_follower_is_past_it() -> None:
    world = await world_of("alternating")
    await disabled(world)
    outcome = await world.rotate()
    assert outcome.result is Result.ROTATED, "nobody is locked out by it"
    old = read(world.vault.all(NAME)[-2].value)
    world.time.ahead(hours=73)
    await world.swept()
    assert world.server.passwords["a"] == old.password.reveal()
    again = await world.rotate()
    assert (again.result, again.detail.partition(";")[0]) == (
        Result.DEFERRED, "a lives on until its followers are past it: kv-b/orders-db"
    )  # fmt: skip
    await world.second.set_enabled(ELSEWHERE.name, world.of(ELSEWHERE).version, enabled=True)
    await world.swept()
    assert world.lets_in(ELSEWHERE)
    assert world.server.passwords["a"] == old.password.reveal(), "its own readers have their grace as well"
    world.time.ahead(hours=71)
    await world.swept()
    assert world.server.passwords["a"] == old.password.reveal()
    world.time.ahead(hours=2)
    await world.swept()
    assert world.server.passwords["a"] != old.password.reveal()
    assert world.all_let_in()


async def test_two_roles_do_not_take_turns_for_a_follower_that_names_no_user() -> None:
    world = await world_of("alternating")
    await world.put(URL, SecretValue("firstpassword"))
    outcome = await world.rotate()
    assert outcome.result is Result.ROTATED
    assert "its value names no user, and two roles take turns" in outcome.detail
    assert world.of(URL).value == SecretValue("firstpassword")


# what is shown


async def test_a_plan_says_which_followers_would_be_written() -> None:
    world = await known()
    request = RotationRequest(REF, None, Reason.OPERATOR, "x")
    assert (await world.engine.plan(request)).result is Result.NOT_DUE
    demanded = await world.engine.plan(replace(request, demanded=True))
    assert "followers would be written: kv/orders-url, kv-b/orders-db, kv/orders-pw" in demanded.detail
    await world.put(URL, keywords("app", "typo"))
    outcome = await world.engine.plan(request)
    assert (outcome.result, outcome.detail.partition(";")[0]) == (
        Result.PLANNED, "followers would be written: kv/orders-url"
    )  # fmt: skip
    of_follower = await world.engine.plan(replace(request, ref=ELSEWHERE))
    assert of_follower.detail.startswith(
        "kv-b/orders-db follows kv/orders-db: followers would be written: kv/orders-url"
    )
    assert not world.lets_in(URL)


async def test_a_secret_without_followers_costs_no_call_more() -> None:
    counts = []
    for followers in ((), ("kv/none",)):
        world = FollowedWorld()
        world.refs = ()  # type: ignore[assignment]
        world.allow(followers=followers)
        await world.start()
        await world.rotate()
        world.time.ahead(hours=1)
        world.vault.calls.clear()
        await world.rotate()
        counts.append([name for _, name in world.vault.calls])
    assert counts[1].count("none") == 1
    assert [name for name in counts[1] if name != "none"] == counts[0]


# from follower to leader and back


async def test_a_former_owner_that_follows_now_does_not_hold_its_new_leader_up() -> None:
    world = await known()
    new = SecretRef("kv", "orders-new")
    tags = {**world.tags, "rotator": "in-place"}
    value = world.latest.value
    await world.vault.set(new.name, value, tags=tags)
    await world.put(REF, value, {"follows": "kv/orders-new"})

    world.allow(followers=("kv/orders-db", str(URL), str(ELSEWHERE), str(BARE)))
    for ref in world.refs:
        await world.put(ref, world.of(ref).value, {"follows": "kv/orders-new"})
    engine = _led_by(world, new)
    wish = RotationRequest(new, None, Reason.OPERATOR, "x", demanded=True)
    with pytest.raises(BoundElsewhere, match="grace period that they were promised is not over"):
        await engine.handle(wish)
    world.time.ahead(hours=73)
    outcome = await engine.handle(wish)
    assert outcome.result is Result.ROTATED, outcome.detail
    assert world.works(world.vault.latest(new.name))
    assert all(world.lets_in(ref) for ref in (*world.refs, REF))


def _led_by(world: FollowedWorld, leader: SecretRef) -> Engine:
    rule = world.policy.rules[0]
    policy = Policy((Rule(rule.vaults, (leader.name,), rule.rotators, world.terms, rule.targets),))
    return Engine(replace(world.parts, policy=policy))
