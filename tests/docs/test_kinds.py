"""The pages list each kind of rotator, as it says of itself."""

from pathlib import Path

import pytest

from rotation.rotators import ROTATORS
from tests.docs.kinds import HEADS, README, table, written


@pytest.mark.parametrize("page", HEADS, ids=lambda page: page.name)
def test_the_tables_of_kinds_are_those_of_the_map(page: Path) -> None:
    assert written(page) == table(page), "python -m tests.docs.kinds"


def test_the_readme_names_every_kind() -> None:
    assert [row.split("`")[1] for row in written(README)[2:]] == list(ROTATORS)
