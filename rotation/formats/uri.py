"""Connection URIs: postgresql://user:password@host:port,host:port/dbname?key=value.

libpq, asyncpg, pgx, node-postgres and SQLAlchemy read them, and do not agree about all of them: what is read here, each
of them reads alike or refuses. postgresql+DRIVER:// is SQLAlchemy's alone.

Sources: PostgreSQL, "Connection URIs" (libpq, 34.1.1.2); asyncpg, connect_utils.py; pgx, pgconn/config.go;
pg-connection-string, index.js; SQLAlchemy, engine/url.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rotation.errors import Unusable
from rotation.formats.hosts import name_of, port_of, written_hosts
from rotation.formats.keywords import check
from rotation.formats.parts import Parts
from rotation.formats.percent import decode, escape
from rotation.formats.value import Host, NotUnderstood, Value, has_control, has_odd_blank

_SCHEME = re.compile(r"(?i:postgres(?:ql)?)://|postgresql\+(?:psycopg2?|psycopg_async|psycopg2cffi|asyncpg|pg8000)://")
_LOGIN = ("user", "password")
_IN_QUERY = (*_LOGIN, "host", "port")
_KEY = re.compile(r"[A-Za-z0-9_.-]+")
# What JavaScript's decodeURI leaves encoded in a database's name; nobody names one so.
_RESERVED = frozenset(";/?:@&=+$,#")


def read(text: str, *, alone: bool = True) -> Value:
    """Read a connection URI. alone: it has to have a password itself.

    Raises:
        Unusable: it is none, it names no password, or drivers would read it differently.
    """
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise Unusable(
            "the value is no postgresql:// URI, nor postgresql+DRIVER:// of a driver that SQLAlchemy has",
            field="format",
        )
    check_text(text)
    start = scheme.end()
    path = min((at for at in (text.find("/", start), text.find("?", start)) if at >= 0), default=len(text))
    query = text.find("?", path)
    query = len(text) if query < 0 else query
    parts = Parts()
    after = read_login(text, start, path, parts)
    try:
        hosts = _read_hosts(text[after:path], sqlalchemy="+" in scheme[0])
    except Unusable:
        if after == start and "@" in text[path:]:  # as in user:pass?word@host
            raise _not_encoded() from None
        raise
    dbname = _read_dbname(text[path + 1 : query])
    _read_query(text, query + 1, parts)
    hosts = _with_query(hosts, parts.found)
    if alone and not parts.found.get("password"):
        raise NotUnderstood("the URI has no password: write it as postgresql://USER:PASSWORD@HOST/…")
    return parts.value("uri", text, hosts, checked_dbname(dbname))


def _not_encoded() -> NotUnderstood:
    return NotUnderstood("the URI's hosts can't be read (is a character of the password not encoded?)")


def check_text(text: str) -> None:
    """Nothing in it that drivers cut off, or take for a fragment.

    Raises:
        Unusable.
    """
    if " " in text or has_control(text) or has_odd_blank(text):
        raise NotUnderstood(
            "the URI has a blank or a line break in it: percent-encode it (a blank is %20), or take it out"
        )
    if "#" in text:
        raise NotUnderstood("the URI has a # in it: percent-encode it as %23")


def _with_query(hosts: tuple[Host, ...], found: Mapping[str, str]) -> tuple[Host, ...]:
    """The hosts, which are before the query or in it."""
    if "host" in found:
        if hosts:
            raise NotUnderstood("the URI names hosts twice, before its path and as a parameter: take one out")
        return (_host_of(found["host"], found.get("port", "")),)
    if "port" in found:
        raise NotUnderstood("the URI has a port among its parameters: write it after the host")
    return hosts


def read_login(text: str, start: int, end: int, parts: Parts) -> int:
    """Place user and password -> where the hosts begin. end: of all that is before the path.

    Raises:
        Unusable: drivers would read them differently.
    """
    at = text.find("@", start, end)
    if "@" in text[end:].partition("?")[0] or (at >= 0 and "@" in text[at + 1 : end]):
        raise _not_encoded()
    if at < 0:
        return start
    if "[" in text[start:at] or "]" in text[start:at]:
        raise NotUnderstood("the URI has a bracket in its user or password: percent-encode it (%5B, %5D)")
    colon = text.find(":", start, at)
    user_end = colon if colon >= 0 else at
    if user_end > start:
        parts.place("user", decode(text[start:user_end]), start, user_end, escape)
    if colon >= 0 and at > colon + 1:
        parts.place("password", decode(text[colon + 1 : at]), colon + 1, at, escape)
    return at + 1


def _read_hosts(text: str, *, sqlalchemy: bool) -> tuple[Host, ...]:
    if "%" in text:
        raise NotUnderstood("the URI has a % in its hosts, which drivers read differently: write the host as it is")
    if not text:
        return ()
    try:
        hosts = written_hosts(text)
    except Unusable as error:
        if "names a host" in error.message and not text.startswith(("[", ",", ":")):
            raise _not_encoded() from None
        raise
    if "," in text:
        if sqlalchemy:
            raise NotUnderstood("SQLAlchemy reads one host only from this URI: write one host")
        if any(host.port is None for host in hosts):
            raise NotUnderstood(
                "the URI has several hosts, which drivers read alike only where each has its port: add it"
            )
    return hosts


def _host_of(name: str, port: str) -> Host:
    if ":" in name:
        raise NotUnderstood("the URI's parameter host has a : in it: write the host before the path")
    return Host(name_of(name), port_of(port))


def _read_dbname(text: str) -> str | None:
    if "@" in text:
        raise _not_encoded()
    return decode(text) or None


def checked_dbname(dbname: str | None) -> str | None:
    """A database's name, decoded, if all drivers take it so.

    Raises:
        Unusable.
    """
    if dbname is not None and _RESERVED & set(dbname):
        raise NotUnderstood(
            f"the URI's database has one of {' '.join(sorted(_RESERVED))} in its name, or a path follows it"
        )
    return dbname


def _read_query(text: str, position: int, parts: Parts) -> None:
    if position >= len(text):
        return
    if ";" in text[position:] or "?" in text[position:]:
        raise NotUnderstood("the URI has a ; or a second ? among its parameters: percent-encode it (%3B, %3F)")
    for parameter in text[position:].split("&"):
        key, equals, written = parameter.partition("=")
        if not equals or "=" in written or not _KEY.fullmatch(key):
            raise NotUnderstood("a parameter of the URI is not of the form key=value")
        if key == "dbname":
            raise NotUnderstood(
                "the URI has its database among its parameters, where not every driver looks: write it in the path"
            )
        if key in _IN_QUERY:
            start = position + len(key) + 1
            _read_in_query(key, written, start, parts)
        else:
            check(key, "a connection URI")
            parts.option(key, decode(written))
        position += len(parameter) + 1


def _read_in_query(key: str, written: str, start: int, parts: Parts) -> None:
    if "+" in written:
        raise NotUnderstood(
            f"the URI's parameter {key} has a + in it, which some drivers read as a blank: write %2B or %20"
        )
    if not written:
        raise NotUnderstood(f"the URI's parameter {key} is empty: take it out")
    parts.place(key, decode(written), start, start + len(written), escape)
