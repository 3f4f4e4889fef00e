"""Holds answers against the document that the app serves at /api/openapi.json."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openapi_schema_validator import OAS31Validator

DOCUMENT = Path(__file__).parents[2] / "handlers" / "openapi.json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. responses: status -> what the document says of it, references followed."""

    id: str
    method: str
    path: re.Pattern[str]
    responses: Mapping[int, Mapping[str, Any]]


class Contract:
    """What the document promises."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.operations = tuple(self._operations())

    @classmethod
    def of_file(cls) -> "Contract":
        return cls(json.loads(DOCUMENT.read_text(encoding="utf-8")))

    def documented(self) -> set[tuple[str, int]]:
        """Every operation's id with each of its statuses."""
        return {(one.id, status) for one in self.operations for status in one.responses}

    def objection(self, method: str, path: str, status: int, headers: Mapping[str, str], text: str) -> str | None:
        """What is wrong with an answer; None where it is as promised, or where the path is none of the document's."""
        found = (one for one in self.operations if one.method == method and one.path.fullmatch(path.partition("?")[0]))
        operation = next(found, None)
        if operation is None or (not text and status in OF_THE_HOST):  # the app's own answers have a body
            return None
        where = f"{operation.id} answered {status}"
        response = operation.responses.get(status)
        if response is None:
            return f"{where}, which is not documented: {text}"
        for name, header in response.get("headers", {}).items():
            told = headers.get(name)
            if told is None and not self._followed(header).get("required", False):
                continue
            if told is None or not told.isdigit():
                return f"{where} with {name} {told}"
        content = response.get("content", {})
        kind = headers.get("Content-Type", "").partition(";")[0]
        if not text and not content:
            return None
        if kind not in content:
            return f"{where} as {kind}, which is not documented"
        schema = {**content[kind]["schema"], "components": self._document["components"]}
        wrong = next(OAS31Validator(schema).iter_errors(json.loads(text)), None)
        return f"{where}: {wrong.message} at {wrong.json_path}" if wrong else None

    def _operations(self) -> Iterator[Operation]:
        for path, methods in self._document["paths"].items():
            pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
            for method, told in methods.items():
                if method != "parameters":
                    responses = {int(status): self._followed(one) for status, one in told["responses"].items()}
                    yield Operation(told["operationId"], method.upper(), pattern, responses)

    def _followed(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = node.get("$ref")
        if reference is None:
            return node
        found: Any = self._document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return dict(found)


OF_THE_HOST = frozenset({400, 404, 414, 431})  # what no function is for, and what the host does not read
