"""pgJDBC's URLs: jdbc:postgresql://host:port,host:port/database?user=…&password=….

Source: pgJDBC, Driver.parseURL (42.7): parameters are URL-encoded, a "+" is a blank, keywords are case-sensitive and
never decoded; PGHOST, host, PGPORT, port, PGDBNAME and dbname among them win over what is before them.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from rotation.errors import Unusable
from rotation.formats.hosts import written_hosts
from rotation.formats.keywords import check
from rotation.formats.parts import Parts
from rotation.formats.percent import decode, escape
from rotation.formats.value import NotUnderstood, Value, has_control, has_odd_blank

_PREFIX = "jdbc:postgresql://"
_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_LOGIN = frozenset({"user", "password"})


def read(text: str, *, alone: bool = True) -> Value:
    """Read a JDBC URL. alone: it has to have a password itself.

    Raises:
        Unusable: it is none of PostgreSQL's, it names no host or no password, or it says one of them twice.
    """
    if not text.startswith(_PREFIX):
        raise Unusable("the value is no jdbc:postgresql://HOST/DATABASE URL, which is in lower case", field="format")
    if " " in text or has_control(text) or has_odd_blank(text):
        raise NotUnderstood("the JDBC URL has a blank or a line break in it: percent-encode it, or take it out")
    slash = text.find("/", len(_PREFIX))
    query = text.find("?", len(_PREFIX))
    query = len(text) if query < 0 else query
    if not len(_PREFIX) <= slash < query:
        raise NotUnderstood("the JDBC URL has no / behind its hosts")
    if "@" in text[:query]:
        raise NotUnderstood("a JDBC URL names its user as a parameter, not before an @")
    parts = Parts()
    _read_query(text, query + 1, parts)
    if alone and not parts.found.get("password"):
        raise NotUnderstood("the JDBC URL has no password parameter")
    hosts = written_hosts(text[len(_PREFIX) : slash])
    if not hosts:
        raise NotUnderstood("the JDBC URL names no host")
    dbname = _decode(text[slash + 1 : query])
    if {"/", "#"} & set(dbname):
        raise NotUnderstood("the JDBC URL has a / or # in its database's name")
    return parts.value("jdbc", text, hosts, dbname)


def _read_query(text: str, position: int, parts: Parts) -> None:
    if position >= len(text):
        return
    for parameter in text[position:].split("&"):
        key, equals, written = parameter.partition("=")
        if not _KEY.fullmatch(key):
            raise NotUnderstood("a parameter of the JDBC URL is not of the form key=value")
        if key in _LOGIN:
            if not written:
                raise NotUnderstood(f"the JDBC URL's {key} has no value: write it, or take it out")
            start = position + len(key) + len(equals)
            parts.place(key, _decode(written), start, start + len(written), escape)
        else:
            check(key, "a JDBC URL")
            parts.option(key, _decode(written))
        position += len(parameter) + 1


def _decode(text: str) -> str:
    decode(text)  # as strict as a URI
    return unquote_plus(text)
