"""A pipeline that rolls back by itself puts the package before in front of a ledger that this one wrote."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotation.ledger.history import History
from rotation.ledger.records import AboutTo, Record, Step, parse_lines
from tests.previous_release import history as old_history
from tests.previous_release import records as old_records

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ASKED = {"rotator": "postgres-alternating", "targets": ["db.example:5432"], "slots": ["a", "b"], "half": "\ud800"}
TAGS = {"rotator": "postgres-alternating", "slots": "a,b"}
FOLLOWERS = {"kv/orders-url": "f1", "kv-b/orders": "f2"}


def record(step: Step, minute: int, **more: Any) -> Record:
    return Record(START + timedelta(minutes=minute), step, f"op{minute // 10}", "near-expiry", "event-grid", **more)


# Every field that the package before does not know, each where this one writes it.
WRITTEN = [
    record(Step.ADOPTED, 0, version="v0", slot="a", tags=TAGS, asked=ASKED, grace_hours=72),
    record(Step.STAGED, 10, staged_version="s1", slot="b"),
    record(Step.APPLYING, 11, previous_version="v0", slot="b", asked=ASKED, grace_hours=72),
    record(Step.FAILED, 12, detail="no longer asked for", given_up=True),
    record(Step.STAGED, 20, staged_version="s2", slot="b"),
    record(Step.APPLYING, 21, previous_version="v0", slot="b", asked=ASKED, grace_hours=100),
    record(Step.STAGED, 21, version="s0", slot="a", about_to=AboutTo.READ_STAGED),
    record(
        Step.PUBLISHED,
        22,
        version="v1",
        previous_version="v0",
        slot="b",
        tags=TAGS,
        grace_hours=100,
        staged_version="s2",
        about_to=AboutTo.UNSTAGE,
        refresh=["app-settings /subscriptions/s", "webhook https://h.example/"],
    ),
    record(Step.VERIFIED, 23, version="v1", slot="b"),
    record(Step.ROTATED, 24, version="v1", previous_version="v0", slot="b", duration_ms=900, actor_id="0f8fad5b"),
    record(Step.STAGED, 25, version="v1", refreshed={"app-settings /subscriptions/s": "failed"}, detail="down"),
    record(Step.STAGED, 29, slot="a", about_to=AboutTo.RETIRE),
    record(Step.STAGED, 29, version="v0", slot="a", about_to=AboutTo.DISABLE),
    record(Step.RETIRED, 30, slot="a", staged_version="s3", about_to=AboutTo.UNSTAGE),
    record(Step.STAGED, 35, version="v1", tags=TAGS | {"mine": "1"}, about_to=AboutTo.SET_TAGS),
    record(Step.STAGED, 36, version="s2", about_to=AboutTo.UNSTAGE),
    record(Step.STAGED, 39, previous_version="v1", slot="b", tags=TAGS, about_to=AboutTo.PUBLISH),
    record(Step.REPAIRED, 40, version="v2", previous_version="v1", slot="b", tags=TAGS, grace_hours=72),
    record(Step.STAGED, 50, staged_version="s5", slot="a"),
    record(Step.STAGED, 50, version="v2", about_to=AboutTo.FOLLOW, followers=FOLLOWERS, refresh=["webhook https://h/"]),
    record(Step.APPLYING, 51, previous_version="v2", slot="a", asked=ASKED, grace_hours=72, followers=FOLLOWERS),
    record(Step.APPLYING, 52, previous_version="v2", slot="a", grace_hours=72, mark="5b1f0c"),
]
NEW_FIELDS = {one.name for one in fields(Record)} - {one.name for one in fields(old_records.Record)}
# What both readers say of a history.
ANSWERS: Mapping[str, Callable[[Any], Any]] = {
    "versions": lambda history: history.versions(),
    "open_operation": lambda history: history.open_operation(),
    "staged": lambda history: history.staged(),
    "staged_for": lambda history: [history.staged_for(f"op{number}") for number in range(6)],
    "proven_at": lambda history: [history.proven_at(f"v{number}") for number in range(4)],
    "publication": lambda history: [history.publication(f"v{number}") for number in range(4)],
    "was_finished": lambda history: [history.was_finished(f"op{number}") for number in range(6)],
    "last_rotated_at": lambda history: history.last_rotated_at(),
    "unretired": lambda history: history.unretired("b"),
    "tags": lambda history: history.tags(),
    "last": lambda history: history.last(),
}


def read_by_the_old(records: Sequence[Record]) -> tuple[old_records.Record, ...]:
    return old_records.parse_lines("".join(one.to_line() for one in records))


RENAMED = {"settled": "superseded"}  # since then; no word of a ledger's line


def as_itself(old: Any) -> Any:
    """The same fields of the old one's own answer."""
    if isinstance(old, list):
        return [as_itself(one) for one in old]
    known = getattr(old, "__dataclass_fields__", None)
    return {name: getattr(old, name) for name in known} if known else old


def as_the_old_knows(new: Any, old: Any) -> Any:
    """What both know of an answer: the fields of the old one's record, one by one."""
    if isinstance(old, list):
        return [as_the_old_knows(*pair) for pair in zip(new, old, strict=True)]
    known = getattr(old, "__dataclass_fields__", None)
    return {name: getattr(new, RENAMED.get(name, name)) for name in known} if known and new is not None else new


# What was given up is new as well: the package before would finish it, as it would have before it was given up.
BEGINNINGS = [
    (answer, length)
    for answer in ANSWERS
    for length in range(1, len(WRITTEN) + 1)
    if answer != "open_operation" or not any(one.given_up for one in WRITTEN[:length][-2:])
]


@pytest.mark.parametrize(("answer", "length"), BEGINNINGS)
def test_the_package_before_says_the_same_of_a_history_of_this_one(answer: str, length: int) -> None:
    written = WRITTEN[:length]
    old = ANSWERS[answer](old_history.History(read_by_the_old(written)))
    new = ANSWERS[answer](History(parse_lines("".join(one.to_line() for one in written))))
    assert as_the_old_knows(new, old) == as_itself(old)


def test_every_new_field_was_written_and_is_passed_over() -> None:
    assert {name for one in WRITTEN for name in NEW_FIELDS if getattr(one, name) is not None} == NEW_FIELDS
    for old, new in zip(read_by_the_old(WRITTEN), WRITTEN, strict=True):
        assert as_the_old_knows(new, old) == as_itself(old)


@given(
    st.lists(
        st.builds(
            record,
            st.sampled_from(Step),
            st.integers(0, 59),
            version=st.none() | st.sampled_from(["v0", "v1", "v2"]),
            slot=st.none() | st.sampled_from("ab"),
            staged_version=st.none() | st.sampled_from(["s1", "s2"]),
            asked=st.none() | st.just(ASKED),
            grace_hours=st.none() | st.integers(0, 1_000),
            about_to=st.none() | st.sampled_from(AboutTo),
        ),
        max_size=12,
    )
)
def test_the_package_before_says_the_same_of_any_history(written: list[Record]) -> None:
    old, new = old_history.History(read_by_the_old(written)), History(written)
    for answer in ANSWERS.values():
        assert as_the_old_knows(answer(new), answer(old)) == as_itself(answer(old))


ANNOUNCED = st.builds(
    record,
    st.just(Step.STAGED),
    st.integers(0, 59),
    version=st.none() | st.sampled_from(["v0", "v1", "s1"]),
    previous_version=st.none() | st.sampled_from(["v0", "v1"]),
    slot=st.none() | st.sampled_from("ab"),
    tags=st.none() | st.just(TAGS),
    about_to=st.sampled_from(AboutTo),
)
SAYS_ALL: Mapping[str, Callable[[Any], Any]] = {
    **ANSWERS,
    "operations": lambda history: history.operations(),
    "asked": lambda history: history.asked(),
    "gave_up": lambda history: history.gave_up(),
    "tags_of": lambda history: [history.tags_of(f"v{number}") for number in range(4)],
    "promised": lambda history: [history.promised(f"v{number}") for number in range(4)],
    "waiting": lambda history: history.waiting("b"),
    "named_since_proven": lambda history: history.named_since_proven(),
    "last": lambda history: history.last_done(),
}


@given(st.lists(st.tuples(st.integers(0, len(WRITTEN)), ANNOUNCED), max_size=8))
def test_what_is_announced_changes_no_answer_of_either_package(announced: list[tuple[int, Record]]) -> None:
    plain = [one for one in WRITTEN if not one.announces]
    mixed = list(plain)
    for place, one in announced:
        mixed.insert(min(place, len(mixed)), one)
    for name, answer in SAYS_ALL.items():
        assert answer(History(mixed)) == answer(History(plain)), name
    for name, answer in ANSWERS.items():
        if name != "last":  # which is looked at for a failure that comes again, and shown
            of_mixed = answer(old_history.History(read_by_the_old(mixed)))
            assert of_mixed == answer(old_history.History(read_by_the_old(plain))), name


def test_no_step_is_new() -> None:
    """The package before can't read a history at all that holds one: what is new is a field of a known step."""
    assert {step.value for step in Step} == {step.value for step in old_records.Step}
    with pytest.raises(ValueError, match="later"):
        old_records.parse_lines(unknown_step())


def test_a_step_of_a_later_package_is_passed_over_and_the_whole_history_read() -> None:
    lines = [one.to_line() for one in WRITTEN]
    assert parse_lines("".join([*lines[:5], unknown_step(), *lines[5:], unknown_step()])) == tuple(WRITTEN)


def unknown_step() -> str:
    return json.dumps(json.loads(WRITTEN[0].to_line()) | {"step": "later", "of": {"any": "shape"}}) + "\n"
