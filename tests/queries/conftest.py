"""The parser, and a workspace to put rows in."""

import pytest

from local.npm import Missing
from tests.queries.kusto import Workspace, set_up


@pytest.fixture(scope="session")
def parser() -> None:
    """Microsoft's parser is there, or the test is skipped with the reason."""
    try:
        set_up()
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def workspace() -> Workspace:
    return Workspace()
