"""checkov over templates, in an environment of its own: its pins are not ours.

The environment is made once, in .cache/checkov, and again when requirements-checkov.lock changes: from the
lock alone, by the hashes of its files.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.environments import python_of
from tests.infra.compiled import ROOT

ANSWERS = ROOT / ".cache" / "checkov-answers"
LOCK = ROOT / "requirements-checkov.lock"


@dataclass(frozen=True, slots=True)
class Scan:
    """failed: (check, file, resource). crashed: (check, file) of checks that ended with an error of checkov's own."""

    passed: int
    parsing_errors: int
    resources: int
    failed: frozenset[tuple[str, str, str]]
    crashed: frozenset[tuple[str, str]]


def scan(files: Sequence[Path]) -> Scan:
    """files: templates of Azure Resource Manager."""
    named = [part for file in files for part in ("--file", str(file))]
    options = ["--framework", "arm", "--skip-download", "--compact", "--output", "json"]
    out, errors = _told(["-m", "checkov.main", *options], named, files)
    report = json.loads(out)
    summary = report["summary"]
    return Scan(
        passed=summary["passed"],
        parsing_errors=summary["parsing_errors"],
        resources=summary["resource_count"],
        failed=frozenset(
            (one["check_id"], Path(one["file_path"]).name, one["resource"])
            for one in report["results"]["failed_checks"]
        ),
        crashed=frozenset(re.findall(r"Failed to run check (\w+) on \S+/([\w.-]+):", errors)),
    )


def _told(asks: Sequence[str], about: Sequence[str], files: Sequence[Path]) -> tuple[str, str]:
    """What it prints, on both channels. The same question about the same bytes is asked once."""
    of = [LOCK.read_bytes(), *(part.encode() for part in asks)]
    of += [part for file in files for part in (file.name.encode(), file.read_bytes())]
    kept = ANSWERS / hashlib.sha256(b"\0".join(of)).hexdigest()
    if not kept.is_file():
        command = [str(python_of(LOCK, "--require-hashes", "--no-deps")), *asks, *about]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=ROOT)
        assert done.stdout or done.returncode == 0, done.stderr
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps([done.stdout, done.stderr]))
    out, errors = json.loads(kept.read_text())
    return out, errors
