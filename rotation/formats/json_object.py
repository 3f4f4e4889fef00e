"""A flat JSON object: {"username": "app", "password": "…", "host": "db", "port": 5432, "dbname": "orders"}.

The object is checked and read by the standard library; where the strings stand is found by a scanner of JSON tokens,
so that spacing, order, escapes and numbers stay as they were written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from rotation.errors import Unusable
from rotation.formats.value import Place, Value, check_characters, hosts_of
from rotation.model import SecretValue

PASSWORD = ("password", "pwd", "pass", "clientsecret", "client_secret", "secret", "key", "accountkey")
USER = ("username", "user", "uid", "login", "clientid", "client_id", "accountname")
HOST = ("host", "hostname", "server", "fqdn")
DBNAME = ("dbname", "database", "db")
_STRING = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(rf"({_STRING})|([{{}}\[\]:,])|([^\s\"{{}}\[\]:,]+)")


def recognises(text: str) -> bool:
    """A JSON object that has a password."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        fields = _fields(text)
    except Unusable:
        return False
    return _first(fields, PASSWORD) is not None


def read(text: str) -> Value:
    """Read a JSON object.

    Raises:
        Unusable: it is none, a field stands in it twice, or there is no password that is a string.
    """
    fields = _fields(text)
    password, user = _first(fields, PASSWORD), _first(fields, USER)
    if password is None or not isinstance(fields[password], str):
        raise Unusable('the JSON object has no "password" that is a string', field="value")
    places = dict(_string_places(text))
    host, dbname = _first(fields, HOST), _first(fields, DBNAME)
    special = {password, user, host, dbname}
    port = fields.get("port", "")
    return Value(
        "json",
        SecretValue(text),
        SecretValue(str(fields[password])),
        user=str(fields[user]) if user is not None else None,
        hosts=hosts_of(str(fields[host]) if host is not None else "", "" if port is None else str(port)),
        dbname=str(fields[dbname]) if dbname is not None else None,
        options={key.lower(): str(value) for key, value in fields.items() if key not in special},
        password_places=(places[password],),
        user_places=(places[user],) if user is not None and user in places else (),
    )


def _fields(text: str) -> Mapping[str, object]:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({key.lower() for key, _ in pairs}) != len(pairs):
            raise Unusable("a field stands twice in the JSON object", field="value")
        for one in (one for pair in pairs for one in pair if isinstance(one, str)):
            check_characters(one)
        return dict(pairs)

    try:
        found = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unusable("the value is no JSON object, which the tag format says it is", field="format")
    return found


def _first(fields: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    by_lower = {key.lower(): key for key in fields}
    return next((by_lower[name] for name in names if name in by_lower), None)


def _string_places(text: str) -> Iterator[tuple[str, Place]]:
    """Of the outermost object: key -> where its string stands."""
    depth = 0
    key: str | None = None
    after_colon = False
    for token in _TOKEN.finditer(text):
        string, mark = token[1], token[2]
        if mark in {"{", "["}:
            depth += 1
        elif mark in {"}", "]"}:
            depth -= 1
        elif depth == 1 and mark == ":":
            after_colon = True
        elif depth == 1 and mark == ",":
            key, after_colon = None, False
        elif depth == 1 and string and not after_colon:
            key = json.loads(string)
        elif depth == 1 and string and key is not None:
            yield key, Place(token.start(), token.end(), _written)


def _written(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
