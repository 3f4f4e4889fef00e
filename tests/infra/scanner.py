"""checkov over Bicep and over compiled templates, in an environment of its own: its pins are not ours.

The environment is made once, in .cache/checkov, and again when requirements-checkov.txt changes.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.infra.bicep import ROOT

HOME = ROOT / ".cache" / "checkov"
REQUIREMENTS = ROOT / "requirements-checkov.txt"
_PARSES = """
import sys
from pathlib import Path
from pycep import BicepParser
for name in sys.argv[1:]:
    try:
        BicepParser().parse(file_path=Path(name))
    except Exception:
        print(name)
"""


@dataclass(frozen=True, slots=True)
class Scan:
    """failed: (check, file, resource). crashed: (check, file) of checks that ended with an error of checkov's own."""

    passed: int
    parsing_errors: int
    resources: int
    failed: frozenset[tuple[str, str, str]]
    crashed: frozenset[tuple[str, str]]


def scan(framework: str, files: Sequence[Path]) -> Scan:
    """framework: "bicep" or "arm"."""
    named = [part for file in files for part in ("--file", str(file))]
    options = ["--framework", framework, "--skip-download", "--compact", "--output", "json"]
    done = _run(["-m", "checkov.main", *named, *options])
    report = json.loads(done.stdout)
    summary = report["summary"]
    return Scan(
        passed=summary["passed"],
        parsing_errors=summary["parsing_errors"],
        resources=summary["resource_count"],
        failed=frozenset(
            (one["check_id"], Path(one["file_path"]).name, one["resource"].rpartition("/")[2])
            for one in report["results"]["failed_checks"]
        ),
        crashed=frozenset(re.findall(r"Failed to run check (\w+) on \S+/([\w.-]+):", done.stderr)),
    )


def unread(files: Sequence[Path]) -> set[Path]:
    """The files that checkov's parser can't read."""
    done = _run(["-c", _PARSES, *map(str, files)])
    assert done.returncode == 0, done.stderr
    return set(map(Path, done.stdout.splitlines()))


def _run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [str(_python()), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=ROOT)


def _python() -> Path:
    python, made_of = HOME / "bin" / "python", HOME / "made-of.txt"
    HOME.parent.mkdir(exist_ok=True)
    with (HOME.parent / "checkov.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = f"{sys.version}\n{REQUIREMENTS.read_text()}"
        if not made_of.is_file() or made_of.read_text() != wanted:
            shutil.rmtree(HOME, ignore_errors=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
            subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
            made_of.write_text(wanted)
    return python
