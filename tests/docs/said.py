"""What the app can say when something goes wrong, read from its sources."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rotation import errors

ROOT = Path(__file__).parents[2]
BLANK = "…"  # what is put into a sentence, as the page writes it
SHORTEST = 8  # characters of its own that a sentence needs to be told from others


@dataclass(frozen=True, slots=True)
class Sentence:
    """A message with `…` where a name or number comes in, and where it stands."""

    text: str
    place: str


def sentences() -> list[Sentence]:
    """The messages of every error of ours."""
    trees = {path: ast.parse(path.read_text()) for folder in ("rotation", "handlers", "app") for path in _files(folder)}
    kinds = _kinds(list(trees.values())) | {"Objection"}
    found = []
    for path, tree in trees.items():
        for literal in _literals(tree, kinds):
            text = _template(literal)
            if " " in text:
                found.append(Sentence(text, f"{path.relative_to(ROOT)}:{literal.lineno}"))
    return found


def own(text: str) -> str:
    """The characters that are always there."""
    return text.replace(BLANK, "").strip()


def shown_as(row: str) -> re.Pattern[str]:
    """What a sentence looks like that the page's text stands for."""
    return re.compile(".*".join(re.escape(part) for part in row.split(BLANK)), re.DOTALL)


def _files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def _kinds(trees: Sequence[ast.Module]) -> set[str]:
    """Names of our errors' classes, those of single modules too."""
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while more := {
        one.name for one in classes if one.name not in kinds and any(ast.unparse(base) in kinds for base in one.bases)
    }:
        kinds |= more
    return {kind for kind in kinds if not kind.startswith("_")}  # those are caught where they are raised


def _literals(tree: ast.Module, kinds: set[str]) -> Iterator[ast.expr]:
    """Texts handed to an error, or kept in `message` by a module that hands that over."""
    kept: list[ast.expr] = []
    handed = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in kinds:
            handed = handed or any(ast.unparse(argument) == "message" for argument in node.args)
            for argument in node.args:
                yield from _texts(argument)
        elif isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["message"]:
            kept += _texts(node.value)
    if handed:
        yield from kept


def _texts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield from _texts(child)


def _template(literal: ast.expr) -> str:
    if isinstance(literal, ast.Constant):
        return str(literal.value)
    assert isinstance(literal, ast.JoinedStr)
    return "".join(str(part.value) if isinstance(part, ast.Constant) else BLANK for part in literal.values)
