"""Many stories, one seed each, and what came of them; on as many processes as there are cores."""

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tests.proof.rows import Row
from tests.proof.simulation import bugs_of_followers, bugs_of_ownership, bugs_of_readers, bugs_of_refreshes, lockouts
from tests.proof.simulation.bugs import BUGS
from tests.proof.simulation.followed import Following
from tests.proof.simulation.neighbours import Neighbours
from tests.proof.simulation.plots import Plots
from tests.proof.simulation.promises import Promise, Violation
from tests.proof.simulation.story import Story

STORIES = 10_000
WITHIN = 20_000  # seeds, for a bug on purpose
_CHUNK = 250
_PLOT = 5  # of eight seeds, the one whose story follows a plot
_FOLLOWED, _OF = 15, 24  # of twenty-four seeds, the one that tells of followers
assert bugs_of_ownership, "on the list by being read"
assert bugs_of_followers, "likewise"
assert bugs_of_readers, "likewise"
assert bugs_of_refreshes, "likewise"


@dataclass(frozen=True, slots=True)
class Broken:
    """A seed that broke a promise; `python -m tests.proof.simulation SEED` tells its story again, the same."""

    seed: int
    promise: Promise
    what: str
    told: tuple[str, ...]


def story_of(seed: int) -> Story:
    """Of eight, four are about one secret, three about two that live side by side, and one follows a plot.

    Of three times eight, one of those about two secrets is about one and its followers instead.
    """
    if seed % _OF == _FOLLOWED:
        return Following(seed // _OF)
    if seed % 8 == _PLOT:
        return Plots(seed // 8)
    return Neighbours(seed // 2) if seed % 2 else Story(seed // 2)


def broken_by(story: Story, seed: int) -> Broken | None:
    """Run it. seed: by which it is told again."""
    try:
        asyncio.run(story.run())
    except Violation as violation:
        told = tuple(story.facts.told)
        unfit = [line for line in told if "unexpected builtins.TypeError" in line]
        assert not unfit, f"what was patched is called otherwise by now, so that nothing was tried: {unfit[0]}"
        return Broken(seed, violation.promise, str(violation), told)
    return None


def first_broken(seeds: Iterable[int]) -> Broken | None:
    """Run stories until one breaks a promise."""
    return next((broken for seed in seeds if (broken := broken_by(story_of(seed), seed))), None)


def found(title: str, most: int = WITHIN) -> Broken | None:
    """What the simulation says of a bug that is switched on; None: it does not notice.

    The seed that noticed it once is tried first: to look for it anew each time takes longer than all stories.
    """
    with BUGS[title].switch():
        return first_broken(itertools.chain([BUGS[title].seed], range(most)))


def run(stories: int = STORIES) -> list[Row]:
    """All stories of the app as it is, and each bug -> rows of the table of promises."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        # The searches differ in length, so they go first.
        searches = {title: pool.submit(found, title) for title in BUGS}
        chunks = pool.map(_all_broken, [range(at, min(at + _CHUNK, stories)) for at in range(0, stories, _CHUNK)])
        broken = [one for chunk in chunks for one in chunk]
        seen = {title: search.result() for title, search in searches.items()}
        locked_out = lockouts.rows(pool)
    by_promise = Counter(one.promise for one in broken)
    seeds = {one.promise: f"first seed {one.seed}: {one.what}" for one in reversed(broken)}
    rows = [Row(promise, stories, by_promise[promise], seeds.get(promise, "stories")) for promise in Promise]
    return [*rows, *locked_out, *(_row(title, one) for title, one in seen.items())]


def _all_broken(seeds: range) -> list[Broken]:
    return [broken for seed in seeds if (broken := broken_by(story_of(seed), seed))]


def _row(title: str, seen: Broken | None) -> Row:
    told = f"not noticed within {WITHIN:,} seeds" if seen is None else f"noticed at seed {seen.seed}: {seen.what}"
    tried = WITHIN if seen is None else 1 if seen.seed == BUGS[title].seed else seen.seed + 2
    return Row(f"bug on purpose: {title}", tried, int(seen is None), told)
