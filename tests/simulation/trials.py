"""Many stories, one seed each, and what came of them."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from tests.simulation.bugs import BUGS
from tests.simulation.story import Story, Violation


@dataclass(frozen=True, slots=True)
class Broken:
    """The first seed that broke a promise; `python -m tests.simulation SEED` tells its story again, the same."""

    seed: int
    promise: str
    told: tuple[str, ...]


def first_broken(seeds: Iterable[int]) -> Broken | None:
    """Run stories until one breaks a promise."""
    for seed in seeds:
        story = Story(seed)
        try:
            asyncio.run(story.run())
        except Violation as violation:
            return Broken(seed, str(violation), (*story.told, *story.scheduler.log))
    return None


def found(title: str, most: int) -> Broken | None:
    """What the simulation says of a bug that is switched on; None: it does not notice."""
    with BUGS[title]():
        return first_broken(range(most))
