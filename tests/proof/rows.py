"""What a trial at length found: one row of the table of promises."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """trials: how often it was tried. broken: how often it did not hold."""

    promise: str
    trials: int
    broken: int
    note: str = ""

    @property
    def holds(self) -> bool:
        """A promise that was never tried is not kept."""
        return self.trials > 0 and self.broken == 0


def shown(title: str, rows: Iterable[Row]) -> int:
    """Print the table -> exit code: 1 where a promise does not hold."""
    rows = list(rows)
    table = Table(title=title, title_justify="left")
    for column in ("promise", "broken", "of", "figures"):
        table.add_column(column, justify="right" if column in {"broken", "of"} else "left", overflow="fold")
    for row in rows:
        style = "" if row.holds else "bold red"
        table.add_row(row.promise, str(row.broken), f"{row.trials:,}", row.note, style=style)
    Console(width=150).print(table)
    return 0 if rows and all(row.holds for row in rows) else 1
