"""`python -m tests.proof.wire`: every fault between the app and each part, and of the parts."""

import sys

from tests.proof.rows import shown
from tests.proof.wire.stages import run

__all__ = ["run"]

if __name__ == "__main__":
    sys.exit(shown("Real faults", run()))
