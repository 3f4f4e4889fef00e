"""Which HTTP function a request is for: routes ignore case and a slash at the end, their values keep both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from local.host.worker import Function


@dataclass(frozen=True, slots=True)
class Route:
    """One function's. segments: of its template, the prefix first; `{name}` takes any one segment."""

    function: Function
    segments: tuple[str, ...]
    methods: frozenset[str]

    @property
    def anonymous(self) -> bool:
        """Whether it asks for no key."""
        return str(self.function.trigger.get("authLevel", "function")).lower() == "anonymous"

    def values(self, method: str, path: str) -> Mapping[str, str] | None:
        """The template's values; None where it is not meant."""
        given = path.removesuffix("/").split("/")[1:]
        if method not in self.methods or len(given) != len(self.segments) or not all(given):
            return None
        found: dict[str, str] = {}
        for segment, value in zip(self.segments, given, strict=True):
            if segment.startswith("{"):
                found[segment.strip("{}")] = value
            elif segment.lower() != value.lower():
                return None
        return found


def routes(functions: Iterable[Function], prefix: str) -> list[Route]:
    """Of all HTTP functions; a template with fewer names in it goes first."""
    found = []
    for function in functions:
        trigger = function.trigger
        if trigger["type"] == "httpTrigger":
            segments = f"{prefix}/{trigger.get('route') or function.name}".strip("/").split("/")
            methods = frozenset(method.upper() for method in trigger.get("methods") or ("GET", "POST"))
            found.append(Route(function, tuple(segments), methods))
    return sorted(found, key=lambda route: sum(segment.startswith("{") for segment in route.segments))
