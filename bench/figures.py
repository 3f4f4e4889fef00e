"""One line of the result: what was measured, and the bound it must keep."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """at_most: None where the figure is only stated. how: the two sides that were measured, or what bounds it."""

    name: str
    value: float
    unit: str
    how: str
    at_most: float | None = None

    @property
    def holds(self) -> bool:
        return self.at_most is None or self.value <= self.at_most


def median(values: Sequence[float]) -> float:
    """The middle one: single slow runs of a shared machine don't count."""
    return statistics.median(values)


def show(figures: Sequence[Figure]) -> None:
    """A table on the terminal."""
    table = Table(title="Keyturn, measured side by side on this machine")
    for column in ("what", "measured", "at most", "how"):
        table.add_column(column, justify="right" if column in {"measured", "at most"} else "left")
    for one in figures:
        bound = f"{one.at_most:g}" if one.at_most is not None else ""
        style = "" if one.holds else "bold red"
        table.add_row(one.name, f"{one.value:.4g} {one.unit}".strip(), bound, one.how, style=style)
    Console(width=130).print(table)
