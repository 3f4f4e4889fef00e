"""A run of pytest within a test, with the conftest of all tests, to see what that says and how it ends."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the tests of `source`, which are all that there are."""
    (folder / "played").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = played\nmarkers = thorough\n")
    (folder / "played" / "test_played.py").write_text(source)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "tests.conftest",
            "-p",
            "xdist",
            "--basetemp",
            str(folder / "base"),
            *options,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
