"""`python -m tests.proof.simulation SEED` tells one story; without a seed, many are run, and each bug on purpose."""

import argparse
import sys

from tests.proof.rows import shown
from tests.proof.simulation.trials import STORIES, broken_by, run, story_of


def main() -> int:
    """0: no promise was broken, and every bug on purpose was noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.simulation")
    parser.add_argument("seed", type=int, nargs="?", help="tell this one story")
    parser.add_argument("--stories", type=int, default=STORIES, help="how many are run")
    options = parser.parse_args()
    return shown("The simulation", run(options.stories)) if options.seed is None else _tell(options.seed)


def _tell(seed: int) -> int:
    story = story_of(seed)
    broken = broken_by(story, seed)
    sys.stdout.write("\n".join(story.facts.told) + "\n")
    if broken is None:
        return 0
    sys.stdout.write(f"broken: {broken.what} ({broken.promise})\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
