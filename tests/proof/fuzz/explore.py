"""Hypothesis as a source of many inputs for one check; what it finds is told as the smallest input that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")


@dataclass(slots=True)
class Tally:
    """inputs: how many were tried. taken: of them, those that were not refused. broken: a line each."""

    inputs: int = 0
    taken: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Both together."""
        self.inputs += other.inputs
        self.taken += other.taken
        self.broken += other.broken


def explore(check: Callable[[T], bool], inputs: SearchStrategy[T], most: int, seed: int) -> Tally:
    """Hold `most` inputs against a check, which says whether it took one, and raises where a promise is broken."""
    tally = Tally()

    @hypothesis.seed(seed)
    @settings(
        max_examples=most, database=None, deadline=None, print_blob=False, verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(inputs)
    def run(one: T) -> None:
        tally.inputs += 1
        try:
            tally.taken += check(one)
        except Exception as error:
            error.add_note(f"input: {one!r:.1000}")
            raise

    try:
        run()
    except Exception as error:  # noqa: BLE001  whatever it is, it is what was looked for
        tally.broken.append(" ".join((f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ()))))
    return tally
