"""CONTRIBUTING.md leads where it says: files, tests, steps, and the walk of one event."""

import ast
import re
import tokenize
from collections.abc import Iterator

import pytest

from handlers.problems import problem
from rotation.errors import BoundElsewhere, Denied
from tests.docs.said import ROOT
from tests.docs.test_docs import slugs

PAGE = ROOT / "CONTRIBUTING.md"
TEXT = PAGE.read_text()
STEPS = [
    (int(number), title)
    for number, title in re.findall(r"^(\d+)\. \*\*(.+?)\*\*", TEXT.partition("## The steps of a run")[2], re.MULTILINE)
]
WALK = re.findall(r"^\| (\d) \| (\w+) \| (.+?) \| .+ \|$", TEXT, re.MULTILINE)
FILES = sorted(set(re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|toml|json|bicep))(?:::\w+)?`", TEXT)))
TESTS = sorted(set(re.findall(r"(tests/[\w/]+\.py)::(test_\w+)", TEXT)))


@pytest.mark.parametrize("file", FILES)
def test_every_file_that_it_names_is_there(file: str) -> None:
    beside = [path for path in ROOT.glob("tests/**/") if (path / file).is_file()]  # named beside another of its folder
    assert (ROOT / file).is_file() or ("/" not in file and beside)


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_every_test_that_it_names_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", TEXT):
        name, _, anchor = target.partition("#")
        linked = ROOT / name if name else PAGE
        assert linked.is_file(), target
        assert not anchor or anchor in slugs(linked), target


def test_the_errors_give_the_statuses_that_it_says() -> None:
    (row,) = re.findall(r"\| Which HTTP status does an error give\? \| (.+) \|$", TEXT, re.MULTILINE)
    said = dict(re.findall(r"`(\w+)` (?:is )?(\d{3})", row))
    errors = (Denied(""), BoundElsewhere(""))
    assert said == {error.code: str(problem(error).status) for error in errors}


def test_the_functions_that_it_names_are_in_the_files_that_it_names() -> None:
    named = re.findall(r"`(\w+)` in `(rotation/[\w/]+\.py)`", TEXT)
    assert {function for function, _ in named} == {
        "due_at", "deferral_of", "at_once", "over_at", "retire_due", "open_operation", "_need", "sweep_asks",
        "read_rule", "leave_mark",
    }  # fmt: skip
    for function, file in named:
        assert f"def {function}(" in (ROOT / file).read_text(), file


def counted() -> Iterator[tuple[str, str]]:
    """(file, number) of each step that a comment or docstring of the core counts."""
    for path in sorted((ROOT / "rotation").rglob("*.py")):
        with path.open("rb") as source:
            words = " ".join(
                token.string
                for token in tokenize.tokenize(source.readline)
                if token.type in {tokenize.COMMENT, tokenize.STRING}
            )
        for found in re.findall(r"(?i)\bsteps? ((?:\d+(?: and | to |, )?)+)|# (\d(?: and \d)*)\b", words):
            for number in re.findall(r"\d+", "".join(found)):
                yield path.name, number


def test_the_steps_are_numbered_once_and_comments_count_no_other() -> None:
    assert [number for number, _ in STEPS] == list(range(1, 10))
    numbers = list(counted())
    assert {"1", "3", "6", "9"} <= {number for _, number in numbers}, "the comments count"
    assert [one for one in numbers if not 1 <= int(one[1]) <= len(STEPS)] == []


def test_the_walk_has_at_most_eight_rooms_and_enters_none_twice_but_the_engine() -> None:
    assert [int(number) for number, _, _ in WALK] == list(range(1, len(WALK) + 1))
    assert len(WALK) <= 8
    rooms = [reserve_writes for _, reserve_writes, _ in WALK if reserve_writes != "engine"]
    assert len(rooms) == len(set(rooms))
    files = [file for _, _, cell in WALK for file in re.findall(r"`(.+?)`", cell)]
    assert len(files) == len(set(files)) >= len(WALK)
