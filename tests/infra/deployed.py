"""What an example deploys: each resource of main.bicep and of the modules it calls, with the example's values in place.

Names, choices (`a ? b : c`) and conditions are worked out as far as they follow from parameters. What depends on Azure,
such as an id, stays an expression in brackets, as in a compiled template. What is repeated stands there once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tests.infra.bicep import INFRA, Computed, Declared, File, Repeated, Value, read

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"
Known: TypeAlias = Mapping[str, Json]
_CHOICE = re.compile(r"(?P<condition>[^?]+?)\s+\?\s+(?P<then>[^?:]+?)\s+:\s+(?P<otherwise>[^?:]+)")


@dataclass(frozen=True, slots=True)
class Resource:
    """name: the modules that lead to it and its own symbol: `hostStorage.account`. body: all beside name and type."""

    name: str
    type: str
    api_version: str
    body: Mapping[str, Json]


def deployed(example: Path) -> list[Resource]:
    """Everything that a .bicepparam makes, in the order of the files."""
    main, given = read(INFRA / "main.bicep"), read(example).variables
    known = {name: _plain(param.value, {}) for name, param in main.params.items()}
    known |= {name: _plain(variable.value, {}) for name, variable in given.items()}
    known["closed"] = known.get("network") is not None  # as main.bicep has it
    return list(_resources(main, known, ""))


def template(resources: Sequence[Resource]) -> dict[str, Json]:
    """The same as an ARM template."""
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": [
            {"type": one.type, "apiVersion": one.api_version, "name": one.name, **one.body} for one in resources
        ],
    }


def _resources(file: File, known: Known, path: str) -> Iterator[Resource]:
    known = {**{name: _plain(one.value, known) for name, one in file.variables.items()}, **known}
    for resource in file.resources.values():
        if not resource.existing and _is_made(resource, known):
            kind, _, version = resource.type.partition("@")
            left_out = {"name", "parent", "scope", "dependsOn"}
            body = {key: _plain(value, known) for key, value in resource.body.items() if key not in left_out}
            yield Resource(f"{path}{resource.name}", kind, version, body)
    for module in file.modules.values():
        if _is_made(module, known):
            params = module.body.get("params", {})
            assert isinstance(params, Mapping)
            given = {name: _plain(value, known) for name, value in params.items()}
            yield from _resources(read(file.path.parent / module.type), given, f"{path}{module.name}.")


def _is_made(declared: Declared, known: Known) -> bool:
    """What can't be told from here counts as made."""
    return declared.condition is None or _truth(declared.condition, known) is not False


def _plain(value: Value, known: Known) -> Json:
    match value:
        case Repeated():
            return [_plain(value.body, known)]
        case Computed():
            return _worked_out(value.text, known)
        case Mapping():
            return {key: _plain(inner, known) for key, inner in value.items()}
        case str() | int() | None:
            return value
        case _:
            return [_plain(inner, known) for inner in value]


def _worked_out(text: str, known: Known) -> Json:
    if text in known:
        return known[text]
    if text in {"true", "false"}:
        return text == "true"
    if literal := re.fullmatch(r"'([^'$]*)'", text):
        return literal[1]
    if (choice := _CHOICE.fullmatch(text)) and (truth := _truth(choice["condition"], known)) is not None:
        return _worked_out(choice["then" if truth else "otherwise"], known)
    return truth if (truth := _truth(text, known)) is not None else f"[{text}]"


def _truth(text: str, known: Known) -> bool | None:
    """None where it can't be told."""
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    if " && " in text:
        parts = [_truth(part, known) for part in text.split(" && ")]
        return False if False in parts else None if None in parts else True
    if text.startswith("!"):
        inner = _truth(text[1:], known)
        return None if inner is None else not inner
    if (asked := re.fullmatch(r"empty\((\w+)\)", text)) and _is_told(known.get(asked[1], "[")):
        return not known[asked[1]]
    if (asked := re.fullmatch(r"(\w+) == '([^']*)'", text)) and _is_told(known.get(asked[1], "[")):
        return known[asked[1]] == asked[2]
    found = known.get(text)
    return found if isinstance(found, bool) else None


def _is_told(value: Json) -> bool:
    return not (isinstance(value, str) and value.startswith("["))
