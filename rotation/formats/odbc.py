"""ODBC connection strings for psqlODBC, such as Driver={PostgreSQL Unicode};Server=db;Uid=app;Pwd={…}.

Sources: Microsoft Learn, "Connection string format and attributes" of SQLDriverConnect; psqlODBC's dlg_specific.c: a
password in braces is written as it is, with } doubled, one without braces is percent-decoded, and nothing else is read
from braces. Blanks around keywords belong to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rotation.formats.hosts import listed_hosts
from rotation.formats.keywords import check
from rotation.formats.parts import Parts
from rotation.formats.value import NotUnderstood, Value, has_control, has_odd_blank

_READ = {
    "server": "host",
    "servername": "host",
    "port": "port",
    "database": "dbname",
    "uid": "user",
    "username": "user",
    "pwd": "password",
    "password": "password",
}
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_ -]*+(?==)")
_BRACED = re.compile(r"\{((?:[^}]|\}\})*+)\}")
_BARE = re.compile(r"[^;]*+")
_NOT_BARE = frozenset("{}%+\"'")


def escape(text: str) -> str:
    """In braces, whatever is in it."""
    return "{" + text.replace("}", "}}") + "}"


def _as_it_is(text: str) -> str:
    return text


def read(text: str, *, alone: bool = True) -> Value:
    """Read a connection string. alone: it has to have a password itself.

    Raises:
        Unusable: it is none, it has no driver, server or password, or reads differently than it looks.
    """
    parts = Parts()
    driver = ""
    for key, value, start, end in _pairs(text):
        name = _READ.get(key)
        if key == "driver":
            if driver:
                raise NotUnderstood("the value names its driver twice: take one out")
            driver = value
        elif name is not None:
            if not value:
                raise NotUnderstood(f"the value's {name} is empty: write it, or take it out")
            parts.place(name, value, start, end, escape if name == "password" else _as_it_is)
        else:
            check(key, "psqlODBC's connection string")
            parts.option(key, value)
    found = parts.found
    if "postgres" not in driver.lower():
        raise NotUnderstood(
            "the ODBC connection string names no driver of PostgreSQL, such as Driver={PostgreSQL Unicode}"
        )
    if alone and "password" not in found:
        raise NotUnderstood("the value has no Pwd= among its keywords")
    if "host" not in found:
        raise NotUnderstood("the ODBC connection string names no Server")
    parts.option("driver", driver)
    return parts.value("odbc", text, listed_hosts(found["host"], found.get("port", "")), found.get("dbname"))


def _pairs(text: str) -> Iterator[tuple[str, str, int, int]]:
    position = 0
    while position < len(text):
        key = _KEY.match(text, position)
        if key is None or key[0].endswith(" "):
            raise NotUnderstood("a keyword of the ODBC connection string is not followed by =, or has blanks around it")
        name, start = key[0].lower(), key.end() + 1
        value, end = _value(name, text, start)
        yield name, value, start, end
        if text[end : end + 1] not in {"", ";"}:
            raise NotUnderstood("there is something between a value in braces and its ;")
        position = end + 1


def _value(name: str, text: str, start: int) -> tuple[str, int]:
    if text[start : start + 1] == "{" and (name == "driver" or _READ.get(name) == "password"):
        braced = _BRACED.match(text, start)
        if braced is None:
            raise NotUnderstood("a brace in the value is never closed")
        return braced[1].replace("}}", "}"), braced.end()
    bare = _BARE.match(text, start)
    value = bare[0] if bare else ""
    if "{" in value or "}" in value or has_control(value) or has_odd_blank(value) or value != value.strip():
        raise NotUnderstood("a value of the ODBC connection string has a brace, a line break, or a blank at its end")
    if _READ.get(name) == "password" and _NOT_BARE & set(value):
        raise NotUnderstood("the password of the ODBC connection string has a %, a + or a quote: put it in {braces}")
    return value, start + len(value)
