"""`python -m tests.proof.mutations`: some mutations, drawn by a seed; `--all`: every one, which takes hours."""

import argparse
import difflib
import fnmatch
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.proof.mutations.lab import SURVIVED, lab
from tests.proof.mutations.listed import Survivors, as_entry
from tests.proof.mutations.made import ROOT, Mutation, every_mutation
from tests.proof.rows import Row, shown

DRAWN = 60
PROMISE = "a rule that is changed is noticed by a test, or stands in survivors.toml with its reason"
LISTED = "what stands in survivors.toml is still there"


def seed_of_today() -> str:
    """The commit; where there is none, the date."""
    found = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or f"{datetime.now(UTC):%Y-%m-%d}"


def drawn(mutations: Sequence[Mutation], count: int, seed: str) -> list[Mutation]:
    """So many of them, the same for the same seed and the same modules, in an order of their own."""
    return random.Random(seed).sample(sorted(mutations), min(count, len(mutations)))


def tried(pattern: str = "*", *, seed: str | None = None, count: int | None = DRAWN) -> list[Row]:
    """Those that are not listed, of the modules that fit. count: None for all. seed: None for today's.

    A survivor is printed, with its change and the line for the list.
    """
    survivors, made = Survivors(), every_mutation()
    stale = survivors.stale(made)
    for entry in stale:
        _say(f"listed, and no such line stands there any more: {entry}")
    open_ones = [one for one in made if fnmatch.fnmatch(one.path, pattern) and not survivors.covers(one)]
    seed = seed or seed_of_today()
    survived = 0
    with lab() as at_work:
        at_work.look()
        # Drawn from what quick tests run at all, and from modules whose survivors were gone through.
        from_these = [one for one in open_ones if at_work.is_seen(one) and not survivors.is_open(one)]
        chosen = open_ones if count is None else drawn(from_these, count, seed)
        for mutation, outcome in at_work.tried(chosen):
            if outcome == SURVIVED:
                survived += 1
                _say(
                    f"{mutation.path}:{mutation.number} {mutation.operator}\n{changed(mutation)}{as_entry(mutation)}\n"
                )
    note = f"of {len(made):,}; seed {seed}" if count is not None else f"all that are not listed, of {len(made):,}"
    return [Row(PROMISE, len(chosen), survived, note), Row(LISTED, len(survivors.entries), len(stale))]


def changed(mutation: Mutation) -> str:
    """The lines that differ."""
    before = (ROOT / mutation.path).read_text()
    lines = difflib.unified_diff(before.splitlines(), mutation.applied(before).splitlines(), n=0, lineterm="")
    return "".join(f"  {line}\n" for line in lines if not line.startswith(("---", "+++", "@@")))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run() -> list[Row]:
    """The lane of the proof."""
    return tried()


def main() -> int:
    """0: each one was noticed, or is listed."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.mutations")
    parser.add_argument("modules", nargs="?", default="*", help='only those that fit, such as "rotation/policy*"')
    parser.add_argument("--all", action="store_true", help="every mutation, not some of them")
    parser.add_argument("--seed", help="which of them are drawn; the commit by itself")
    parser.add_argument("--count", type=int, default=DRAWN, help="how many are drawn")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copies of the tree are gone afterwards
    count = None if options.all else options.count
    return shown("Mutations", tried(options.modules, seed=options.seed, count=count))


if __name__ == "__main__":
    sys.exit(main())
