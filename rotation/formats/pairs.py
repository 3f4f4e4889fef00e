"""keyword=value pairs with ";" between them: the syntax alone, in .NET's rules, which ADO.NET's drivers share.

Source: Microsoft Learn, "Connection String Syntax", and DbConnectionOptions in System.Data.Common: keywords are
case-insensitive; a value with ; or quotes is in " or ', in which the quote itself is doubled; "==" in a keyword is
one "=". Which keyword counts where one is repeated, drivers differ about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rotation.formats.parts import check_count
from rotation.formats.value import NotUnderstood, has_control, has_odd_blank

_GAP = re.compile(r"[; \t\r\n]*+")
_SPACE = re.compile(r"[ \t\r\n]*+")
_KEY = re.compile(r"([^=;]++)=(?!=)")
_BARE = re.compile(r"[^;]*+")
_DOUBLE = re.compile(r'"((?:[^"]|"")*+)"')
_SINGLE = re.compile(r"'((?:[^']|'')*+)'")
_BARE_IS_SAFE = re.compile(r"[A-Za-z0-9_.~!@#$%^&*()+:,/?|<>\[\]-]+")


def escape(text: str) -> str:
    """Quoted where it must be: by the quote that it does not hold, else with the quote doubled."""
    if _BARE_IS_SAFE.fullmatch(text):
        return text
    if '"' not in text:
        return f'"{text}"'
    if "'" not in text:
        return f"'{text}'"
    return '"' + text.replace('"', '""') + '"'


def pairs(text: str) -> Iterator[tuple[str, str, int, int]]:
    """-> (keyword in lower case, value, start and end of the value as written).

    Raises:
        Unusable: it can't be read whole.
    """
    position = _end(_GAP, text, 0)
    count = 0
    while position < len(text):
        check_count(count := count + 1)
        key = _KEY.match(text, position)
        if key is None:
            raise NotUnderstood(
                "a keyword of the connection string is not followed by =, or by a value that begins with ="
            )
        name = key[1].strip(" \t\r\n")
        if not name or not name.isascii() or has_control(name):
            raise NotUnderstood("a keyword of the connection string has a character that is no letter of ASCII")
        start = _end(_SPACE, text, key.end())
        value, end = _value(text, start)
        yield name.lower(), value, start, end
        position = _end(_SPACE, text, end)
        if position < len(text) and text[position] != ";":
            raise NotUnderstood("there is something between a quoted value and its ;")
        position = _end(_GAP, text, position)


def _value(text: str, start: int) -> tuple[str, int]:
    quote = text[start : start + 1]
    if quote and quote in "\"'":
        found = (_DOUBLE if quote == '"' else _SINGLE).match(text, start)
        if found is None:
            raise NotUnderstood("a quote in the value is never closed")
        return found[1].replace(quote * 2, quote), found.end()
    value = text[start : _end(_BARE, text, start)].rstrip(" \t\r\n")
    if has_control(value) or has_odd_blank(value) or value.endswith(('"', "'")):
        raise NotUnderstood(
            "a value of the connection string has a control character, a blank that is not ASCII, "
            "or a quote at its end: put it in quotes"
        )
    return value, start + len(value)


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position
