"""Every mutation of the modules in question. The one place that says which these are."""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code
from parso.tree import NodeOrLeaf

from tests.proof.mutations.operators import OPERATORS

ROOT = Path(__file__).parents[3]
# By glob, so that a move of a module is at most one line here. Each of them must find something.
MODULES: Mapping[str, tuple[str, ...]] = {
    "the policy": ("rotation/policy/**/*.py",),
    "the deciding": ("rotation/engine/decision.py", "rotation/engine/grace.py"),
    "the tags": ("rotation/**/spec.py",),
    "retirement": ("rotation/**/retirement.py",),
    "the triggers": ("handlers/**/*.py", "app/**/*.py"),
}


@dataclass(frozen=True, slots=True, order=True)
class Mutation:
    """One change of one line. It is known by the line's text, not by its number, so that its name outlives edits.

    path: of the module, from the root. function: its qualified name; empty in the module's own body. line: what stands
    there, without the space around. nth: which of the same changes of the same line in the same function, from 1.
    number, occurrence: where it stands today; they are no part of its name.
    """

    path: str
    function: str
    operator: str
    line: str
    nth: int
    number: int
    occurrence: int

    @property
    def name(self) -> tuple[str, str, str, str, int]:
        return (self.path, self.function, self.operator, self.line, self.nth)

    def applied(self, source: str) -> str:
        """The module's text, so changed.

        Raises:
            LookupError: this is not the text that the mutation was made from.
        """
        changed: str | None = mutate_code(source, OPERATORS[self.operator](), self.occurrence)
        if changed is None:
            raise LookupError(self)
        return changed


def modules(root: Path = ROOT) -> list[str]:
    """Paths from the root, in order.

    Raises:
        LookupError: globs of one concern find nothing: its module was moved or renamed.
    """
    found: set[str] = set()
    for concern, globs in MODULES.items():
        paths = {path.relative_to(root).as_posix() for glob in globs for path in root.glob(glob)}
        if not paths:
            raise LookupError(f"no module holds {concern} any more: say in tests/proof/mutations/made.py where it went")
        found |= paths
    return sorted(found)


def mutations_of(path: str, source: str) -> Iterator[Mutation]:
    """All of one module, in the order of its lines.

    Annotations are left out, what only type checkers or a command line run, and what a dataclass is made with: that
    nobody changes a frozen one is for the type checker to see.
    """
    lines = source.splitlines()
    about = _About(ast.parse(source))
    found: list[tuple[int, int, str, int]] = []
    tree = get_ast(source)
    for operator in OPERATORS:
        places = _Places(operator)
        places.walk(tree)
        found += [(*start, operator, occurrence) for occurrence, start in enumerate(places.starts)]
    seen: Counter[tuple[str, str, str]] = Counter()
    for number, column, operator, occurrence in sorted(found):
        if about.is_left_out(number, column) or (operator == "Mul_Div" and not about.multiplies(number, column)):
            continue
        key = (about.function(number), operator, lines[number - 1].strip())
        seen[key] += 1
        yield Mutation(path, *key, seen[key], number, occurrence)


class _Places(Visitor):  # type: ignore[misc]  # Cosmic Ray has no types
    """Where an operator may change something, in the order in which Cosmic Ray counts."""

    def __init__(self, operator: str) -> None:
        self._operator = OPERATORS[operator]()
        self.starts: list[tuple[int, int]] = []

    def visit(self, node: NodeOrLeaf) -> NodeOrLeaf:
        self.starts += [start for start, _ in self._operator.mutation_positions(node)]
        return node


class _About:
    """What a place in a module is part of."""

    def __init__(self, tree: ast.Module) -> None:
        self._functions: list[tuple[int, int, str]] = []
        self._left_out: list[tuple[tuple[int, int], tuple[int, int]]] = []
        self._products: list[tuple[tuple[int, int], tuple[int, int]]] = []
        self._look(tree, "")

    def function(self, number: int) -> str:
        inside = [name for first, last, name in self._functions if first <= number <= last]
        return inside[-1] if inside else ""

    def multiplies(self, number: int, column: int) -> bool:
        """Whether the asterisk there is arithmetic, and not one of a list of parameters."""
        return any(start <= (number, column) < end for start, end in self._products)

    def is_left_out(self, number: int, column: int) -> bool:
        return any(start <= (number, column) < end for start, end in self._left_out)

    def _look(self, node: ast.AST, within: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = within
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{within}.{child.name}" if within else child.name
                first = min([child.lineno, *(one.lineno for one in child.decorator_list)])
                self._functions.append((first, child.end_lineno or first, name))
            if isinstance(child, ast.If) and (
                "TYPE_CHECKING" in ast.dump(child.test) or "__main__" in ast.dump(child.test)
            ):
                self._leave_out(child)
            for decorator in getattr(child, "decorator_list", ()):
                if ast.unparse(decorator).startswith("dataclass("):
                    self._leave_out(decorator)
            if isinstance(child, ast.BinOp) and isinstance(child.op, ast.Mult):
                self._products.append(_span(child))
            for field in ("annotation", "returns"):
                if isinstance(part := getattr(child, field, None), ast.expr):
                    self._leave_out(part)
            self._look(child, name)

    def _leave_out(self, node: ast.expr | ast.stmt) -> None:
        self._left_out.append(_span(node))


def _span(node: ast.expr | ast.stmt) -> tuple[tuple[int, int], tuple[int, int]]:
    end = (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
    return ((node.lineno, node.col_offset), end)


def every_mutation(root: Path = ROOT) -> list[Mutation]:
    """Of every module, in order."""
    return [one for path in modules(root) for one in mutations_of(path, (root / path).read_text())]
