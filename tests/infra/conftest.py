"""One operator's machine for each test."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra import compiled
from tests.infra import shell as shells


@pytest.fixture(autouse=True)
def bicep(request: pytest.FixtureRequest) -> None:
    """What compiles templates, or runs scripts that do, is left out where there is no compiler; not so in `.ci/run`."""
    compiles = request.path.name.startswith(("test_bicep", "test_compiled")) or "shell" in request.fixturenames
    if compiles and compiled.compiler() is None:
        pytest.skip(compiled.NONE)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[shells.Shell]:
    with shells.shell(tmp_path) as ready:
        yield ready


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What one run of deploy.sh leaves, and under which host it stands there."""
    home = tmp_path_factory.mktemp("deployment")
    with shells.shell(home) as once:
        once.deployed()
        return (home / "cloud.json").read_text(), once.cloud["host"]


@pytest.fixture
def deployed(shell: shells.Shell, deployment: tuple[str, str]) -> shells.Shell:
    """The same, for one test alone."""
    left, host = deployment
    shell.change(**json.loads(left.replace(host, shell.cloud["host"])))
    return shell
