r"""libpq's keyword/value strings, such as: host=localhost port=5432 user='o\'brien'.

Source: PostgreSQL documentation, "Keyword/Value Connection Strings" (libpq, 34.1.1.1): spaces around "=" are
optional; a value with spaces, or an empty one, stands in single quotes; ' and \ are escaped by a backslash.
"""

from __future__ import annotations

import re

from rotation.errors import Unusable
from rotation.formats.value import Place, Value, hosts_of
from rotation.model import SecretValue

_SPACE = " \t\n\r\f\v"
_KEY = re.compile(r"[^\s=]+")
_ENDS = re.compile(r"[\s\\]")
# What recognition asks for: a password, and one of those that a connection hardly does without.
_ANCHORS = frozenset({"host", "hostaddr", "user", "dbname", "service"})


def escape(text: str) -> str:
    """Quoted and escaped, whatever is in it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def recognises(text: str) -> bool:
    """Only a string that can be read whole, and has a password and a host, user or dbname."""
    if "=" not in text or "password" not in text:
        return False
    try:
        words = {key for key, *_ in _read(text)}
    except Unusable:
        return False
    return "password" in words and bool(words & _ANCHORS)


def read(text: str) -> Value:
    """Read a keyword/value string. Of a keyword written twice the last one counts, and both are written anew.

    Raises:
        Unusable: it is none, or it names no password.
    """
    values: dict[str, str] = {}
    places: dict[str, list[Place]] = {}
    for key, value, start, end in _read(text):
        values[key] = value
        places.setdefault(key, []).append(Place(start, end, escape))
    if "password" not in values:
        raise Unusable("the value has no password= among its keywords", field="value")
    known = {"user", "password", "dbname"}
    return Value(
        "key-value",
        SecretValue(text),
        SecretValue(values["password"]),
        user=values.get("user"),
        hosts=hosts_of(values.get("host", ""), values.get("port", "")),
        dbname=values.get("dbname"),
        options={key.lower(): value for key, value in values.items() if key not in known},
        password_places=tuple(places["password"]),
        user_places=tuple(places.get("user", ())),
    )


def _read(text: str) -> list[tuple[str, str, int, int]]:
    """-> (keyword, value, start and end of the value as written)."""
    found: list[tuple[str, str, int, int]] = []
    position = _skip(text, 0)
    while position < len(text):
        key = _KEY.match(text, position)
        equals = _skip(text, key.end()) if key else position
        if key is None or equals >= len(text) or text[equals] != "=":
            raise Unusable("a keyword of the value is not followed by =", field="value")
        start = _skip(text, equals + 1)
        value, end = _quoted(text, start) if text[start : start + 1] == "'" else _bare(text, start)
        found.append((key[0], value, start, end))
        position = _skip(text, end)
    return found


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _bare(text: str, start: int) -> tuple[str, int]:
    parts: list[str] = []
    position = start
    while (stop := _ENDS.search(text, position)) is not None:
        parts.append(text[position : stop.start()])
        if stop[0] != "\\":
            return "".join(parts), stop.start()
        parts.append(text[stop.end() : stop.end() + 1])
        position = stop.end() + 1
    return "".join([*parts, text[position:]]), len(text)


def _quoted(text: str, start: int) -> tuple[str, int]:
    parts: list[str] = []
    position = start + 1
    for stop in re.finditer(r"\\.|'", text[position:], re.DOTALL):
        at = start + 1 + stop.start()
        parts.append(text[position:at])
        if stop[0] == "'":
            return "".join(parts), at + 1
        parts.append(stop[0][1])
        position = at + 2
    raise Unusable("a quote in the value is never closed", field="value")
