"""The quick slice: the same lane as at length, a few times."""

from pathlib import Path

import pytest

from local.host.pump import LAST_S
from rotation.ports import LEASE_S
from tests.proof.kills.lane import kill
from tests.proof.kills.lockouts import lockouts, stopped


def test_a_stack_killed_at_random_comes_back_with_every_credential_working(tmp_path: Path) -> None:
    tally = kill(tmp_path, seed=1, times=20, each=1)
    assert tally.kills.total() == 20
    assert tally.rotated > 0
    assert tally.looked > 0
    assert (tally.late, tally.broken, tally.unasked, tally.leaked) == ([], [], [], [])


@pytest.mark.thorough
async def test_killed_between_change_and_publication_consumers_in_place_are_locked_out_for_a_minute(
    tmp_path: Path,
) -> None:
    found = await lockouts(tmp_path, each=1)
    assert len(found) == 4
    assert [one for one in found if not one.holds] == []
    assert all((one.seconds or 0) > LEASE_S for one in found), "the host was killed after the publication"


@pytest.mark.thorough
async def test_a_host_that_is_asked_to_end_publishes_what_it_has_begun_and_begins_nothing(tmp_path: Path) -> None:
    [first], undone = await stopped(tmp_path)
    assert undone == 0
    assert first.seconds is not None
    assert first.seconds < LAST_S, "as long as its publication took"
