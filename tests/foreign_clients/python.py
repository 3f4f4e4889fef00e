"""Key Vault's SDK for Python: the cases of `python_sdk`, by pytest, which serves them stand-ins of their own."""

import subprocess
import sys
import tempfile
from pathlib import Path

from defusedxml import ElementTree

from tests.foreign_clients.told import Told

CASES = Path(__file__).parent / "python_sdk"
ROOT = CASES.parents[2]
WORKERS = 2  # more would wait for each other's stand-ins
WITHIN_S = 600


def run() -> Told:
    """Each case is one operation; what a case is modelled on stands at it."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-n", str(WORKERS), "--no-skips", "--show-capture=no", f"--junitxml={report}"]
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *options, str(CASES)],
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN_S, check=False,
        )  # fmt: skip
        if not report.is_file():
            return Told("python", 0, 1, (f"it came to no end: {ran.stdout[-2000:]}",))
        cases = ElementTree.fromstring(report.read_bytes()).findall(".//testcase")
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    lines = tuple(f"not ok {case.get('classname')}::{case.get('name')}" for case in bad)
    failed = len(bad) if bad or ran.returncode == 0 else 1
    return Told("python", len(cases), failed, lines if bad or ran.returncode == 0 else (ran.stdout[-2000:],))
