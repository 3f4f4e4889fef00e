"""A table of policy.toml, read key by key, and what is wrong with it."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from rotation.frozen import Frozen

if TYPE_CHECKING:
    from rotation.policy.toml_lines import Path

T = TypeVar("T")


class Problems:
    """What is wrong, with the place: collected, so that a person mends a file in one go."""

    def __init__(self) -> None:
        self.found: list[tuple[Path, str]] = []

    def add(self, place: "Path", message: str) -> None:
        self.found.append((place, message))


class Table(Frozen):
    """A TOML table whose keys are read one by one; what is wrong is reported, and the default is taken for it."""

    values: Mapping[str, object]
    place: "Path"
    problems: Problems
    within: str = ""  # "password." for what is in that key

    def refuse_unknown(self, known: Sequence[str]) -> None:
        """Report keys that mean nothing: a misspelled limit would be no limit."""
        for key in self.values:
            if key not in known:
                from difflib import get_close_matches  # noqa: PLC0415  only for a file that is wrong

                close = get_close_matches(key, known)
                remedy = f"write `{close[0]}`" if close else f"known are {', '.join(known)}"
                self.problems.add((*self.place, key), f"unknown key {self.within + key!a:.60}; {remedy}")

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.problems.add((*self.place, key), f"`{self.within}{key}` must be text in quotes, not blank")
        return None

    def parsed(self, key: str, parse: Callable[[str], T]) -> T | None:
        """A text, by a parser whose ValueErrors are our own words."""
        text = self.text(key)
        try:
            return parse(text) if text is not None else None
        except ValueError as error:
            self.problems.add((*self.place, key), f"`{self.within}{key}` {text!a:.80}: {error}")
        return None

    def number(self, key: str, least: int, most: int, default: int) -> int:
        value = self.values.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.problems.add((*self.place, key), f"`{self.within}{key}` must be a whole number, {least} to {most}")
        return default

    def each(self, key: str, parse: Callable[[str], T], *, required: bool = False) -> tuple[T, ...]:
        """A list of texts, each by a parser whose ValueErrors are our own words. Absent: empty."""
        return tuple(value for _, value in self.numbered(key, parse, required=required))

    def numbered(self, key: str, parse: Callable[[str], T], *, required: bool = False) -> tuple[tuple[int, T], ...]:
        """As `each`, with each one's index in the file: a wrong element is reported and left out, and counts there."""
        place = (*self.place, key)
        values = self.values.get(key)
        if values is None:
            if required:
                self.problems.add(
                    self.place, f"`{self.within}{key}` is missing; a rule names its vaults, secrets and rotators"
                )
            return ()
        if not isinstance(values, list) or not values:
            message = f'`{self.within}{key}` must be a list that is not empty, such as {key} = ["..."]'
            self.problems.add(place, message)
            return ()
        result = []
        for index, value in enumerate(values):
            try:
                result.append((index, parse(text_of(value))))
            except ValueError as error:
                self.problems.add((*place, index), f"`{self.within}{key}` {value!a:.80}: {error}")
        return tuple(result)


def text_of(value: object) -> str:
    """A text; raises ValueError, in our own words, for anything else."""
    if not isinstance(value, str):
        raise ValueError("this must be text in quotes")  # noqa: TRY004  reported like any other wrong element
    return value
