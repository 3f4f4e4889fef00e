"""One operator's machine for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra import shell as shells


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[shells.Shell]:
    with shells.shell(tmp_path) as ready:
        yield ready
