"""How the bench tells the gap of a change in place, from PostgreSQL's log and the vault's record of calls."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bench.gap import altered_at, figure, shown_at

LEADER, NEAR, FAR = ("kv-demo", "led"), ("kv-demo", "led-follows"), ("kv-orders", "led-follows")


def written(secret: tuple[str, str], second: int, *, operation: str = "set", status: int = 200) -> dict[str, Any]:
    """A call that began at this second and took 20 ms."""
    vault, name = secret
    at = f"2026-01-01T00:00:{second:02}+00:00"
    return {
        "vault": vault, "name": name, "operation": operation, "status": status, "at": at, "duration_ms": 20.0
    }  # fmt: skip


def moment(second: int, millisecond: int = 20) -> datetime:
    return datetime(2026, 1, 1, 0, 0, second, millisecond * 1000, UTC)


def test_the_gap_of_followers_ends_when_the_last_of_them_shows_the_new_login() -> None:
    calls = [written(FAR, 3), written(LEADER, 1), written(NEAR, 2)]
    assert shown_at(calls, [NEAR, FAR]) == moment(3)
    assert shown_at(calls, [LEADER]) == moment(1)


def test_neither_a_read_nor_a_refused_write_shows_a_new_login() -> None:
    calls = [written(FAR, 1, operation="get"), written(FAR, 2, status=429), written(FAR, 3)]
    assert shown_at(calls, [FAR]) == moment(3)


@pytest.mark.parametrize(
    ("calls", "complaint"),
    [([written(NEAR, 1)], "not written"), ([written(NEAR, 1), written(FAR, 2), written(FAR, 3)], "written twice")],
    ids=["a follower that was not written", "two writes of one follower"],
)
def test_what_is_not_one_rotation_has_no_gap(calls: list[dict[str, Any]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        shown_at(calls, [NEAR, FAR])


def test_the_gap_begins_with_the_last_change_of_this_role() -> None:
    begins = "2026-01-01 00:00:0{} UTC [7] LOG:  duration: 0.3 ms  statement: ALTER ROLE {} PASSWORD 'SCRAM'"
    lines = [(1, '"led"'), (2, "led"), (3, '"led_too"'), (4, "many_1")]
    assert altered_at("\n".join(begins.format(*one) for one in lines), "led") == moment(2, 0)


def test_followers_that_are_written_after_their_leader_break_the_bound() -> None:
    write = 0.02
    beside = figure("d", "the last follower", [0.021, 0.022, 0.5], [write] * 3, 1.5)
    after = figure("d", "the last follower", [0.041, 0.042, 0.043], [write] * 3, 1.5)
    assert (round(beside.value, 3), beside.holds) == (1.1, True)
    assert (round(after.value, 3), after.holds) == (2.1, False)
