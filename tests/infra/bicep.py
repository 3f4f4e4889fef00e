"""Bicep, read without its compiler: tree-sitter parses a file whole, and this makes values of the tree.

Literals become Python's: str, int, bool, None, list, dict. What is computed becomes `Computed`, with its text; what is
repeated, by a loop or by `map`, becomes `Repeated`, with the body once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeAlias

import tree_sitter
import tree_sitter_bicep

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the grammar hands its language over as a number
    LANGUAGE = tree_sitter.Language(tree_sitter_bicep.language())


@dataclass(frozen=True, slots=True)
class Computed:
    """An expression, as it is written."""

    text: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """`[for … in over: if (condition) body]`; condition: None where there is none."""

    over: str
    condition: str | None
    body: Value


Value: TypeAlias = "str | int | bool | Computed | Repeated | Sequence[Value] | Mapping[str, Value] | None"


@dataclass(frozen=True, slots=True)
class Declared:
    """One declaration. decorators: name -> its argument, None where it has none. value: None where it has none."""

    name: str
    node: tree_sitter.Node
    decorators: Mapping[str, Value]
    value: Value = None
    type: str = ""
    condition: str | None = None
    over: str | None = None
    existing: bool = False

    @property
    def body(self) -> Mapping[str, Value]:
        """The properties of a resource or a module, once for all that are repeated."""
        assert isinstance(self.value, Mapping), self.name
        return self.value


@dataclass(slots=True)
class File:
    """A Bicep file; each mapping is by symbolic name. broken: (line, text) of what the grammar could not read."""

    path: Path
    source: bytes
    root: tree_sitter.Node
    broken: list[tuple[int, str]]
    imports: dict[str, str] = field(default_factory=dict)
    types: dict[str, Declared] = field(default_factory=dict)
    functions: dict[str, Declared] = field(default_factory=dict)
    params: dict[str, Declared] = field(default_factory=dict)
    variables: dict[str, Declared] = field(default_factory=dict)
    resources: dict[str, Declared] = field(default_factory=dict)
    modules: dict[str, Declared] = field(default_factory=dict)
    outputs: dict[str, Declared] = field(default_factory=dict)
    target_scope: str = "resourceGroup"

    @property
    def name(self) -> str:
        return self.path.relative_to(INFRA).as_posix() if self.path.is_relative_to(INFRA) else self.path.name

    def declared(self) -> set[str]:
        """Every symbol that an expression may use."""
        return {*self.params, *self.variables, *self.resources, *self.modules}

    def text(self, node: tree_sitter.Node) -> str:
        return self.source[node.start_byte : node.end_byte].decode()


@cache
def read(path: Path) -> File:
    """A .bicep file; of a .bicepparam file, its params.

    The grammar knows no `param name = value`, which is what `var name = value` is everywhere else.
    """
    source = path.read_bytes()
    if path.suffix == ".bicepparam":
        source = b"\n".join(b"var " + line[6:] if line.startswith(b"param ") else line for line in source.split(b"\n"))
    root = tree_sitter.Parser(LANGUAGE).parse(source).root_node
    file = File(path, source, root, [])
    file.broken.extend((node.start_point[0] + 1, file.text(node)[:60]) for node in walk(root) if _is_broken(node))
    decorators: dict[str, Value] = {}
    for node in root.named_children:
        if node.type == "decorators":
            decorators |= _decorators(file, node)
        else:
            _declare(file, node, decorators)
            if node.type != "comment":
                decorators = {}
    return file


def walk(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """A node and all below it."""
    yield node
    for child in node.children:
        yield from walk(child)


def all_files() -> list[File]:
    """Every .bicep file of the folder."""
    return [read(path) for path in sorted(INFRA.rglob("*.bicep"))]


def at(value: Value, path: str) -> Value:
    """The value under `a.b.c`; through what is repeated; None where there is none."""
    for step in path.split("."):
        if isinstance(value, Repeated):
            value = value.body
        if isinstance(value, Sequence) and not isinstance(value, str) and step.isdigit():
            value = value[int(step)]
            continue
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _is_broken(node: tree_sitter.Node) -> bool:
    return node.type == "ERROR" or node.is_missing


def _decorators(file: File, node: tree_sitter.Node) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for decorator in node.named_children:
        call = decorator.named_children[0]
        arguments = call.named_children[1].named_children
        found[file.text(call.named_children[0]).removeprefix("sys.")] = (
            value_of(file, arguments[0]) if arguments else None
        )
    return found


def _declare(file: File, node: tree_sitter.Node, decorators: Mapping[str, Value]) -> None:
    children = node.named_children
    match node.type:
        case "import_functionality":
            *names, source = children
            file.imports |= dict.fromkeys(map(file.text, names), str(value_of(file, source)))
        case "target_scope_assignment":
            file.target_scope = str(value_of(file, children[0]))
        case "type_declaration":
            file.types[file.text(children[0])] = Declared(file.text(children[0]), children[1], decorators)
        case "user_defined_function":
            file.functions[file.text(children[0])] = Declared(file.text(children[0]), node, decorators)
        case "variable_declaration":
            name = file.text(children[0])
            file.variables[name] = Declared(name, node, decorators, value_of(file, children[1]))
        case "parameter_declaration" | "output_declaration":
            where = file.params if node.type == "parameter_declaration" else file.outputs
            name, kind = file.text(children[0]), file.text(children[1])
            has_value = len(children) > 2
            value = value_of(file, children[2]) if has_value else None
            where[name] = Declared(name, node, {**decorators, **({} if has_value else {"required": None})}, value, kind)
        case "resource_declaration" | "module_declaration":
            where = file.resources if node.type == "resource_declaration" else file.modules
            where[file.text(children[0])] = _with_body(file, node, decorators)


def _with_body(file: File, node: tree_sitter.Node, decorators: Mapping[str, Value]) -> Declared:
    name, kind, body = node.named_children[:3]
    value = value_of(file, body)
    over = condition = None
    if isinstance(value, Repeated):
        over, condition, value = value.over, value.condition, value.body
    elif body.type == "if_statement":
        condition = file.text(body.named_children[0])
        value = value_of(file, body.named_children[1])
    existing = any(child.type == "existing" for child in node.children)
    return Declared(file.text(name), node, decorators, value, str(value_of(file, kind)), condition, over, existing)


def value_of(file: File, node: tree_sitter.Node) -> Value:  # noqa: PLR0911  one for each kind of literal
    """See the module."""
    text = file.text(node)
    children = [child for child in node.named_children if child.type != "comment"]
    match node.type:
        case "string" if all(child.type in {"string_content", "escape_sequence"} for child in children):
            return text[1:-1].replace("\\'", "'").replace("\\n", "\n").replace("\\$", "$").replace("\\\\", "\\")
        case "number":
            return int(text)
        case "boolean":
            return text == "true"
        case "null":
            return None
        case "array":
            return [value_of(file, child) for child in children]
        case "object":
            pairs = [child.named_children for child in children if child.type == "object_property"]
            return {str(_key(file, key)): value_of(file, value) for key, value, *_ in pairs}
        case "for_statement":
            *head, over, body = children
            condition = file.text(body.named_children[0]) if body.type == "if_statement" else None
            inner = body.named_children[1] if body.type == "if_statement" else body
            assert head, text
            return Repeated(file.text(over), condition, value_of(file, inner))
        case "call_expression" if text.startswith("map(") and (made := _made_of_each(children)) is not None:
            return Repeated(file.text(children[1].named_children[0]), None, value_of(file, made))
        case _:
            return Computed(text)


def _made_of_each(call: Sequence[tree_sitter.Node]) -> tree_sitter.Node | None:
    """The object that `map(…, one => { … })` makes of each."""
    last = call[1].named_children[-1]
    body = last.named_children[-1] if last.type == "lambda_expression" else None
    return body if body is not None and body.type == "object" else None


def _key(file: File, node: tree_sitter.Node) -> str:
    key = value_of(file, node) if node.type == "string" else file.text(node)
    return key.text if isinstance(key, Computed) else str(key)
