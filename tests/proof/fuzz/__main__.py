"""`python -m tests.proof.fuzz`: all kinds of bad input, and what came of it."""

import argparse
import sys

from tests.proof.fuzz.lane import run
from tests.proof.rows import shown

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.proof.fuzz")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the inputs of a run at length")
    options = parser.parse_args()
    sys.exit(shown("Bad input", run(options.seed, options.share)))
