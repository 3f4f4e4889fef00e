"""libpq's connection URIs: postgresql://user:password@host:port,host:port/dbname?key=value.

Source: PostgreSQL documentation, "Connection URIs" (libpq, 34.1.1.2). As libpq reads them: user and password end at
the first "@" that stands before any "/", a "+" is a plus, and a query's parameter wins over what stands before it.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from rotation.errors import Unusable
from rotation.formats.value import Host, Place, Value, hosts_of, port_of
from rotation.model import SecretValue

SCHEMES = ("postgresql://", "postgres://")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_HOST = re.compile(r"(?:\[(?P<six>[^\]/?#]*)\]|(?P<name>[^:/?,\[\]]*))(?::(?P<port>[^/?,:]*))?")


def recognises(text: str) -> bool:
    """By its scheme."""
    return text.startswith(SCHEMES)


def escape(text: str) -> str:
    """Percent-encode everything but unreserved characters."""
    return quote(text, safe="")


def decode(text: str) -> str:
    """Undo percent-encoding.

    Raises:
        Unusable: a percent sign without two hex digits, a NUL, or bytes that are no UTF-8.
    """
    if _BAD_PERCENT.search(text):
        raise Unusable("the URI has a % that is not followed by two hex digits (write a % as %25)", field="value")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        pass
    raise Unusable("the URI has percent-encoded bytes that are no UTF-8", field="value")


def read(text: str) -> Value:
    """Read a connection URI.

    Raises:
        Unusable: it is none, or it names no password.
    """
    scheme = next((s for s in SCHEMES if text.startswith(s)), None)
    if scheme is None:
        raise Unusable("the value is no postgresql:// URI, which the tag format says it is", field="format")
    start = len(scheme)
    logins: dict[str, str] = {}
    places: dict[str, list[Place]] = {"user": [], "password": []}
    slash = text.find("/", start)
    at = text.find("@", start, slash if slash >= 0 else len(text))
    if at >= 0:
        colon = text.find(":", start, at)
        user_end = colon if colon >= 0 else at
        if user_end > start:
            logins["user"] = decode(text[start:user_end])
            places["user"].append(Place(start, user_end, escape))
        if colon >= 0 and at > colon + 1:
            logins["password"] = decode(text[colon + 1 : at])
            places["password"].append(Place(colon + 1, at, escape))
        start = at + 1

    hosts, position = _read_hosts(text, start)
    dbname = None
    if position < len(text) and text[position] == "/":
        end = text.find("?", position)
        end = len(text) if end < 0 else end
        dbname = decode(text[position + 1 : end]) or None
        position = end
    options = _read_query(text, position, logins, places)
    if "host" in options:
        hosts = hosts_of(options["host"], options.get("port", ""))
    elif "port" in options and hosts:
        hosts = hosts_of(",".join(host.name for host in hosts), options["port"])
    if not places["password"]:
        raise Unusable("the URI has no password: write it as postgresql://USER:PASSWORD@HOST/…", field="value")
    return Value(
        "uri",
        SecretValue(text),
        SecretValue(logins["password"]),
        user=logins.get("user"),
        hosts=hosts,
        dbname=options.get("dbname", dbname),
        options=options,
        password_places=tuple(places["password"]),
        user_places=tuple(places["user"]),
    )


def _read_hosts(text: str, position: int) -> tuple[tuple[Host, ...], int]:
    hosts: list[Host] = []
    while True:
        found = _HOST.match(text, position)
        if found is None:
            raise Unusable("the URI's hosts can't be read", field="value")
        name = found["six"] if found["six"] is not None else decode(found["name"])
        if name or found["port"]:
            hosts.append(Host(name, port_of(found["port"] or "")))
        position = found.end()
        if position == len(text) or text[position] in "/?":
            return tuple(hosts), position
        if text[position] != ",":
            raise Unusable("the URI's hosts can't be read (is a character of the password not encoded?)", field="value")
        position += 1


def _read_query(text: str, position: int, logins: dict[str, str], places: dict[str, list[Place]]) -> dict[str, str]:
    options: dict[str, str] = {}
    if position >= len(text):
        return options
    position += 1
    for parameter in text[position:].split("&"):
        key, equals, written = parameter.partition("=")
        if parameter and (not equals or "=" in written):
            raise Unusable("a parameter of the URI is not of the form key=value", field="value")
        name = decode(key)
        if name in places:
            logins[name] = decode(written)
            value_start = position + len(key) + 1
            places[name].append(Place(value_start, value_start + len(written), escape))
        elif name:
            options[name.lower()] = decode(written)
        position += len(parameter) + 1
    return options
