"""The strings of a value: the value itself, or, where it is JSON, every string in it and the name above it.

Rotators look at all of them, since consumers do: what a form leaves alone must not lead anywhere, nor hold an old key.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

_SIGNS = re.compile(r"[^a-z0-9]")


def plain_name(name: str) -> str:
    """In lower case, letters and digits alone: `AZURE_CLIENT_ID` and `azureClientId` are one name.

    Of letters that have an ASCII capital too, since some clients compare capitals: to them "Endpo\u0131nt" is Endpoint.
    """
    return _SIGNS.sub("", name.upper().lower())


def leaves(text: str) -> list[tuple[str, str]]:
    """-> (plain name, string); the name is blank where there is none."""
    found: list[tuple[str, str]] = []
    waiting: list[tuple[str, Any]] = [("", text)]  # and no recursion: a value may be as deep as it is long
    while waiting:
        name, inner = waiting.pop()
        if isinstance(inner, str):
            read = _read(inner)
            if read is None:
                found.append((name, inner))
            else:
                waiting.append((name, read))
        elif isinstance(inner, _Pairs):
            found += [("", key) for key, _ in inner]
            waiting += [(plain_name(key), one) for key, one in inner]
        elif isinstance(inner, list):
            waiting += [(name, one) for one in inner]
    return found


def readings(leaf: str) -> Iterator[str]:
    """What a string may hold: itself, and what it is percent-encoded or in base64."""
    yield leaf
    yield unquote(leaf)
    try:
        yield base64.b64decode(leaf, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return


def _read(text: str) -> Any:
    """An object, a list or a string of JSON; None where it is none."""
    if text.lstrip()[:1] not in {"{", "[", '"'}:
        return None
    try:
        # Pairs, since a name that is there twice counts twice: readers differ in which one they take.
        read: Any = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    return read


class _Pairs(tuple[tuple[str, Any], ...]):
    """An object of JSON, as it was written."""

    __slots__ = ()
