"""The mutations that no test notices, and why that is right: `survivors.toml`."""

import fnmatch
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.proof.mutations.made import Mutation

LIST = Path(__file__).with_name("survivors.toml")


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry. function, line, nth: None for any. why: what a reader must know to agree that no test is missing."""

    path: str
    operators: tuple[str, ...]
    function: str | None
    line: str | None
    nth: int | None
    why: str

    def covers(self, mutation: Mutation) -> bool:
        return (
            mutation.path == self.path
            and mutation.operator in self.operators
            and self.function in {None, mutation.function}
            and self.line in {None, mutation.line}
            and self.nth in {None, mutation.nth}
        )


class Survivors:
    """The whole list. It is read strictly: an entry that says less than it must would hide mutations."""

    def __init__(self, file: Path = LIST) -> None:
        told = tomllib.loads(file.read_text())
        self.open: list[str] = told.get("open", [])  # globs of modules whose survivors nobody has gone through yet
        self.entries: list[Listed] = []
        for module in told.get("module", []):
            for entry in module.get("survivors", []):
                self.entries.append(_entry(module["path"], entry))

    def covers(self, mutation: Mutation) -> bool:
        return any(entry.covers(mutation) for entry in self.entries)

    def is_open(self, mutation: Mutation) -> bool:
        return any(fnmatch.fnmatch(mutation.path, glob) for glob in self.open)

    def stale(self, mutations: Iterable[Mutation]) -> Sequence[Listed]:
        """Entries that are about nothing any more: their lines were changed, and so must be looked at again."""
        made = list(mutations)
        return [entry for entry in self.entries if not any(entry.covers(one) for one in made)]


def _entry(path: str, entry: dict[str, object]) -> Listed:
    if unknown := entry.keys() - {"operator", "function", "line", "nth", "why"}:
        raise ValueError(f"{path}: {', '.join(sorted(unknown))} means nothing here")
    operator, why = entry["operator"], entry.get("why")
    if not isinstance(why, str) or not why.strip() or not {"line", "function"} & entry.keys():
        raise ValueError(f"{path}: {entry}: a survivor has a line or a function, and its reason")
    operators = (operator,) if isinstance(operator, str) else tuple(operator)  # type: ignore[arg-type]  # a list of them
    function, line, nth = entry.get("function"), entry.get("line"), entry.get("nth")
    assert function is None or isinstance(function, str)
    assert line is None or isinstance(line, str)
    assert nth is None or isinstance(nth, int)
    return Listed(path, operators, function, line, nth, why)


def as_entry(mutation: Mutation) -> str:
    """The line to put into the list, but for the reason."""
    function, line = (text.replace("\\", "\\\\").replace('"', '\\"') for text in (mutation.function, mutation.line))
    return (
        f'{{ function = "{function}", operator = "{mutation.operator}", line = "{line}", '
        f'nth = {mutation.nth}, why = "" }},  # {mutation.path}'
    )
