"""The quick slice: the same lane as at length, a few times."""

from pathlib import Path

from tests.kills.lane import kill


def test_a_stack_killed_at_random_comes_back_with_every_credential_working(tmp_path: Path) -> None:
    tally = kill(tmp_path, seed=1, times=20, each=1)
    assert tally.kills.total() == 20
    assert tally.rotated > 0
    assert (tally.broken, tally.unasked, tally.leaked) == ([], [], [])
