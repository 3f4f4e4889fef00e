"""What a compiler would refuse, as far as it can be told from the tree: names, calls of modules, scopes, late values.

Sources: Microsoft Learn, "Bicep functions"; "Bicep core diagnostics" BCP037 (unknown property), BCP057 (unknown name),
BCP120 and BCP178 (a name, a scope, a condition or a loop that is known too late), BCP134 (a module's scope).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import tree_sitter

from tests.infra.bicep import Declared, File, Repeated, Value, read, walk

# The functions that we use, with how many arguments they take.
BUILT_IN: Mapping[str, range] = {
    "array": range(1, 2), "cidrSubnet": range(3, 4),
    "concat": range(1, 99), "deployment": range(1), "empty": range(1, 2),
    "environment": range(1), "fail": range(1, 2), "filter": range(2, 3), "flatten": range(1, 2), "guid": range(1, 99),
    "items": range(1, 2), "join": range(2, 3), "last": range(1, 2), "length": range(1, 2),
    "loadJsonContent": range(1, 4), "loadTextContent": range(1, 3), "map": range(2, 3),
    "readEnvironmentVariable": range(1, 3), "replace": range(3, 4), "resourceGroup": range(3),
    "resourceId": range(2, 99), "split": range(2, 3), "subscription": range(2), "subscriptionResourceId": range(2, 99),
    "string": range(1, 2), "take": range(2, 3), "tenant": range(1), "toLower": range(1, 2), "union": range(1, 99),
    "uniqueString": range(1, 99),
}  # fmt: skip
_TYPE_NODES = {"type", "array_type", "nullable_type", "union_type"}
_LATE = re.compile(r"\b(\w+)(\[[^\]]*\])?[!]?\.\??(outputs|properties|identity)\b")


def problems(file: File) -> Iterator[str]:
    """One line for each thing that is wrong with a file."""
    yield from (f"line {line}: can't be read: {text}" for line, text in file.broken)
    yield from _names(file)
    yield from _calls(file)
    yield from _unused(file)
    yield from _loads(file)
    yield from _looked_up_too_soon(file)
    for module in file.modules.values():
        yield from _module(file, module)
    for declared in (*file.resources.values(), *file.modules.values()):
        yield from _late(file, declared)


def _names(file: File) -> Iterator[str]:
    types = {*file.types, *(name for name in file.imports if name.endswith("Type"))}
    for name, source in file.imports.items():
        other = read(file.path.parent / source)
        found = other.types.get(name) or other.functions.get(name)
        if found is None or "export" not in found.decorators:
            yield f"{name} is not exported by {source}"
    for node, bound in _uses(file.root, frozenset()):
        name = file.text(node)
        if _in_type(node):
            if name not in types:
                yield f"line {node.start_point[0] + 1}: no type {name}"
        elif name not in bound and name not in file.declared():
            yield f"line {node.start_point[0] + 1}: nothing is called {name}"


def _uses(node: tree_sitter.Node, bound: frozenset[str]) -> Iterator[tuple[tree_sitter.Node, frozenset[str]]]:
    """Each identifier that is used, not declared, with the names bound around it by lambdas and loops."""
    children = node.named_children
    match node.type:
        case "identifier":
            yield node, bound
            return
        case "import_functionality" | "metadata_declaration" | "target_scope_assignment":
            return
        case "lambda_expression":
            bound |= {_text(name) for name in _identifiers(children[0])}
            children = children[1:]
        case "for_statement":
            *heads, over, body = [child for child in children if child.type != "comment"]
            yield from _uses(over, bound)
            bound |= {_text(name) for head in heads for name in _identifiers(head)}
            children = [body]
        case "object_property" | "type_declaration" | "variable_declaration":
            children = children if node.type == "object_property" and children[0].type == "string" else children[1:]
        case "resource_declaration" | "module_declaration" | "parameter_declaration" | "output_declaration":
            children = children[1:]
        case "user_defined_function":
            parameters = [child.named_children for child in children[1].named_children]
            bound |= {_text(parameter[0]) for parameter in parameters}
            children = children[2:]
        case "call_expression":
            children = children[1:]
    for child in children:
        yield from _uses(child, bound)


def _identifiers(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    return (one for one in walk(node) if one.type in {"identifier", "loop_variable", "loop_enumerator"})


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode()


def _in_type(node: tree_sitter.Node) -> bool:
    """A type's name stands below `type`, or in the object of a type declaration."""
    above = node.parent
    while above is not None and above.type in {*_TYPE_NODES, "object", "object_property"}:
        if above.type in _TYPE_NODES:
            return True
        above = above.parent
    return above is not None and above.type == "type_declaration"


def _calls(file: File) -> Iterator[str]:
    for node in walk(file.root):
        if node.type != "call_expression" or node.parent is None or node.parent.type == "decorator":
            continue
        name, count = file.text(node.named_children[0]), len(node.named_children[1].named_children)
        if name in file.functions or name in file.imports:
            continue
        if name not in BUILT_IN:
            yield f"line {node.start_point[0] + 1}: no function {name}"
        elif count not in BUILT_IN[name]:
            yield f"line {node.start_point[0] + 1}: {name} takes another number of arguments than {count}"
        elif name == "resourceGroup" and count == 0 and file.target_scope == "subscription":
            yield f"line {node.start_point[0] + 1}: there is no resourceGroup() in a subscription's deployment"


def _unused(file: File) -> Iterator[str]:
    used = {file.text(node) for node, _ in _uses(file.root, frozenset())}
    used |= {file.text(node.named_children[0]) for node in walk(file.root) if node.type == "call_expression"}
    existing = {name for name, declared in file.resources.items() if declared.existing}
    own_types = {name for name, declared in file.types.items() if "export" not in declared.decorators}
    for name in sorted({*file.params, *file.variables, *file.imports, *existing, *own_types} - used):
        yield f"{name} is not used"


def _loads(file: File) -> Iterator[str]:
    for path in loaded(file):
        if not (file.path.parent / path).is_file():
            yield f"{path} is loaded, and not there"


def loaded(file: File) -> list[str]:
    """The files that it loads, as it names them."""
    return re.findall(r"load(?:Json|Text)Content\('([^']+)'\)", file.source.decode())


def _looked_up_too_soon(file: File) -> Iterator[str]:
    """A template may read what is `existing` as soon as it begins, when what the same file makes is not there yet."""
    made = {declared.type for declared in file.resources.values() if not declared.existing}
    for name, declared in file.resources.items():
        if declared.existing and declared.type in made and declared.condition is None:
            yield f"{name} is looked up, and may be made in this file: give it a condition, or a module of its own"


def _module(file: File, module: Declared) -> Iterator[str]:
    target = file.path.parent / module.type
    if not target.is_file():
        yield f"{module.name}: no file {module.type}"
        return
    called = read(target)
    given = module.body.get("params", {})
    assert isinstance(given, Mapping)
    needed = {name for name, param in called.params.items() if "required" in param.decorators and param.type[-1] != "?"}
    yield from (f"{module.name}: {called.name} has no parameter {name}" for name in given.keys() - called.params.keys())
    yield from (f"{module.name}: the parameter {name} is missing" for name in needed - given.keys())
    yield from (f"{module.name}: a module knows no {name}" for name in module.body if name not in MODULE_PROPERTIES)
    if (called.target_scope == "subscription") == ("scope" in module.body) and file.target_scope == "subscription":
        yield f"{module.name}: {called.name} is for a {called.target_scope}"
    for output in re.findall(rf"\b{module.name}(?:\[[^\]]*\])?!?\.\??outputs\.(\w+)", file.source.decode()):
        if output not in called.outputs:
            yield f"{called.name} has no output {output}"


MODULE_PROPERTIES = {"name", "scope", "params", "dependsOn"}


def _late(file: File, declared: Declared) -> Iterator[str]:
    """Names, scopes, conditions and loops must be known before anything is deployed."""
    early: dict[str, Value] = {key: declared.body.get(key) for key in ("name", "scope", "location", "parent")}
    texts = [str(value) for value in early.values()] + [declared.condition or "", declared.over or ""]
    for text in texts:
        yield from (f"{declared.name}: {name} is known too late for {text}" for name in _late_names(file, text, set()))


def _late_names(file: File, text: str, seen: set[str]) -> Iterator[str]:
    for match in _LATE.finditer(text):
        if match[1] in file.modules or match[1] in file.resources:
            yield match[1]
    for name in set(re.findall(r"\b\w+\b", text)) & file.variables.keys() - seen:
        value = file.variables[name].value
        inner = str(value.body) if isinstance(value, Repeated) else str(value)
        yield from _late_names(file, inner, {*seen, name})
