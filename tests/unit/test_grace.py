"""Which old slots wait for their retirement, one condition at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotation.engine.grace import left_over, longest_promise, over_by_ledger, over_by_versions
from rotation.ledger.asked import Asked
from rotation.ledger.history import History
from rotation.ledger.records import Record, Step
from rotation.model import Version, Versions
from rotation.policy import RuleTerms

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANY = RuleTerms(rule=1, slots=("*",))
ASKED = Asked("postgres-alternating", ("db.example:5432",), ("a", "b"), None, None)


def named(version: str, slot: str, at: datetime = NOON, hours: int | None = None) -> Record:
    return replace(Record(at, Step.PUBLISHED, version, "due", "sweep"), version=version, slot=slot, grace_hours=hours)


HISTORY = History([named("v0", "older"), named("v1", "b", NOON + HOUR), named("v2", "a", NOON + 2 * HOUR)])


@pytest.mark.parametrize(
    ("asked", "terms", "ours", "left"),
    [
        (None, ANY, None, ["b", "older"]),  # a ledger of the package that knew no owners
        (ASKED, ANY, None, ["b"]),
        (replace(ASKED, slots=()), ANY, None, ["b", "older"]),
        (ASKED, RuleTerms(rule=1, slots=("a",)), None, []),
        (replace(ASKED, realm="r"), ANY, frozenset({"a", "b"}), ["b"]),
        (replace(ASKED, realm="r"), ANY, frozenset({"a"}), []),
        (replace(ASKED, realm="r"), ANY, None, ["b"]),
        (replace(ASKED, realm="r", slots=()), ANY, frozenset({"older"}), ["older"]),
        (ASKED, ANY, frozenset(), ["b"]),  # nothing at a provider is owned
    ],
)
def test_what_is_retired_is_asked_for_ours_and_permitted(
    asked: Asked | None, terms: RuleTerms, ours: frozenset[str] | None, left: list[str]
) -> None:
    assert left_over(HISTORY, terms, asked, "a", ours) == left


def test_of_what_a_provider_assigned_only_what_was_named_since_the_last_proof_is_surely_ours() -> None:
    asked = replace(ASKED, realm="r", slots=())
    proof = replace(named("v1", "b", NOON + HOUR), step=Step.ADOPTED, asked=asked.to_record())
    history = History([named("v0", "older"), proof, named("v2", "a", NOON + 2 * HOUR)])
    assert left_over(history, ANY, asked, "a", None) == ["b"]


def test_the_longest_promise_counts() -> None:
    history = History([named("v0", "b", hours=80), named("v1", "a", NOON + HOUR, hours=5)])
    assert longest_promise(history, 72) == 80
    assert longest_promise(history, 81) == 81
    assert longest_promise(History([]), 3) == 3
    assert over_by_ledger(history, "b", 72) == NOON + HOUR + timedelta(hours=80)
    assert over_by_ledger(history, "nobody's", 72) == datetime.min.replace(tzinfo=UTC)


def listed(*created: tuple[str, datetime], read_at: datetime) -> Versions:
    return Versions(tuple(Version(version, True, at, None, {}) for version, at in created), read_at)


def test_a_slot_is_over_at_the_very_moment_for_the_last_version_that_held_it() -> None:
    """By the vault's clock; where it lists none any more, by ours."""
    versions = (("v2", NOON + 3 * HOUR), ("v1", NOON + 2 * HOUR), ("v0", NOON))
    history = History([named("v0", "b"), named("v1", "b", NOON + 2 * HOUR), named("v2", "a", NOON + 3 * HOUR)])
    ends = NOON + 3 * HOUR + 72 * HOUR
    for read_at, over in ((ends - timedelta(seconds=1), frozenset()), (ends, frozenset({"b"}))):
        found = over_by_versions(
            history, listed(*versions, read_at=read_at), ["b"], 72, datetime.max.replace(tzinfo=UTC)
        )
        assert found == over
    gone = listed(("v2", NOON + 3 * HOUR), read_at=datetime.max.replace(tzinfo=UTC))
    assert over_by_versions(history, gone, ["b"], 72, ends - timedelta(seconds=1)) == frozenset()
    assert over_by_versions(history, gone, ["b"], 72, ends) == frozenset({"b"})
