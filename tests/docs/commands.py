"""The commands that the pages show."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.said import ROOT

# $(…) around a command is looked into, and stands for one word in the command around it.
_INNER = re.compile(r"\$\(([^()]*)\)")


@dataclass(frozen=True, slots=True)
class Shown:
    """One command. expected: what its comment says that the answer holds."""

    text: str
    expected: str
    page: str


def blocks(page: str) -> Iterator[Shown]:
    """Lines of code blocks without a language, continued lines joined."""
    inside = False
    for line in (ROOT / "docs" / page).read_text().replace("\\\n", " ").splitlines():
        if line.strip() == "```":
            inside = not inside
        elif inside and line.strip():
            text, _, comment = line.strip().partition("  #")
            yield Shown(text.strip(), comment.strip(), page)


def inline(page: str) -> Iterator[Shown]:
    """What stands in backticks within a sentence or a table."""
    outside = re.sub(r"^ *```.*?^ *```$", "", (ROOT / "docs" / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    for text in re.findall(r"`([^`\n]+)`", outside):
        yield Shown(text, "", page)


def of(program: str, pages: list[str]) -> list[list[str]]:
    """The words of each command of a program."""
    found = []
    for page in pages:
        for shown in [*blocks(page), *inline(page)]:
            found += within(program, shown.text)
    return found


def within(program: str, line: str) -> list[list[str]]:
    """The same of one line."""
    found = [_words(text) for text in _unfolded(line)]
    return [words for words in found if words[:1] == [program] and len(words) > 1]


def _unfolded(text: str) -> Iterator[str]:
    while match := _INNER.search(text):
        yield match[1]
        text = text[: match.start()] + "VALUE" + text[match.end() :]
    yield from re.split(r" (?:&&|\|) ", re.sub(r"^[A-Z_]+=(?=\S)", "", text))


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return []


def pages() -> list[str]:
    """Every page that operators read, as the folder docs/ sees it."""
    return ["../README.md", "../infra/README.md", *sorted(path.name for path in Path(ROOT / "docs").glob("*.md"))]
