"""How often a secret is read: one place for every pause, and for the reasons. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator

WAIT_S = 5.0  # for another version than a refused one; a change in place is out within about one write of the vault
REFRESH_S = 300.0  # a known value is looked at again after about so long
AWAY_S = 15.0  # and where that failed, again after about so long
RECHECK_S = 1.0  # between two reads for a value that was refused and waited for in vain, or that is unknown
_FIRST_S, _LONGEST_S, _GROWTH = 0.03, 1.0, 2.0


def pauses(rng: random.Random) -> Iterator[float]:
    """Between reads that wait for another version: none before the first, then longer and longer ones.

    The first are short, since the gap of a change in place is: 16 ms in the middle, 80 ms at the most here.
    """
    yield 0.0
    pause = _FIRST_S
    while True:
        yield pause * rng.uniform(0.8, 1.2)
        pause = min(pause * _GROWTH, _LONGEST_S)


def spread(seconds: float, rng: random.Random) -> float:
    """A fleet that was started together does not ask together."""
    return seconds * rng.uniform(0.8, 1.2)
