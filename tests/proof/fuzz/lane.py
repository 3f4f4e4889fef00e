"""At least 100,000 inputs of every kind, side by side; libFuzzer has a process of its own."""

import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from local.children import ROOT
from tests.proof.fuzz import held, hostile_served, inside, served
from tests.proof.fuzz.explore import Tally
from tests.proof.rows import Row

GUIDED = 75_000  # by coverage, of the formats
NOTHING = "no fault, no stack trace, nothing changed, no value told"


def run(seed: int = 1, share: float = 1.0) -> list[Row]:
    """Every kind of input; `share` of as many as at length."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        guided = pool.submit(coverage_guided, seed, int(GUIDED * share))
        kept = pool.submit(hostile_served.run, seed, share)
        parts = [pool.submit(part.run, seed, share) for part in (inside, served)]
        found = {"values in each format": guided.result()} | {
            kind: tally for part in parts for kind, tally in part.result().items()
        }
        through = kept.result()
    for tally in found.values():
        sys.stdout.writelines(f"{line}\n" for line in tally.broken)
    rows = [
        Row(f"bad {kind}: {NOTHING}", tally.inputs, len(tally.broken), _told(tally)) for kind, tally in found.items()
    ]
    total, broken = sum(tally.inputs for tally in found.values()), sum(len(tally.broken) for tally in found.values())
    rows.append(Row("bad input of every kind, together", total, broken, "inputs"))
    # By themselves, so that their processor time is their own.
    return [*rows, *held.rows(seed, share), _row_of_the_app(through)]


def _row_of_the_app(through: Tally) -> Row:
    sys.stdout.writelines(f"{line}\n" for line in through.broken)
    note = f"{through.inputs - through.taken:,} refused; each asked for, swept and read, a fourth planned"
    return Row(
        "hostile values in the whole app: one clear line each, nothing changed",
        through.inputs,
        len(through.broken),
        note,
    )


def _told(tally: Tally) -> str:
    return f"{tally.taken:,} of them were sound enough to be taken" if tally.taken else "inputs"


def coverage_guided(seed: int, runs: int) -> Tally:
    """In a process of its own; `broken` holds the input that failed, in hexadecimal."""
    command = [sys.executable, "-m", "tests.proof.fuzz.coverage_guided", "--runs", str(runs), "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    units = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    broken = [] if done.returncode == 0 else [done.stdout.strip() or done.stderr[-1000:]]
    return Tally(int(units[1]) if units else 0, 0, broken)
