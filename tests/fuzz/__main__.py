"""`python -m tests.fuzz`: all kinds of bad input, and what came of it."""

import argparse
import sys

from tests.fuzz.lane import run
from tests.proof.rows import shown

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the inputs of a run at length")
    options = parser.parse_args()
    sys.exit(shown("Bad input", run(options.seed, options.share)))
