"""URLs of one server: redis://user:password@host:port/0?key=value, and amqp://user:password@host:port/vhost.

redis-py, node-redis and ioredis read the first; pika, aio-pika, kombu, amqplib and RabbitMQ's client for .NET the
second. They do not agree about all URLs: what is read here, each of them reads alike or refuses.

Sources: redis-py, connection.py (parse_url); valkey-py, the same with valkey://; ioredis, utils/index.ts (parseURL);
"RabbitMQ URI Specification" and "RabbitMQ URI Query Parameters"; pika, connection.py (URLParameters).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rotation.formats.hosts import written_hosts
from rotation.formats.keywords import check
from rotation.formats.parts import Parts
from rotation.formats.percent import decode, escape
from rotation.formats.value import Host, NotUnderstood, Value, has_control, has_odd_blank

_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_DATABASE = re.compile(r"[0-9]{0,5}")
# Where one of the drivers looks for another server, another login or another database than the URL's own.
_ELSEWHERE = frozenset({"path", "unixsocketpath", "sentinels", "name", "auth", "authmechanism", "role"})
_REDIS_PORTS: Mapping[str, int] = {"redis": 6379, "rediss": 6379, "valkey": 6379, "valkeys": 6379}
_AMQP_PORTS: Mapping[str, int] = {"amqp": 5672, "amqps": 5671}


def read_redis(text: str, *, alone: bool = True) -> Value:
    """Read a URL of Redis or Valkey. Without a user it is the server's user `default` that logs in: `user` is None.

    Raises:
        Unusable: it is none, it names no password, or drivers would read it differently.
    """
    parts, hosts, path = _read(text, _REDIS_PORTS)
    if _DATABASE.fullmatch(path) is None:
        raise NotUnderstood("the URL's path is no database's number: write it as in redis://USER:PASSWORD@HOST/0")
    _check_login(parts, alone=alone)
    return parts.value("redis", text, hosts, path or None, user_is_database=False)


def read_amqp(text: str, *, alone: bool = True) -> Value:
    """Read a URL of RabbitMQ. `dbname` is its virtual host; where it names none, the one that is called "/".

    Raises:
        Unusable: it is none, it names no user or no password, or drivers would read it differently.
    """
    parts, hosts, path = _read(text, _AMQP_PORTS)
    if "/" in path:
        raise NotUnderstood("the URL has a second / in its path: percent-encode one of the virtual host's name (%2F)")
    _check_login(parts, alone=alone)
    found = parts.found
    if found.get("password") and not found.get("user"):
        raise NotUnderstood("the URL has a password and no user: write it as amqp://USER:PASSWORD@HOST/…")
    if not all(found.get(name, "").isascii() for name in ("user", "password")):
        raise NotUnderstood("the URL has a user or password with letters beyond ASCII, which drivers read differently")
    return parts.value("amqp", text, hosts, decode(path) or "/", user_is_database=False)


def _check_login(parts: Parts, *, alone: bool) -> None:
    if alone and not parts.found.get("password"):
        raise NotUnderstood("the URL has no password: write it as in SCHEME://USER:PASSWORD@HOST/…")


def _read(text: str, ports: Mapping[str, int]) -> tuple[Parts, tuple[Host, ...], str]:
    """-> user, password and options; the one host with its port; the path without its first /, as written."""
    scheme, separator, _ = text.partition("://")
    if not separator or scheme not in ports:
        raise NotUnderstood(f"the value is no URL that begins with one of {', '.join(ports)} in small letters")
    if " " in text or has_control(text) or has_odd_blank(text) or "#" in text or "\\" in text:
        raise NotUnderstood("the URL has a blank, a line break, a # or a backslash in it: percent-encode it")
    start = len(scheme) + len(separator)
    path = min((at for at in (text.find("/", start), text.find("?", start)) if at >= 0), default=len(text))
    query = text.find("?", path)
    query = len(text) if query < 0 else query
    parts = Parts()
    after = _read_login(text, start, path, query, parts)
    hosts = _read_host(text[after:path], ports[scheme])
    _read_options(text[query + 1 :], parts)
    return parts, hosts, text[path + 1 : query]


def _read_login(text: str, start: int, end: int, query: int, parts: Parts) -> int:
    """-> where the host begins."""
    if text.count("@", start, query) > 1 or "@" in text[end:query]:
        raise NotUnderstood("the URL has an @ in its user, its password or its path: percent-encode it (%40)")
    at = text.find("@", start, end)
    if at < 0:
        return start
    if "[" in text[start:at] or "]" in text[start:at]:
        raise NotUnderstood("the URL has a bracket in its user or password: percent-encode it (%5B, %5D)")
    colon = text.find(":", start, at)
    user_end = colon if colon >= 0 else at
    if user_end > start:
        parts.place("user", decode(text[start:user_end]), start, user_end, escape)
    if colon >= 0 and at > colon + 1:
        parts.place("password", decode(text[colon + 1 : at]), colon + 1, at, escape)
    return at + 1


def _read_host(text: str, port: int) -> tuple[Host, ...]:
    if "%" in text or "," in text:
        raise NotUnderstood("the URL has a % or a comma in its host: write one host as it is (encode the password)")
    hosts = written_hosts(text)
    if not hosts:
        raise NotUnderstood("the URL names no host: write it after the @")
    return tuple(Host(host.name, host.port or port) for host in hosts)


def _read_options(text: str, parts: Parts) -> None:
    for parameter in text.split("&") if text else ():
        key, equals, written = parameter.partition("=")
        if not equals or "=" in written or not _KEY.fullmatch(key) or ";" in written or "?" in written:
            raise NotUnderstood("a parameter of the URL is not of the form key=value")
        if key.lower().replace("_", "") in _ELSEWHERE:
            raise NotUnderstood(
                "the URL has a parameter that leads elsewhere than its host, or logs in otherwise: take it out"
            )
        check(key, "a URL")
        parts.option(key, decode(written))
