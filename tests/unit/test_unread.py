"""`retire = "when-unread"`: an old slot waits for those who still hold the old value, up to the rule's bound."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from rotation.engine import unread
from rotation.errors import Refused, RotationError, Throttled
from rotation.ledger.history import History
from rotation.ledger.records import Record, Step
from rotation.model import Force, Outcome, Reason, RotationRequest, Versions
from rotation.readers import LATE, Heard, Question, Reader, Reads, readers_of
from tests.fakes import value
from tests.world import NAME, REF, World

HOUR = timedelta(hours=1)
SHOP, MAIL = "a0000000-0000-4000-8000-000000000001", "a0000000-0000-4000-8000-000000000002"


class Log:
    """An audit log that has every line until an hour ago. holders: who did not read the new value yet."""

    def __init__(self, world: World, *holders: str) -> None:
        self.world, self.holders = world, holders
        self.error: RotationError | None = None
        self.lacks_from = False
        self.ends: timedelta | None = None  # after the publication; None: goes on
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Heard:
        self.asked.append(question)
        if self.error is not None:
            raise self.error
        old = question.published_at - HOUR
        readers = [Reader(one, f"c{one[1:]}", "ann@example.org", None, old, None, 1, 0) for one in self.holders]
        readers.append(Reader(MAIL, "c", None, None, old, question.published_at + HOUR, 1, 1))
        begins = question.published_at + timedelta(seconds=1) if self.lacks_from else question.since
        ends = self.world.now if self.ends is None else question.published_at + self.ends
        return Heard(tuple(readers), self.world.now, begins, ends)


async def rotated(bound: int | None = 168, *holders: str, kind: str = "overlapping") -> tuple[World, Log]:
    """Rotated, and the grace period of 72 h is over."""
    world = World(kind)
    world.allow(max_grace_hours=bound)
    await world.start()
    world.time.ahead(hours=5)
    world.readers = log = Log(world, *holders)
    assert (await world.ask()).result == "rotated"
    world.time.ahead(hours=73)
    return world, log


def retired(world: World) -> list[Record]:
    return [record for record in world.ledger.records(REF) if record.step is Step.RETIRED]


async def planned(world: World) -> Outcome:
    return await world.engine.plan(RotationRequest(REF, None, Reason.SWEEP, "test"))


async def test_what_nobody_holds_any_more_is_retired_after_its_grace_period() -> None:
    world, log = await rotated()
    plan = await planned(world)
    assert (plan.result, "k0 would be retired" in plan.detail) == ("planned", True)
    outcome = await world.ask("sweep")
    assert (outcome.result, outcome.detail) == ("retired", "old credentials were retired")
    assert [(record.slot, record.detail) for record in retired(world)] == [("k0", None)]
    assert len(log.asked) == 2


async def test_the_log_is_asked_about_the_versions_that_hold_the_slot_and_by_the_vaults_clock() -> None:
    world, log = await rotated()
    first, latest = world.vault.all(NAME)
    await world.ask("sweep")
    assert log.asked == [Question(REF, latest.version, latest.created_on, first.created_on)]


def test_where_no_version_is_listed_any_more_the_ledgers_own_times_count() -> None:
    def named(version: str, slot: str, hours: int) -> Record:
        return Record(NOON + hours * HOUR, Step.PUBLISHED, "o", "r", "a", version=version, slot=slot)

    history = History([named("v0", "z", -9), named("v1", "k0", -7), named("v2", "k0", -5), named("v3", "k1", 0)])
    managed: Any = SimpleNamespace(ref=REF, secret=SimpleNamespace(version="v3", created_on=NOON))
    asked = unread.question_of(managed, history, Versions((), NOON), ["k0"])
    assert asked == Question(REF, "v3", NOON, NOON - 7 * HOUR)


async def test_what_is_no_id_gets_into_no_outcome() -> None:
    world, _ = await rotated(168, "<b>ann</b>")
    detail = (await world.ask("sweep")).detail
    assert detail.endswith("by application (unknown) as object (unknown)")


async def test_while_somebody_holds_it_it_lives_on_and_the_outcome_says_who_is_waited_for() -> None:
    world, _ = await rotated(168, SHOP)
    for outcome in (await planned(world), await world.ask("sweep")):
        assert outcome.result == "not_due"
        assert outcome.detail.endswith(
            "; k0 lives on, for 168 h in all at most: the new value was not read yet by "
            f"application c{SHOP[1:]} as object {SHOP}"
        )
        assert "ann@example.org" not in outcome.detail
    assert (retired(world), world.server.passwords["k0"]) == ([], "first")


async def test_a_rotation_waits_for_the_slot_and_says_for_whom() -> None:
    world, _ = await rotated(168, SHOP)
    outcome = await world.ask("operator", demanded=True, force=Force.YES)
    assert outcome.result == "deferred"
    assert "k0 is still in its grace period of 72 to 168 h" in outcome.detail
    assert SHOP in outcome.detail


async def test_when_the_last_one_has_read_the_new_value_the_next_sweep_retires() -> None:
    world, log = await rotated(168, SHOP)
    await world.ask("sweep")
    log.holders = ()
    world.time.ahead(hours=1)
    assert (await world.ask("sweep")).result == "retired"


@pytest.mark.parametrize(("before", "result"), [(timedelta(seconds=1), "not_due"), (timedelta(), "retired")])
async def test_the_bound_counts_from_when_the_version_was_superseded_and_its_record_says_who_held_on(
    before: timedelta, result: str
) -> None:
    world, _ = await rotated(168, SHOP)
    world.time.moment = world.latest.created_on + timedelta(hours=168) - before
    outcome = await world.ask("sweep")
    assert outcome.result == result
    assert SHOP in outcome.detail
    assert [SHOP in (record.detail or "") for record in retired(world)] == [True] * (result == "retired")


async def test_a_promise_that_is_longer_than_the_bound_is_kept() -> None:
    world, log = await rotated(24, SHOP)
    assert (await world.ask("sweep")).result == "retired", "72 h were promised, and are over"
    world, log = await rotated(24, SHOP)
    world.time.ahead(hours=-2)
    assert (await world.ask("sweep")).result == "not_due"
    assert log.asked == []


async def test_within_the_grace_period_and_without_such_a_rule_nobody_is_asked() -> None:
    world, log = await rotated(None, SHOP)
    assert (await world.ask("sweep")).result == "retired"
    other, asked = await rotated(168, SHOP)
    other.time.ahead(hours=-2)
    assert (await other.ask("sweep")).result == "not_due"
    assert log.asked == asked.asked == []


async def test_an_operator_ends_the_wait_by_force_grace() -> None:
    world, log = await rotated(168, SHOP)
    assert (await world.ask("operator", demanded=True, force=Force.GRACE)).result == "rotated"
    assert "k0" in [record.slot for record in retired(world)]
    assert log.asked == []


# where the log can't say that nobody holds it


async def waits(world: World, why: str) -> None:
    """Until the bound, and says why."""
    outcome = await world.ask("sweep")
    assert outcome.result == "not_due"
    assert f"nobody can tell who holds it ({why}" in outcome.detail
    assert retired(world) == []
    world.time.moment = world.latest.created_on + timedelta(hours=168)
    assert (await world.ask("sweep")).result == "retired"
    assert why in (retired(world)[0].detail or "")


@pytest.mark.parametrize("error", [Refused("no right"), Throttled("too many")])
async def test_a_log_that_cant_be_read_is_waited_for_until_the_bound(error: RotationError) -> None:
    world, log = await rotated()
    log.error = error
    await waits(world, error.message)


async def test_without_a_workspace_it_waits_until_the_bound() -> None:
    world = World("overlapping")
    world.allow(max_grace_hours=168)
    await world.start()
    await world.ask()
    world.time.ahead(hours=73)
    await waits(world, "no audit log is configured")


async def test_a_log_that_begins_after_the_publication_does_not_know_who_read_before() -> None:
    world, log = await rotated()
    log.lacks_from = True
    await waits(world, "the audit log begins at ")


@pytest.mark.parametrize(("ends", "knows"), [(LATE - timedelta(seconds=1), False), (LATE, True)])
async def test_a_log_that_lags_behind_the_publication_may_lack_who_read_before(ends: timedelta, knows: bool) -> None:
    world, log = await rotated()
    log.ends = ends
    if knows:
        assert (await world.ask("sweep")).result == "retired"
    else:
        await waits(world, "the audit log ends at ")


async def test_a_log_without_a_line_about_the_vault_knows_nothing() -> None:
    world, log = await rotated()

    async def ask(question: Question) -> Heard:
        return Heard((), world.now, None, None)

    log.ask = ask  # type: ignore[method-assign]
    await waits(world, "the workspace has no line about this vault")


async def test_holders_that_are_known_are_told_though_the_log_has_gaps() -> None:
    world, log = await rotated(168, SHOP)
    log.ends = timedelta()
    assert SHOP in (await world.ask("sweep")).detail


async def test_a_log_that_does_not_answer_does_not_hold_the_run_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "PATIENCE_S", 0.01)
    world, log = await rotated()

    async def ask(question: Question) -> Heard:
        await asyncio.sleep(60)
        raise AssertionError

    log.ask = ask  # type: ignore[method-assign]
    assert "the audit log did not answer within" in (await world.ask("sweep")).detail


async def test_of_many_who_hold_it_three_are_named_and_the_others_counted() -> None:
    many = [f"a0000000-0000-4000-8000-00000000001{n}" for n in range(5)]
    world, log = await rotated(168, *many[:3])
    assert "more" not in (await world.ask("sweep")).detail
    log.holders = tuple(many)
    detail = (await world.ask("sweep")).detail
    assert detail.endswith(f"as object {many[2]}, 2 more")
    assert many[3] not in detail


async def test_one_slot_waits_while_another_has_reached_the_bound() -> None:
    world, _ = await rotated(168, SHOP)
    world.server.passwords["z"] = "x"
    await world.vault.set(NAME, value("z", "x"), tags=world.tags, expires_on=world.now + timedelta(days=90))
    await world.ask("sweep")  # k0 and k1 are old now, and only k0 had its grace period
    world.time.ahead(hours=96)
    outcome = await world.ask("sweep")
    assert outcome.result == "retired"
    assert "k1 lives on" in outcome.detail
    assert "k0 had its 168 h" in outcome.detail
    assert [record.slot for record in retired(world)] == ["k0"]


# what reads say


def reads(who: str | None, version: str | None, hours: float, *, after: bool = False, user: str | None = None) -> Reads:
    at = NOON + timedelta(hours=hours)
    return Reads(who, "c", user, None, version, after, at, frozenset({str(hours)}))


NOON = World().time.moment
QUESTION = Question(REF, "V2", NOON, NOON)


def test_who_only_ever_read_the_new_value_is_no_reader_of_the_old_one() -> None:
    assert readers_of([reads(SHOP, "v2", 1, after=True), reads(MAIL, None, 1, after=True)], QUESTION) == ()


def test_each_identity_is_told_once_with_its_newest_name_and_the_newest_reads() -> None:
    told = readers_of(
        [
            reads(SHOP, "v1", -2, user="ann@old.example"),
            reads(MAIL, None, -1),
            reads(SHOP, "v0", -3),
            reads(SHOP, "v2", 2, after=True, user="ann@example.org"),
            reads(SHOP, "v2", 1, after=True),
            reads(None, "v1", -5),
        ],
        QUESTION,
    )
    assert [(one.object_id, one.last_old, one.last_new) for one in told] == [
        (MAIL, NOON - HOUR, None),
        (SHOP, NOON - 2 * HOUR, NOON + 2 * HOUR),
        (None, NOON - 5 * HOUR, None),
    ]
    assert (told[1].user, told[1].addresses_old, told[1].addresses_new) == ("ann@example.org", 2, 2)


def test_who_reads_both_by_name_holds_the_new_value_too() -> None:
    [told] = readers_of([reads(SHOP, "v2", 1, after=True), reads(SHOP, "v1", 2, after=True)], QUESTION)
    assert not told.holds


def test_holders_come_with_the_last_one_who_read_first() -> None:
    told = readers_of([reads(SHOP, "v1", -3), reads(MAIL, "v1", -2)], QUESTION)
    heard = Heard(tuple(reversed(told)), NOON, NOON, NOON)
    assert [one.object_id for one in heard.holders] == [MAIL, SHOP]
    assert replace(heard, log_until=NOON + LATE).gap(QUESTION) is None
