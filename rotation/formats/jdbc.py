"""JDBC URLs.

jdbc:postgresql://hosts/db?user=…&password=…, jdbc:mysql:// and jdbc:mariadb:// alike, and
jdbc:sqlserver://host:port;user=…;password={…}.

Sources: pgJDBC documentation, "Connecting to the Database" (parameters are URL-encoded, a "+" is a space);
Microsoft Learn, "Building the connection URL" (a value with ; stands in braces, in which } is doubled).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote_plus

from rotation.errors import Unusable
from rotation.formats.value import Host, Place, Value, hosts_of, port_of
from rotation.model import SecretValue

_URL = re.compile(r"jdbc:(?:postgresql|mysql|mariadb)://(?P<hosts>[^/?]*)(?:/(?P<db>[^?]*))?")
_SQLSERVER = re.compile(r"jdbc:sqlserver://(?P<host>[^;:\\]*)(?:\\[^;:]*)?(?::(?P<port>[^;]*))?")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_USER = frozenset({"user", "username"})


def recognises(text: str) -> bool:
    """By its scheme."""
    return text.startswith("jdbc:")


def escape(text: str) -> str:
    """URL-encoded, a space as %20."""
    return quote(text, safe="")


def _in_braces(text: str) -> str:
    return "{" + text.replace("}", "}}") + "}"


def read(text: str) -> Value:
    """Read a JDBC URL.

    Raises:
        Unusable: it is none of those above, or it names no password.
    """
    if text.startswith("jdbc:sqlserver://"):
        return _read_sqlserver(text)
    url = _URL.match(text)
    if url is None:
        raise Unusable("the value is no jdbc:postgresql, mysql, mariadb or sqlserver URL", field="format")
    options: dict[str, str] = {}
    places: dict[str, list[Place]] = {"user": [], "password": []}
    login: dict[str, str] = {}
    position = url.end() + 1
    for parameter in text[position:].split("&") if url.end() < len(text) else ():
        key, equals, written = parameter.partition("=")
        start = position + len(key) + 1
        name = _decode(key)
        if name in places and not equals:
            raise Unusable(f"the parameter {name} of the JDBC URL is not followed by =", field="value")
        if name in places:
            login[name] = _decode(written)
            places[name].append(Place(start, start + len(written), escape))
        elif name:
            options[name.lower()] = _decode(written)
        position += len(parameter) + 1
    return _value(text, login, places, _url_hosts(url["hosts"]), _decode(url["db"] or "") or None, options)


def _value(
    text: str,
    login: dict[str, str],
    places: dict[str, list[Place]],
    hosts: tuple[Host, ...],
    dbname: str | None,
    options: dict[str, str],
) -> Value:
    if "password" not in login:
        raise Unusable("the JDBC URL has no password parameter", field="value")
    return Value(
        "jdbc",
        SecretValue(text),
        SecretValue(login["password"]),
        user=login.get("user"),
        hosts=hosts,
        dbname=dbname,
        options=options,
        password_places=tuple(places["password"]),
        user_places=tuple(places["user"]),
    )


def _decode(text: str) -> str:
    if _BAD_PERCENT.search(text):
        raise Unusable("the URL has a % that is not followed by two hex digits (write a % as %25)", field="value")
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        pass
    raise Unusable("the URL has percent-encoded bytes that are no UTF-8", field="value")


def _url_hosts(text: str) -> tuple[Host, ...]:
    if "@" in text:
        raise Unusable("a JDBC URL names its user as a parameter, not before an @", field="value")
    found: list[Host] = []
    for one in text.split(",") if text else ():
        name, colon, port = one.rpartition(":")
        if not colon or port.endswith("]"):
            name, port = one, ""
        found.extend(hosts_of(name, port) if name else ())
    return tuple(found)


def _read_sqlserver(text: str) -> Value:
    url = _SQLSERVER.match(text)
    if url is None or (url.end() < len(text) and text[url.end()] != ";"):
        raise Unusable("the jdbc:sqlserver URL's host can't be read", field="value")
    options: dict[str, str] = {}
    places: dict[str, list[Place]] = {"user": [], "password": []}
    login: dict[str, str] = {}
    for key, value, start, end in _properties(text, url.end() + 1):
        name = "user" if key in _USER else key
        if name in places:
            login[name] = value
            places[name].append(Place(start, end, _in_braces))
        else:
            options[key] = value
    name = url["host"] or options.get("servername", "")
    port = url["port"] or options.get("portnumber", options.get("port", ""))
    hosts = (Host(name, port_of(port)),) if name else ()
    return _value(text, login, places, hosts, options.get("databasename", options.get("database")), options)


def _properties(text: str, position: int) -> Iterator[tuple[str, str, int, int]]:
    while position < len(text):
        equals = text.find("=", position)
        if equals < 0:
            if text[position:].strip("; "):
                raise Unusable("a property of the JDBC URL is not followed by =", field="value")
            return
        start = equals + 1
        if text[start : start + 1] == "{":
            end = start + 1
            while (end := text.find("}", end)) >= 0 and text[end + 1 : end + 2] == "}":
                end += 2
            if end < 0:
                raise Unusable("a brace in the value is never closed", field="value")
            value, end = text[start + 1 : end].replace("}}", "}"), end + 1
            if text[end : end + 1] not in {"", ";"}:
                raise Unusable("something stands between a value in braces and its ;", field="value")
        else:
            semicolon = text.find(";", start)
            end = len(text) if semicolon < 0 else semicolon
            value = text[start:end]
        yield text[position:equals].strip(" ;").lower(), value, start, end
        position = end + 1
