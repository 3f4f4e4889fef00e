"""`python -m tests.proof [LANE …]`: all that is promised, tried at length, in one table. A lane is a package of tests
with a `run()` in its `__main__` that returns rows; `python -m tests.proof.LANE` runs one alone."""

import argparse
import importlib
import sys
import time
from collections.abc import Callable

from rich.console import Console

from tests.proof.rows import Row, shown

LANES = ("simulation", "deputies", "fuzz", "kills", "wire", "consumers", "keyturn_run", "load", "mutations")


def main() -> int:
    """0: every promise was tried, and held."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof")
    parser.add_argument("lanes", nargs="*", choices=[[], *LANES], metavar="LANE", help=f"of {', '.join(LANES)}")
    lanes = parser.parse_args().lanes or LANES
    progress = Console(stderr=True)
    table: list[Row] = []
    for lane in lanes:
        began = time.monotonic()
        run: Callable[[], list[Row]] = importlib.import_module(f"tests.proof.{lane}.__main__").run
        table += run()
        progress.print(f"{lane}: {time.monotonic() - began:.0f} s")
    return shown("What is promised, and how it was tried", table)


if __name__ == "__main__":
    sys.exit(main())
