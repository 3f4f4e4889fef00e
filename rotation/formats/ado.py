"""ADO.NET connection strings: Host=db;Username=app;Password="…";… Also those of Azure Storage and Service Bus.

Source: Microsoft Learn, "Connection String Syntax" and DbConnectionStringBuilder: pairs end at ";", keywords are
case-insensitive, a value with ; or quotes stands in " or ', in which the quote itself is doubled; the last of a keyword
counts; "==" in a keyword is one "=".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rotation.errors import Unusable
from rotation.formats.value import Host, Place, Value, hosts_of, port_of
from rotation.model import SecretValue

PASSWORD = frozenset({"password", "pwd", "psw", "accountkey", "sharedaccesskey"})
USER = frozenset({"username", "user id", "userid", "user", "uid", "user name", "accountname", "sharedaccesskeyname"})
HOST = frozenset({"host", "server", "data source", "datasource", "address", "addr", "network address"})
DBNAME = frozenset({"database", "db", "initial catalog"})
_KEY = re.compile(r"\s*((?:[^=;]|==)+?)\s*=(?!=)")
_BARE_IS_SAFE = re.compile(r"[^\s;'\"=](?:[^;'\"=\0]*[^\s;'\"=])?")
# These hold base64 (which ends in =) and are read by parsers that know no quotes.
_NEVER_QUOTED = frozenset({"accountkey", "sharedaccesskey", "accountname", "sharedaccesskeyname"})


def escape(text: str) -> str:
    """Quoted where it must be: by the quote that it does not hold, else with the quote doubled."""
    if _BARE_IS_SAFE.fullmatch(text):
        return text
    if '"' not in text:
        return f'"{text}"'
    if "'" not in text:
        return f"'{text}'"
    return '"' + text.replace('"', '""') + '"'


def _unquoted(text: str) -> str:
    if ";" in text or text != text.strip():
        raise Unusable("a key for this connection string may hold no ; and no spaces at its ends", field="value")
    return text


def recognises(text: str) -> bool:
    """A string that can be read whole, with a password or key, and with a server, a user or a database."""
    if "=" not in text:
        return False
    try:
        keys = {key for key, *_ in _pairs(text)}
    except Unusable:
        return False
    return bool(keys & PASSWORD) and bool(keys & (USER | HOST | DBNAME | {"endpoint"}))


def read(text: str) -> Value:
    """Read a connection string.

    Raises:
        Unusable: it is none, or it has no password.
    """
    values: dict[str, str] = {}
    password: list[Place] = []
    user: list[Place] = []
    login: dict[str, str] = {}
    for key, value, start, end in _pairs(text):
        write = _unquoted if key in _NEVER_QUOTED else escape
        if key in PASSWORD:
            login["password"] = value
            password.append(Place(start, end, write))
        elif key in USER:
            login["user"] = value
            user.append(Place(start, end, write))
        else:
            values[key] = value
    if "password" not in login:
        raise Unusable("the value has no Password= among its keywords", field="value")
    host = next((values[key] for key in values if key in HOST), "")
    return Value(
        "ado",
        SecretValue(text),
        SecretValue(login["password"]),
        user=login.get("user"),
        hosts=_hosts(host, values.get("port", "")),
        dbname=next((values[key] for key in values if key in DBNAME), None),
        options=values,
        password_places=tuple(password),
        user_places=tuple(user),
    )


def _hosts(host: str, port: str) -> tuple[Host, ...]:
    if host.lower().startswith("tcp:"):  # SQL Server: tcp:name,port
        name, _, number = host[4:].partition(",")
        return (Host(name, port_of(number.strip()) or port_of(port)),)
    found: list[Host] = []
    for listed in hosts_of(host, port):
        name, colon, own = listed.name.rpartition(":")
        if colon and name and ":" not in name:  # Npgsql: host:port
            found.append(Host(name, port_of(own)))
        else:
            found.append(listed)
    return tuple(found)


def _pairs(text: str) -> Iterator[tuple[str, str, int, int]]:
    """-> (keyword in lower case, value, start and end of the value as written)."""
    position = 0
    while position < len(text):
        if not text[position:].strip("; \t\r\n"):
            return
        if text[position] == ";":
            position += 1
            continue
        key = _KEY.match(text, position)
        if key is None:
            raise Unusable("a keyword of the connection string is not followed by =", field="value")
        start = key.end()
        while start < len(text) and text[start].isspace():
            start += 1
        if text[start : start + 1] in {"'", '"'} and key[1].strip().lower() not in _NEVER_QUOTED:
            value, end = _quoted(text, start)
        else:
            semicolon = text.find(";", start)
            end = len(text) if semicolon < 0 else semicolon
            while end > start and text[end - 1].isspace():
                end -= 1
            value = text[start:end]
        yield key[1].strip().replace("==", "=").lower(), value, start, end
        position = end
        while position < len(text) and text[position].isspace():
            position += 1
        if position < len(text) and text[position] != ";":
            raise Unusable("something stands between a quoted value and its ;", field="value")
        position += 1


def _quoted(text: str, start: int) -> tuple[str, int]:
    quote = text[start]
    position = start + 1
    while (end := text.find(quote, position)) >= 0:
        if text[end + 1 : end + 2] != quote:
            return text[start + 1 : end].replace(quote * 2, quote), end + 1
        position = end + 2
    raise Unusable("a quote in the value is never closed", field="value")
