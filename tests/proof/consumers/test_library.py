"""The judge of the applications is tried itself, and they once, at a small number of rotations."""

from pathlib import Path

import pytest

from tests.proof.consumers.__main__ import library_row
from tests.proof.consumers.library import Met, Part, rotate_under_applications

PART = Part("in place", in_place=20)
KEPT = {"rotations": 20, "operations": 500, "reads": 1.5}


@pytest.mark.parametrize(
    ("differs", "broken"),
    [
        ({}, 0),
        ({"failed": 3}, 3),
        ({"rotations": 19}, 1),
        ({"reads": 4.1}, 1),
        ({"reads": 4.0}, 0),
    ],
)
def test_an_operation_that_failed_a_rotation_that_did_and_too_many_reads_are_broken(
    differs: dict[str, float], broken: int
) -> None:
    row = library_row(Met(PART, **{**KEPT, **differs}))  # type: ignore[arg-type]
    assert (row.broken, row.trials) == (broken, 500)


def test_where_the_gap_is_stretched_reads_are_stated_and_not_judged() -> None:
    row = library_row(Met(Part("slow", in_place=20, gap_ms=2000), 20, 500, reads=7.0))
    assert row.broken == 0
    assert "reads a rotation and process: 7.0" in row.note


def test_with_no_operations_nothing_is_kept() -> None:
    assert not library_row(Met(PART, rotations=20)).holds


@pytest.mark.thorough
def test_through_the_library_nothing_fails_and_refreshing_once_does(tmp_path: Path) -> None:
    parts = [Part("in place", in_place=4, in_turn=4), Part("once", in_place=12, gap_ms=200, kinds=("once",))]
    kept, once = rotate_under_applications(tmp_path, parts)
    assert (kept.rotations, kept.failed, kept.broken) == (8, 0, [])
    assert kept.operations > 0
    assert once.failed > 0
