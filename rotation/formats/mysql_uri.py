"""Connection URLs of MySQL and MariaDB: mysql://user:password@host:port/dbname?key=value.

mysql2 for Node, Django's helpers and SQLAlchemy read them, and do not agree about all of them: what is read here,
each of them reads alike or refuses. mysql+DRIVER:// is SQLAlchemy's alone.

Sources: mysql2, connection_config.js (`parseUrl`); SQLAlchemy, engine/url.py and the MySQL dialects; dj-database-url.
"""

from __future__ import annotations

import re

from rotation.errors import Unusable
from rotation.formats.hosts import written_hosts
from rotation.formats.keywords import check
from rotation.formats.parts import Parts
from rotation.formats.percent import decode
from rotation.formats.uri import check_text, checked_dbname, read_login
from rotation.formats.value import Host, NotUnderstood, Value

PORT = 3306
_SCHEME = re.compile(
    r"(?:mysql|mariadb)(?:\+(?:pymysql|aiomysql|asyncmy|mysqldb|mysqlconnector|cymysql|mariadbconnector))?://"
)
_KEY = re.compile(r"[A-Za-z0-9_.-]+")


def read(text: str, *, alone: bool = True) -> Value:
    """Read a connection URL. alone: it has to have a password itself.

    Raises:
        Unusable: it is none, it names no host or no password, or drivers would read it differently.
    """
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise Unusable(
            "the value is no mysql:// or mariadb:// URL in small letters, nor mysql+DRIVER:// of a driver that "
            "SQLAlchemy has",
            field="format",
        )
    check_text(text)
    start = scheme.end()
    path = min((at for at in (text.find("/", start), text.find("?", start)) if at >= 0), default=len(text))
    query = text.find("?", path)
    query = len(text) if query < 0 else query
    parts = Parts()
    after = read_login(text, start, path, parts)
    hosts = _read_host(text[after:path])
    _read_query(text[query + 1 :], parts)
    if alone and not parts.found.get("password"):
        raise NotUnderstood("the URL has no password: write it as mysql://USER:PASSWORD@HOST/…")
    dbname = text[path + 1 : query]
    if "%" in dbname:  # SQLAlchemy leaves it as it is
        raise NotUnderstood("the URL has a % in its database's name, which drivers read differently")
    return parts.value("mysql-uri", text, hosts, checked_dbname(dbname or None), user_is_database=False)


def with_port(hosts: tuple[Host, ...]) -> tuple[Host, ...]:
    """The port of MySQL where none is written: it is another one than that of other databases."""
    return tuple(Host(host.name, host.port or PORT) for host in hosts)


def _read_host(text: str) -> tuple[Host, ...]:
    if not text:
        raise NotUnderstood("the URL names no host: write it")
    if "%" in text or "," in text:
        raise NotUnderstood(
            "the URL has a % or several hosts, which its drivers do not read (is the password encoded?)"
        )
    try:
        return with_port(written_hosts(text))
    except Unusable:
        pass
    raise NotUnderstood("the URL's host can't be read (is a character of the password not encoded?)")


def _read_query(text: str, parts: Parts) -> None:
    if not text:
        return
    if ";" in text or "?" in text:
        raise NotUnderstood("the URL has a ; or a second ? among its parameters: percent-encode it (%3B, %3F)")
    for parameter in text.split("&"):
        key, equals, written = parameter.partition("=")
        if not equals or "=" in written or not _KEY.fullmatch(key):
            raise NotUnderstood("a parameter of the URL is not of the form key=value")
        check(key, "a connection URL of MySQL")
        parts.option(key, decode(written))
