"""A quick slice of the simulation; `make prove` runs all of it."""

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.trials import first_broken, found

QUICK = 2_000
WITHIN = 20_000


def test_no_story_of_crashes_races_and_faults_breaks_a_promise() -> None:
    broken = first_broken(range(QUICK))
    assert broken is None, "\n".join((*broken.told, f"seed {broken.seed}: {broken.promise}"))


@pytest.mark.parametrize("title", BUGS)
def test_a_bug_on_purpose_is_noticed(title: str) -> None:
    assert found(title, WITHIN) is not None
