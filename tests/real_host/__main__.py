"""`python -m tests.real_host`: the whole app on Microsoft's Functions host, and how long things take there.

0: every check held, or there is no such host here. 1: one did not hold, or the host must be here.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.real_host.checks import Checks
from tests.real_host.host import LANE, SETTING, VERSION, tool
from tests.real_host.lane import OURS, REAL, Lane
from tests.tools_at_hand import Missing

FEWEST_CHECKS = 60


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(prog="python -m tests.real_host", description=__doc__)
    parser.add_argument("--data", type=Path, help="keeps what the lane leaves, logs above all; else it goes")
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    try:
        executable = tool()
    except Missing as error:
        print(f"{LANE}: {error}", file=sys.stderr)
        return 1
    if executable is None:
        print(f"{LANE}: skipped, there is no Functions host here; {SETTING} names one")
        return 0
    checks, began = Checks(lambda line: console.print(line, markup=False)), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="keyturn-real-host-") as folder:
        data = options.data or Path(folder)
        data.mkdir(parents=True, exist_ok=True)
        asyncio.run(Lane(data, executable, checks).run())
    console.print(_figures(checks))
    for line in checks.failed:
        console.print(f"failed: {line}", markup=False)
    console.print(f"real host {VERSION}: {checks.done} checks, {len(checks.failed)} failed")
    console.print(f"took {time.monotonic() - began:.0f} s, on Python {sys.version_info[0]}.{sys.version_info[1]}")
    return 0 if not checks.failed and checks.done >= FEWEST_CHECKS else 1


def _figures(checks: Checks) -> Table:
    table = Table(title="seconds", title_justify="left")
    for column in ("", "the real host", "the host of make demo"):
        table.add_column(column)
    for what, found in checks.figures.items():
        table.add_row(what, *(f"{found[whose]:.2f}" if whose in found else "" for whose in (REAL, OURS)))
    return table


if __name__ == "__main__":
    sys.exit(main())
