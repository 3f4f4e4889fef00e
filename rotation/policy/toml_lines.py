"""Where in a TOML text each table, key and array element is; the standard library's parser does not tell.

Only for texts that `tomllib` has accepted: the scanner leans on that, and asks `tomllib` itself to read key names.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

Path = tuple[str | int, ...]

_BASIC = r'"(?:[^"\\\n]|\\.)*"'
_LITERAL = r"'[^'\n]*'"
_PART = rf"(?:[A-Za-z0-9_-]+|{_BASIC}|{_LITERAL})"
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_STATEMENT = re.compile(rf"[ \t]*(?:\[(?P<many>\[)?[ \t]*(?P<table>{_KEY})[ \t]*\](?(many)\])|(?P<key>{_KEY})[ \t]*=)")
# A multi-line string may end in up to two quotes of its own before the three that close it.
_TOKEN = re.compile(
    rf'"""(?:[^\\]|\\.)*?"{{3,5}}|'
    rf"'''.*?'{{3,5}}|"
    rf"{_BASIC}|{_LITERAL}|"
    r"(?P<comment>\#[^\n]*)|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<end>\n)|(?P<blank>[ \t]+)|.",
    re.DOTALL,
)


class Lines:
    """Line numbers, from 1, of what a TOML text holds. A path reads ("rule", 0, "targets", 2)."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}  # elements seen of each array of tables
        self._scan()

    def of(self, path: Path) -> int:
        """The line of what is at `path`, or of the nearest thing around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _scan(self) -> None:
        table: Path = ()
        position = 0
        while position < len(self._text):
            statement = _STATEMENT.match(self._text, position)
            if statement is None:
                position = self._value(position, ())  # a blank or a comment
                continue
            if statement["key"] is None:
                table = path = self._table(_parts(statement["table"]), statement.start(), many=bool(statement["many"]))
            else:
                path = (*table, *_parts(statement["key"]))
            self._note(path, statement.start())
            position = self._value(statement.end(), path)

    def _table(self, parts: Path, position: int, *, many: bool) -> Path:
        """The full path of a header: a part that names an array of tables means its latest element."""
        path: Path = ()
        for part in parts[:-1]:
            path = self._latest((*path, part))
        path = (*path, parts[-1])
        self._note(path, position)
        if many:
            self._counts[path] = self._counts.get(path, 0) + 1
        return self._latest(path)

    def _latest(self, path: Path) -> Path:
        count = self._counts.get(path)
        return path if count is None else (*path, count - 1)

    def _value(self, position: int, path: Path) -> int:
        """Go on to the line's end, or over the lines of an array; note where each of its elements is."""
        depth = element = 0
        awaited = False
        while position < len(self._text):
            token = _TOKEN.match(self._text, position)
            assert token is not None  # noqa: S101  the last alternative takes any character
            kind = token.lastgroup
            position = token.end()
            if kind == "end" and depth == 0:
                break
            if awaited and kind not in {"blank", "comment", "end", "close"}:
                self._note((*path, element), token.start())
                awaited = False
            if kind == "open":
                depth += 1
                awaited = depth == 1
            elif kind == "close":
                depth -= 1
            elif kind == "comma" and depth == 1:
                element += 1
                awaited = True
        return position

    def _note(self, path: Path, position: int) -> None:
        self._lines.setdefault(path, self._text.count("\n", 0, position) + 1)


def _parts(key: str) -> Path:
    """The names in a dotted key, quotes and escapes undone."""
    names: list[str] = []
    inner: Any = tomllib.loads(f"{key} = 0")
    while isinstance(inner, dict):
        ((name, inner),) = inner.items()
        names.append(name)
    return tuple(names)
