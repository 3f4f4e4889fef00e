"""JDBC URLs of MySQL and MariaDB: jdbc:mysql://host:port,host:port/database?user=…&password=….

MySQL's driver decodes parameters, and MariaDB's does not: so a user or password that either would have to decode is
refused. Other forms than this one (address=(…), replication, loadbalance, a login before an @) are refused too.

Sources: MySQL Connector/J, "Connection URL Syntax"; MariaDB Connector/J, "About", and UrlParser.java.
"""

from __future__ import annotations

import re

from rotation.errors import Unusable
from rotation.formats.hosts import written_hosts
from rotation.formats.keywords import check
from rotation.formats.mysql_uri import with_port
from rotation.formats.parts import Parts
from rotation.formats.value import NotUnderstood, Value, has_control, has_odd_blank

_PREFIX = re.compile(r"jdbc:(?:mysql|mariadb)://")
_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_LOGIN = frozenset({"user", "password"})
_READ_ALIKE = re.compile(r"[A-Za-z0-9._~!$*:@^-]+")
_NAME = re.compile(r"[A-Za-z0-9_.$-]*")


def read(text: str, *, alone: bool = True) -> Value:
    """Read a JDBC URL. alone: it has to have a password itself.

    Raises:
        Unusable: it is none, it names no host or no password, says one of them twice, or drivers read it differently.
    """
    prefix = _PREFIX.match(text)
    if prefix is None:
        raise Unusable(
            "the value is no jdbc:mysql://HOST/DATABASE or jdbc:mariadb://HOST/DATABASE URL, which is in lower case",
            field="format",
        )
    if " " in text or has_control(text) or has_odd_blank(text) or "#" in text:
        raise NotUnderstood("the JDBC URL has a blank, a line break or a # in it: take it out")
    slash = text.find("/", prefix.end())
    query = text.find("?", prefix.end())
    query = len(text) if query < 0 else query
    if not prefix.end() <= slash < query:
        raise NotUnderstood("the JDBC URL has no / behind its hosts")
    if "@" in text[:query] or "(" in text[:query]:
        raise NotUnderstood("the JDBC URL has a login or an address=(…) before its parameters: write HOST:PORT alone")
    parts = Parts()
    _read_query(text, query + 1, parts)
    if alone and not parts.found.get("password"):
        raise NotUnderstood("the JDBC URL has no password parameter")
    hosts = with_port(written_hosts(text[prefix.end() : slash]))
    if not hosts:
        raise NotUnderstood("the JDBC URL names no host")
    dbname = text[slash + 1 : query]
    if not _NAME.fullmatch(dbname):
        raise NotUnderstood("the JDBC URL's database has a character in its name that drivers may read differently")
    return parts.value("mysql-jdbc", text, hosts, dbname, user_is_database=False)


def _as_it_is(text: str) -> str:
    return text


def _read_query(text: str, position: int, parts: Parts) -> None:
    if position >= len(text):
        return
    for parameter in text[position:].split("&"):
        key, equals, written = parameter.partition("=")
        if not _KEY.fullmatch(key):
            raise NotUnderstood("a parameter of the JDBC URL is not of the form key=value")
        if key in _LOGIN:
            if not _READ_ALIKE.fullmatch(written):
                raise NotUnderstood(
                    f"the JDBC URL's {key} is empty or has a character (such as % or +) that MySQL's and MariaDB's "
                    "drivers read differently: let the password have letters and digits, or keep the login as JSON"
                )
            start = position + len(key) + len(equals)
            parts.place(key, written, start, start + len(written), _as_it_is)
        else:
            check(key, "a JDBC URL of MySQL")
            parts.option(key, written)
        position += len(parameter) + 1
