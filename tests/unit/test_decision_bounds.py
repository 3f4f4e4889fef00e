"""The decider at each of its limits: a moment before, at it, and a moment after."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotation.engine.decision import (
    IMMEDIATELY,
    NEVER,
    Act,
    Decision,
    Deferral,
    Looked,
    decide,
    deferral_of,
    next_check,
    next_look,
)
from rotation.engine.managed_secret import operation_id
from rotation.ledger.asked import Asked
from rotation.ledger.history import History
from rotation.ledger.records import Record, Step
from rotation.model import Force, Reason, RequestedAccess, RotationRequest, Secret, SecretRef, SecretValue
from rotation.policy import RuleTerms
from rotation.policy.windows import parse_window
from rotation.spec import parse

REF = SecretRef("kv", "orders-db")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
SECOND = timedelta(seconds=1)
SPEC = parse({"rotator": "postgres", "lead-days": "30", "validity-days": "90", "grace-hours": "72"})
TERMS = RuleTerms(rule=1, slots=("a", "b"), min_interval=timedelta(), jitter_percent=0)
SECRET = Secret(
    ref=REF, version="v2", value=SecretValue("kV7-r2mQ"), tags={}, content_type=None, enabled=True,
    created_on=NOON - timedelta(days=1), expires_on=NOON + timedelta(days=30), read_at=NOON,
)  # fmt: skip
ASKED = Asked("postgres", ("db.example:5432",), ("a",), None, None)


def record(step: Step, at: datetime, **fields: object) -> Record:
    return replace(Record(at, step, "op", "due", "sweep"), **fields)  # type: ignore[arg-type]  # its own fields


ADOPTED = record(Step.ADOPTED, NOON - timedelta(days=1), version="v2", slot="a", asked=ASKED.to_record())
KNOWN = History([ADOPTED])


def request(reason: Reason = Reason.NEAR_EXPIRY, **fields: object) -> RotationRequest:
    return replace(RotationRequest(REF, "v2", reason, "test"), **fields)  # type: ignore[arg-type]  # its own fields


def decided(
    now: datetime, *, history: History = KNOWN, terms: RuleTerms | None = TERMS, asked: RotationRequest | None = None,
    checked: bool = True,
) -> Decision:  # fmt: skip
    return decide(asked or request(), SECRET, SPEC, terms, history, now, Looked(checked=checked))


def waits(
    now: datetime, asked: RotationRequest | None = None, **terms: object
) -> tuple[str, datetime | None, bool] | None:
    assert SPEC is not None
    fields = {name: getattr(TERMS, name) for name in RuleTerms.__annotations__} | terms
    rotated_at = fields.pop("rotated_at", None)
    secret = fields.pop("secret", SECRET)
    wait = deferral_of(asked or request(), secret, SPEC, RuleTerms(**fields), rotated_at, now)
    return None if wait is None else (wait.detail, wait.until, wait.due)


def test_due_is_the_very_moment() -> None:
    assert waits(NOON - SECOND) == ("due on 2026-03-04 12:00 UTC", NOON, False)
    assert waits(NOON) is None


def test_an_event_that_may_be_early_is_so_by_a_day_and_no_more() -> None:
    early = request(early=True)
    assert waits(NOON - timedelta(days=1), early) is None
    assert waits(NOON - timedelta(days=1) - SECOND, early) == ("due on 2026-03-04 12:00 UTC", NOON, False)


def test_a_demand_needs_no_due_date() -> None:
    assert waits(NOON - timedelta(days=20), request(demanded=True)) is None


def test_a_version_that_is_not_valid_yet_waits_for_that_moment() -> None:
    later = replace(SECRET, not_before=NOON + SECOND)
    assert waits(NOON, secret=later) == (
        "its latest version is not valid before 2026-03-04 12:00 UTC", NOON + SECOND, False,
    )  # fmt: skip
    assert waits(NOON + SECOND, secret=later) is None
    assert waits(NOON, request(demanded=True), secret=later) is None


def test_the_interval_ends_at_its_very_moment() -> None:
    rotated_at, day = NOON - timedelta(hours=24), timedelta(hours=24)
    assert waits(NOON, rotated_at=rotated_at, min_interval=day) is None
    assert waits(NOON, rotated_at=rotated_at + SECOND, min_interval=day) == (
        "rotated less than 1 day, 0:00:00 ago; the policy waits until 2026-03-04 12:00 UTC", NOON + SECOND, True,
    )  # fmt: skip


def test_force_overrides_interval_and_window_but_not_what_is_not_due() -> None:
    closed = parse_window("Sat 01:00-05:00 UTC")
    forced = request(force=Force.YES)
    assert waits(NOON, forced, rotated_at=NOON, min_interval=timedelta(hours=1), window=closed) is None
    assert waits(NOON - SECOND, forced) is not None


def test_a_window_holds_back_until_it_opens_and_what_has_ended_does_not_wait() -> None:
    closed = parse_window("Sat 01:00-05:00 UTC")
    opens = datetime(2026, 3, 7, 1, tzinfo=UTC)
    assert waits(NOON, window=closed) == (
        "outside the policy's window, which opens 2026-03-07 01:00 UTC", opens, True,
    )  # fmt: skip
    assert waits(opens, window=closed) is None
    assert waits(NOON, window=closed, secret=replace(SECRET, expires_on=NOON + SECOND)) is not None
    assert waits(NOON, window=closed, secret=replace(SECRET, expires_on=NOON)) is None


@pytest.mark.parametrize(
    ("hours", "again"),
    [
        (1, timedelta(minutes=45)),
        (24, timedelta(hours=23, minutes=45)),
        (168, timedelta(hours=167, minutes=45)),
    ],
)
def test_a_check_comes_a_little_early(hours: int, again: timedelta) -> None:
    terms = RuleTerms(rule=1, verify_every=timedelta(hours=hours))
    assert next_check(KNOWN, "v2", terms) == ADOPTED.at + again


def test_what_was_never_proven_is_checked_at_once_and_what_is_never_checked_is_not() -> None:
    assert next_check(KNOWN, "v1", TERMS) == IMMEDIATELY
    assert next_check(KNOWN, "v2", None) == NEVER
    assert next_check(KNOWN, "v2", RuleTerms(rule=1, verify_every=None)) == NEVER


def test_a_check_is_due_at_its_very_moment() -> None:
    due = next_check(KNOWN, "v2", TERMS)
    assert decided(due - SECOND, checked=False).act is not Act.CHECK
    assert decided(due, checked=False).act is Act.CHECK


def test_a_first_look_at_what_is_not_due_leaves_no_history_behind_but_the_sweep_adopts_it() -> None:
    early = NOON - timedelta(days=9)
    assert decided(early, history=History([]), checked=False).act is Act.WAIT
    assert decided(early, history=History([]), checked=False, asked=request(Reason.SWEEP)).act is Act.CHECK


def test_what_the_policy_permits_no_longer_is_said_when_it_is_due_and_not_before() -> None:
    before = decided(NOON - SECOND, terms=None)
    assert (before.act, before.wait and before.wait.due) == (Act.WAIT, False)
    assert before.wait is not None
    assert before.wait.detail == "not due, and not permitted"
    assert decided(NOON, terms=None).act is Act.DENIED


def test_an_open_operation_is_looked_at_at_once_and_what_is_not_managed_never() -> None:
    operation = operation_id(REF, "v2")
    begun = record(Step.APPLYING, NOON, operation_id=operation, previous_version="v2", slot="a")
    assert next_look(History([ADOPTED, begun]), SPEC, TERMS) == IMMEDIATELY
    assert decided(NOON - timedelta(days=9), history=History([ADOPTED, begun])).act is Act.FINISH
    assert next_look(KNOWN, None, TERMS) == NEVER
    assert next_look(KNOWN, SPEC, TERMS) == next_check(KNOWN, "v2", TERMS)


def test_an_old_slot_waits_for_the_longest_promise_and_the_next_rotation_for_it() -> None:
    asked = replace(ASKED, slots=("a", "b"))
    older = record(
        Step.ADOPTED, NOON - timedelta(days=9), version="v1", slot="b", asked=asked.to_record(), grace_hours=200
    )
    newer = record(Step.PUBLISHED, NOON - timedelta(days=1), version="v2", slot="a")
    proven = record(Step.VERIFIED, NOON, version="v2")
    history = History([older, newer, proven])
    ends = newer.at + timedelta(hours=200)
    assert min(ends, next_check(history, "v2", TERMS)) == next_look(history, SPEC, TERMS)
    assert next_look(history, SPEC, RuleTerms(rule=1, verify_every=None)) == ends
    sound = Looked(over=frozenset(), checked=True)
    assert SPEC is not None
    waiting = decide(request(), SECRET, SPEC, TERMS, history, NOON, sound)
    assert waiting.act is Act.WAIT
    assert waiting.wait is not None
    assert (waiting.wait.detail, waiting.wait.due) == ("b is still in its grace period of 200 h", True)
    forced = decide(request(force=Force.GRACE), SECRET, SPEC, TERMS, history, NOON, sound)
    assert forced.act is Act.ROTATE
    ended = Looked(over=frozenset({"b"}), checked=True)
    assert decide(request(), SECRET, SPEC, TERMS, history, NOON, ended).act is Act.RETIRE
    # Not due yet: only the sweep retires, so that no event for tomorrow ends what somebody still holds.
    before = NOON - timedelta(days=9)
    assert decide(request(), SECRET, SPEC, TERMS, history, before, ended).act is Act.WAIT
    assert decide(request(Reason.SWEEP), SECRET, SPEC, TERMS, history, before, ended).act is Act.RETIRE


def test_an_old_slot_lives_on_for_followers_that_still_need_it_unless_force_ends_its_grace() -> None:
    asked = replace(ASKED, slots=("a", "b"))
    older = record(Step.ADOPTED, NOON - timedelta(days=9), version="v1", slot="b", asked=asked.to_record())
    newer = record(Step.PUBLISHED, NOON - timedelta(days=1), version="v2", slot="a")
    history = History([older, newer, record(Step.VERIFIED, NOON, version="v2")])
    assert SPEC is not None
    behind = Looked(over=frozenset({"b"}), checked=True, not_past=("kv/orders-url", "kv/orders-pw"))
    held = decide(request(), SECRET, SPEC, TERMS, history, NOON, behind)
    assert held.act is Act.WAIT
    assert held.wait is not None
    assert held.wait.detail == "b lives on until its followers are past it: kv/orders-url, kv/orders-pw"
    assert (held.wait.until, held.wait.due) == (None, True)
    forced = request(force=Force.GRACE)
    assert decide(forced, SECRET, SPEC, TERMS, history, NOON, behind).act is Act.RETIRE
    nothing_over = replace(behind, over=frozenset())
    assert decide(forced, SECRET, SPEC, TERMS, history, NOON, nothing_over).act is Act.ROTATE
    # What is asked for meanwhile: nothing waits for followers where no old slot is left.
    assert decide(request(), SECRET, SPEC, TERMS, KNOWN, NOON, behind).act is Act.ROTATE
    # What is not due says so, and not what it will wait for then.
    for looked in (behind, nothing_over, replace(nothing_over, not_past=())):
        waits = decide(request(), SECRET, SPEC, TERMS, history, NOON - SECOND, looked)
        assert waits == Decision(Act.WAIT, Deferral("due on 2026-03-04 12:00 UTC", NOON, due=False))


def test_a_change_in_place_waits_for_a_follower_that_cannot_be_written_and_one_in_another_slot_does_not() -> None:
    blocked = Deferral("kv/orders-url is of no form", NOON + SECOND, due=True)
    access = RequestedAccess(("db.example:5432",), ("a",), "a")
    looked = Looked(access, frozenset({"a"}), frozenset(), checked=True, blocked=blocked)

    def after(force: Force = Force.NO, now: datetime = NOON, **more: Any) -> Decision:
        assert SPEC is not None
        return decide(request(force=force), SECRET, SPEC, TERMS, KNOWN, now, replace(looked, **more))

    assert after() == after(Force.YES) == Decision(Act.WAIT, blocked)
    assert after(Force.GRACE).act is Act.ROTATE
    assert after(blocked=None).act is Act.ROTATE
    assert after(access=replace(access, slots=("a", "b"))).act is Act.ROTATE
    assert after(access=replace(access, slots=("b",))).act is Act.ROTATE
    assert after(access=None).act is Act.ROTATE
    early = after(now=NOON - SECOND)
    assert early.wait is not None
    assert early.wait.detail == "due on 2026-03-04 12:00 UTC"


@pytest.mark.parametrize(
    ("hours", "most", "says"), [(72, None, "72 h"), (72, 72, "72 h"), (72, 73, "72 to 73 h"), (0, None, "0 h")]
)
def test_who_waits_for_an_old_slot_is_told_for_how_long_and_for_how_long_at_most(
    hours: int, most: int | None, says: str
) -> None:
    asked = replace(ASKED, slots=("a", "b"))
    older = record(Step.ADOPTED, NOON - timedelta(days=9), version="v1", slot="b", asked=asked.to_record())
    history = History([older, record(Step.PUBLISHED, NOON, version="v2", slot="a")])
    spec = parse({"rotator": "postgres", "grace-hours": str(hours)})
    assert spec is not None
    terms = RuleTerms(1, slots=("a", "b"), min_interval=timedelta(), max_grace_hours=most)
    waiting = decide(request(), SECRET, spec, terms, history, NOON, Looked(over=frozenset(), checked=True)).wait
    assert waiting is not None
    assert waiting.detail == f"b is still in its grace period of {says}"
