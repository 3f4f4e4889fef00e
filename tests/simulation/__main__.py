"""`python -m tests.simulation SEED` tells one story; `… --seeds N` runs many and prints what stands in the docs."""

import argparse
import asyncio
import sys

from rich.console import Console
from rich.table import Table

from tests.simulation.bugs import BUGS
from tests.simulation.story import Story, Violation
from tests.simulation.trials import first_broken, found

WITHIN = 20_000


def main() -> int:
    """0: no promise was broken, and every bug on purpose was noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seed", type=int, nargs="?", help="tell this one story")
    parser.add_argument("--seeds", type=int, default=WITHIN, help="how many stories")
    options = parser.parse_args()
    return _tell(options.seed) if options.seed is not None else _prove(options.seeds)


def _tell(seed: int) -> int:
    story = Story(seed)
    try:
        asyncio.run(story.run())
    except Violation as violation:
        sys.stdout.write("\n".join((*story.told, *story.scheduler.log, f"broken: {violation}\n")))
        return 1
    sys.stdout.write("\n".join(story.told) + "\n")
    return 0


def _prove(seeds: int) -> int:
    table = Table(title="The simulation")
    for column in ("what", "found at seed", "as"):
        table.add_column(column)
    broken = first_broken(range(seeds))
    table.add_row(
        f"{seeds} stories of the app as it is",
        "none" if broken is None else str(broken.seed),
        broken.promise if broken else "",
    )
    missed = 0
    for title in BUGS:
        seen = found(title, WITHIN)
        missed += seen is None
        table.add_row(f"bug on purpose: {title}", str(seen.seed) if seen else "NOT FOUND", seen.promise if seen else "")
    Console(width=150).print(table)
    return 1 if broken or missed else 0


if __name__ == "__main__":
    sys.exit(main())
