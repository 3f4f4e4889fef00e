r"""libpq's keyword/value strings, such as: host=localhost port=5432 user='o\'brien'.

libpq reads them and pgx, which knows fewer escapes: what is read here, both read alike or refuse.

Sources: PostgreSQL, "Keyword/Value Connection Strings" (libpq, 34.1.1.1) and fe-connect.c: blanks around "=" are
optional; a value with blanks, or an empty one, is in single quotes; ' and \ are escaped by a backslash. pgx,
pgconn/config.go, parseKeywordValueSettings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rotation.formats.hosts import listed_hosts
from rotation.formats.keywords import check
from rotation.formats.parts import Parts, check_count
from rotation.formats.value import NotUnderstood, Value, has_control, has_odd_blank

_SPACE = re.compile(r"[ \t\n\r\f\v]*+")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.]*+")
_BARE = re.compile(r"[^ \t\n\r\f\v]*+")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*+)'", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_READ = frozenset({"host", "port", "dbname", "user", "password"})
# Where the next keyword was taken for a value: "password= dbname=orders".
_SWALLOWED = re.compile(r"(?:host|port|dbname|user|password|sslmode)=")


def escape(text: str) -> str:
    """Quoted and escaped, whatever is in it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def read(text: str, *, alone: bool = True) -> Value:
    """Read a keyword/value string. alone: it has to have a password itself.

    Raises:
        Unusable: it is none, it names no password, or libpq and pgx would read it differently.
    """
    parts = Parts()
    for key, value, start, end in pairs(text):
        if key in _READ:
            if not value:
                raise NotUnderstood(f"the value's {key} is empty: write it, or take it out")
            parts.place(key, value, start, end, escape)
        else:
            check(key, "a keyword/value string")
            if key != key.lower():
                raise NotUnderstood("a keyword of the value has capital letters, which libpq does not know")
            parts.option(key, value)
    found = parts.found
    if alone and "password" not in found:
        raise NotUnderstood("the value has no password= among its keywords")
    if not {"host", "user", "dbname"} & found.keys():
        raise NotUnderstood("the value has a password and no host, user or dbname beside it")
    return parts.value(
        "key-value", text, listed_hosts(found.get("host", ""), found.get("port", "")), found.get("dbname")
    )


def pairs(text: str) -> Iterator[tuple[str, str, int, int]]:
    """-> (keyword, value, start and end of the value as written).

    Raises:
        Unusable: it can't be read whole.
    """
    position = _skip(text, 0)
    count = 0
    while position < len(text):
        check_count(count := count + 1)
        key = _KEY.match(text, position)
        equals = _skip(text, key.end()) if key else position
        if key is None or text[equals : equals + 1] != "=":
            raise NotUnderstood("a keyword of the value is not followed by =")
        start = _skip(text, equals + 1)
        quoted = text[start : start + 1] == "'"
        value, end = _quoted(text, start) if quoted else _bare(text, start)
        yield key[0], value, start, end
        position = _skip(text, end)
        if quoted and position == end < len(text):
            raise NotUnderstood("there is something right behind a quoted value: put a blank between")


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _bare(text: str, start: int) -> tuple[str, int]:
    found = _BARE.match(text, start)
    value = found[0] if found else ""
    if "\\" in value or ";" in value or has_control(value) or has_odd_blank(value):
        raise NotUnderstood(
            "a keyword's value has a backslash, a ; or a blank that is not ASCII in it: put the value in 'quotes'"
        )
    if _SWALLOWED.match(value):
        raise NotUnderstood("a keyword of the value has no value: write it as '' or take it out")
    return value, start + len(value)


def _quoted(text: str, start: int) -> tuple[str, int]:
    found = _QUOTED.match(text, start)
    if found is None:
        raise NotUnderstood("a quote in the value is never closed")
    if any(escaped[1] not in "'\\" for escaped in _ESCAPED.finditer(found[1])):
        raise NotUnderstood(r"a backslash in a quoted value is before something else than \ or ' (write it as \\)")
    return _ESCAPED.sub(r"\1", found[1]), found.end()
