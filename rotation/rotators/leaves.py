"""The strings of a value: the value itself, or, where it is JSON, every string in it and the name above it.

Rotators look at all of them, since consumers do: what a form leaves alone must not lead anywhere, nor hold an old key.
"""

from __future__ import annotations

import json
import re
from typing import Any

_SIGNS = re.compile(r"[^a-z0-9]")


def plain_name(name: str) -> str:
    """In lower case, letters and digits alone: `AZURE_CLIENT_ID` and `azureClientId` are one name."""
    return _SIGNS.sub("", name.lower())


def leaves(text: str) -> list[tuple[str, str]]:
    """-> (plain name, string); the name is blank where there is none."""
    try:
        # Pairs, since a name that stands twice counts twice: readers differ in which one they take.
        read: Any = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return [("", text)]
    if not isinstance(read, _Pairs | list | str):
        return [("", text)]
    found: list[tuple[str, str]] = []
    waiting = [("", read)]  # and no recursion: a value may be as deep as it is long
    while waiting:
        name, inner = waiting.pop()
        if isinstance(inner, str):
            found.append((name, inner))
        elif isinstance(inner, _Pairs):
            found += [("", key) for key, _ in inner]
            waiting += [(plain_name(key), one) for key, one in inner]
        elif isinstance(inner, list):
            waiting += [(name, one) for one in inner]
    return found


class _Pairs(tuple[tuple[str, Any], ...]):
    """An object of JSON, as it was written."""

    __slots__ = ()
