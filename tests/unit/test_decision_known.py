"""The decider's other questions: what was proven, which tags were lost, and what a sweep must look at or ask for."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rotation.engine.decision import (
    IMMEDIATELY,
    NEVER,
    Act,
    Looked,
    at_once,
    decide,
    is_confirmed,
    next_check,
    next_look,
    sweep_asks,
    without_tags,
)
from rotation.engine.managed_secret import operation_id
from rotation.ledger.asked import Asked
from rotation.ledger.history import History
from rotation.ledger.records import Record, Step
from rotation.model import Force, Reason, RequestedAccess, RotationRequest
from rotation.policy import RuleTerms
from tests.unit.test_decision_bounds import (
    ADOPTED,
    ASKED,
    KNOWN,
    NOON,
    REF,
    SECOND,
    SECRET,
    SPEC,
    TERMS,
    record,
    request,
)

TAGS = {"rotator": "postgres"}
HOUR = timedelta(hours=1)
BEGUN = record(Step.APPLYING, NOON, operation_id=operation_id(REF, "v1"), previous_version="v1", slot="a")
GAVE_UP = record(Step.FAILED, NOON, given_up=True)


def history(*records: Record) -> History:
    return KNOWN.and_then(*records)


def proven(asked: Asked = ASKED, *, version: str = "v2", slot: str | None = "a") -> History:
    """Adopted a day ago, and what it asked for."""
    return History([replace(ADOPTED, asked=asked.to_record(), version=version, slot=slot)])


# what comes first


def test_a_wish_for_an_older_version_is_superseded_and_one_for_no_version_in_particular_is_not() -> None:
    for version, act in (("v2", None), (None, None), ("v1", Act.SUPERSEDED)):
        decision = at_once(request(version=version), SECRET, KNOWN)
        assert (decision and decision.act) == act


def test_only_an_operation_on_the_latest_version_is_finished() -> None:
    mine = replace(BEGUN, operation_id=operation_id(REF, "v2"), previous_version="v2")
    finish = at_once(request(), SECRET, history(mine))
    assert finish is not None
    assert finish.act is Act.FINISH
    assert at_once(request(), SECRET, history(BEGUN)) is None


def test_a_version_that_came_back_while_another_ones_operation_is_open_must_log_in() -> None:
    """It is known and was checked in time; that operation may have ended what it holds."""
    assert SPEC is not None
    unchecked = Looked()
    assert decide(request(), SECRET, SPEC, TERMS, KNOWN, ADOPTED.at, unchecked).act is not Act.CHECK
    checks = decide(request(), SECRET, SPEC, TERMS, history(BEGUN), ADOPTED.at, unchecked)
    assert (checks.act, checks.confirmed) == (Act.CHECK, ASKED)
    assert decide(request(), SECRET, SPEC, TERMS, history(BEGUN), NOON, Looked(checked=True)).act is Act.ROTATE


def test_what_is_due_and_was_never_looked_at_must_log_in_first() -> None:
    assert SPEC is not None
    checks = decide(request(), SECRET, SPEC, TERMS, History([]), NOON)
    assert (checks.act, checks.confirmed) == (Act.CHECK, None)


def test_a_secret_that_asks_for_something_else_by_now_must_log_in_whenever_it_was_checked() -> None:
    assert SPEC is not None
    elsewhere = Looked(RequestedAccess(("db.example:5432",), ("a", "b"), "a"))
    checks = decide(request(), SECRET, SPEC, TERMS, KNOWN, ADOPTED.at, elsewhere)
    assert (checks.act, checks.confirmed) == (Act.CHECK, None)


# lost tags

TAGGED = replace(ADOPTED, tags=TAGS)


@pytest.mark.parametrize(
    ("records", "act"),
    [
        ([], Act.UNMANAGED),
        ([ADOPTED], Act.UNMANAGED),  # of a package that kept no tags
        ([TAGGED], Act.UNMANAGED),  # taken off a version of ours: a person means it
        ([replace(TAGGED, version="v1")], Act.TAGS_LOST),
        ([replace(ADOPTED, version="v1")], Act.UNMANAGED),
    ],
)
def test_tags_are_lost_where_some_are_known_and_the_version_is_none_of_ours(records: list[Record], act: Act) -> None:
    assert without_tags(SECRET, History(records)) is act
    assert decide(request(), SECRET, None, None, History(records), NOON).act is act


@pytest.mark.parametrize(
    ("wish", "restores"),
    [
        ({}, False),
        ({"restore_tags": True}, True),
        ({"force": Force.YES}, True),
        ({"force": Force.GRACE}, True),
        ({"demanded": True}, False),
    ],
)
def test_lost_tags_are_restored_where_a_person_asks_for_it_or_forces(wish: dict[str, Any], restores: bool) -> None:
    lost = History([replace(TAGGED, version="v1")])
    assert decide(request(**wish), SECRET, None, None, lost, NOON).act is (Act.RESTORE if restores else Act.TAGS_LOST)
    assert decide(request(**wish), SECRET, None, None, History([]), NOON).act is Act.UNMANAGED


# what was proven last

REALM = replace(ASKED, realm="7301")
TURNS = replace(REALM, slots=("a", "b"))
ASSIGNED = replace(REALM, slots=())


def confirmed(
    known: History, access: RequestedAccess | None = None, ours: frozenset[str] | None = None
) -> Asked | None:
    assert SPEC is not None
    return is_confirmed(known, SPEC, "v2", Looked(access=access, ours=ours))


def test_nothing_is_confirmed_before_it_was_proven_nor_after_a_rotation_was_given_up() -> None:
    assert confirmed(History([])) is None
    assert confirmed(KNOWN) == ASKED
    assert confirmed(history(GAVE_UP)) is None
    assert confirmed(history(GAVE_UP, replace(ADOPTED, at=NOON))) == ASKED


def test_another_rotator_or_another_access_must_be_proven_anew() -> None:
    assert confirmed(proven(replace(ASKED, rotator="generated"))) is None
    two = proven(replace(ASKED, slots=("a", "b")))
    same, other = (("b", "a"), ("a", "c"))
    assert confirmed(two, RequestedAccess(("db.example:5432",), same, "a")) is not None
    assert confirmed(two, RequestedAccess(("db.example:5432",), other, "a")) is None
    assert confirmed(two, RequestedAccess(("other.example:5432",), same, "a")) is None


@pytest.mark.parametrize(
    ("known", "ours", "is_ours"),
    [
        (proven(), frozenset(), True),  # what nobody but the vault knows is bound nowhere
        (proven(REALM), None, True),  # nobody looked
        (proven(REALM), frozenset({"a"}), True),
        (proven(REALM), frozenset({"b"}), False),
        (proven(REALM), frozenset(), False),
        (proven(TURNS), frozenset({"a", "b", "c"}), True),
        (proven(TURNS), frozenset({"a"}), False),
        (proven(ASSIGNED, slot="k1"), frozenset({"k1", "k0"}), True),
        (proven(ASSIGNED, slot="k1"), frozenset({"k0"}), False),
        (proven(ASSIGNED, version="v1", slot="k1"), frozenset({"k1"}), False),  # nobody knows what the latest holds
    ],
)
def test_what_was_proven_counts_as_long_as_all_of_it_is_bound_to_this_secret(
    known: History, ours: frozenset[str] | None, is_ours: bool
) -> None:
    assert (confirmed(known, ours=ours) is not None) == is_ours


# when the sweep looks, and what it asks for

REFRESHES = record(Step.PUBLISHED, NOON - HOUR, version="v2", slot="a", refresh=["app"])
OWED = history(REFRESHES, record(Step.VERIFIED, NOON - HOUR, version="v2"))
TRIED = OWED.and_then(record(Step.ROTATED, NOON, version="v2", refreshed={"app": "failed"}))
AGAIN = NOON + timedelta(seconds=10)  # after the first try that failed
UNCHECKED = RuleTerms(1, slots=("a", "b"), min_interval=timedelta(), verify_every=None)


@pytest.mark.parametrize(
    ("known", "spec", "terms", "moment"),
    [
        (KNOWN, SPEC, UNCHECKED, NEVER),
        (KNOWN, SPEC, None, NEVER),
        (KNOWN, SPEC, TERMS, next_check(KNOWN, "v2", TERMS)),
        (KNOWN, None, None, NEVER),
        (History([]), SPEC, TERMS, IMMEDIATELY),
        (History([]), None, None, NEVER),
        (history(BEGUN), SPEC, UNCHECKED, IMMEDIATELY),
        (history(BEGUN), None, None, IMMEDIATELY),
        (history(GAVE_UP), SPEC, UNCHECKED, IMMEDIATELY),
        (History([record(Step.VERIFIED, NOON, version="v2")]), SPEC, UNCHECKED, IMMEDIATELY),
        (TRIED, SPEC, UNCHECKED, AGAIN),
        (TRIED, None, None, AGAIN),
        (TRIED, SPEC, None, AGAIN),
    ],
)
def test_a_history_asks_for_the_next_look_at_the_first_moment_at_which_there_is_something_to_do(
    known: History, spec: Any, terms: RuleTerms | None, moment: datetime
) -> None:
    assert next_look(known, spec, terms) == moment


def asks(known: History, now: datetime = NOON - SECOND, terms: RuleTerms | None = UNCHECKED, **more: Any) -> bool:
    swept = RotationRequest(REF, "v2", Reason.SWEEP, "sweep")
    return sweep_asks(swept, SECRET, more.pop("spec", SPEC), terms, known, now, **more)


def test_a_sweep_asks_for_what_is_due_and_leaves_what_is_not() -> None:
    assert not asks(KNOWN)
    assert asks(KNOWN, NOON)
    assert asks(History([]))
    assert asks(history(BEGUN))


def test_a_sweep_asks_for_what_is_due_and_permitted_no_longer_so_that_it_is_heard() -> None:
    assert not asks(KNOWN, terms=None)
    assert asks(KNOWN, NOON, terms=None)


def test_a_sweep_asks_for_a_refresh_target_from_its_moment_on_whether_the_secret_is_managed_or_not() -> None:
    for spec in (SPEC, None):
        assert not asks(TRIED, AGAIN - SECOND - HOUR, spec=spec)
        assert asks(TRIED, AGAIN, spec=spec)
    assert not asks(KNOWN, spec=None)


def test_a_sweep_asks_for_an_old_slot_once_nobody_was_promised_it_any_more() -> None:
    asked = replace(TURNS, rotator="postgres").to_record()
    older = record(Step.ADOPTED, NOON - timedelta(days=9), version="v1", slot="b", asked=asked)
    newer = record(Step.PUBLISHED, NOON - timedelta(hours=72), version="v2", slot="a")
    turned = History([older, newer, record(Step.VERIFIED, NOON, version="v2")])
    over = NOON - SECOND
    early = over - HOUR
    for ours in (None, frozenset({"a", "b"})):
        turned_at = replace(newer, at=over - timedelta(hours=72))
        ended = History([older, turned_at, record(Step.VERIFIED, NOON, version="v2")])
        assert asks(ended, over, ours=ours)
        assert not asks(ended, over - SECOND, ours=ours)
    assert not asks(turned, early)
    assert not asks(turned, over, terms=None)
    longer = RuleTerms(1, slots=("a", "b"), min_interval=timedelta(), verify_every=None, min_grace_hours=73)
    assert not asks(ended, over, terms=longer)
    assert next_look(ended, SPEC, UNCHECKED) == over
    assert next_look(ended, SPEC, longer) == over + HOUR
    assert next_look(ended, SPEC, RuleTerms(1, slots=("a",), verify_every=None)) == NEVER


def test_a_slot_that_is_bound_to_another_secret_is_nothing_to_ask_for() -> None:
    """But the loss of the latest version's own is."""
    asked = replace(TURNS, slots=("a",), rotator="postgres").to_record()
    mine = History([replace(ADOPTED, asked=asked)])
    assert not asks(mine, ours=frozenset({"a"}))
    assert asks(mine, ours=frozenset())
