"""The judge of the consumers' logins is tried itself: what it must call broken, and what it must not."""

import pytest

from rotation.model import SecretRef
from tests.proof.consumers.clients import Attempt
from tests.proof.consumers.gaps import Gap, broken_in_place, changes_in, gaps_of

REF = SecretRef("kv", "a")
GAP = Gap("v1", "v2", began_at=100.0, died_at=100.002, there_at=100.050)
GAPS = {REF: [GAP]}


def attempt(version: str, asked_at: float, ended_at: float, *, let_in: bool) -> Attempt:
    return Attempt(REF, version, asked_at, ended_at, let_in)


@pytest.mark.parametrize(
    "fine",
    [
        attempt("v1", 99.0, 99.5, let_in=True),
        attempt("v1", 99.9, 100.01, let_in=False),  # read before, logged in when the password was gone
        attempt("v1", 100.01, 100.02, let_in=False),
        attempt("v1", 100.049, 100.2, let_in=False),
        attempt("v2", 100.06, 100.2, let_in=True),
    ],
)
def test_a_refusal_of_what_was_read_before_the_new_version_is_the_gap(fine: Attempt) -> None:
    assert broken_in_place([fine], GAPS) == []


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (attempt("v1", 99.0, 99.9, let_in=False), "nothing had changed its password"),
        (attempt("v2", 100.06, 100.2, let_in=False), "nothing had changed its password"),
        (attempt("v1", 100.06, 100.2, let_in=False), "read 0.010 s too late"),
        (attempt("v1", 100.06, 100.2, let_in=True), "read 0.010 s too late"),
    ],
)
def test_a_refusal_outside_of_it_and_a_version_that_is_over_are_broken_promises(bad: Attempt, told: str) -> None:
    [line] = broken_in_place([bad], GAPS)
    assert told in line


def test_a_change_is_found_in_the_servers_log_with_its_begin_and_end() -> None:
    log = (
        "2026-01-01 00:00:01.250 UTC [7] LOG:  duration: 2.000 ms  statement: SELECT 1\n"
        '2026-01-01 00:00:01.500 UTC [7] LOG:  duration: 3.000 ms  statement: ALTER ROLE "a" PASSWORD ...\n'
    )
    [(began, ended)] = changes_in(log)["a"]
    assert ended - began == pytest.approx(0.004, abs=1e-4)
    assert began == pytest.approx(1767225601.497, abs=1e-3)


def test_changes_that_do_not_pair_with_versions_are_told() -> None:
    [gap] = gaps_of(["v1", "v2"], [(1.0, 2.0)], [3.0])
    assert (gap.old, gap.new, gap.ms) == ("v1", "v2", 1000.0)
    with pytest.raises(ValueError, match="2 changes and 1 writes for 1 rotations"):
        gaps_of(["v1", "v2"], [(1.0, 2.0), (2.0, 3.0)], [3.0])
