r"""A line of a password file, as it is beside other forms in a JSON object: host:port:database:user:password.

Source: PostgreSQL, "The Password File" (libpq, 34.16): ":" and "\" in a field are escaped by a backslash; "*" is any.
"""

from __future__ import annotations

import re

from rotation.formats.hosts import listed_hosts
from rotation.formats.parts import Parts
from rotation.formats.value import NotUnderstood, Value

_FIELD = re.compile(r"((?:[^:\\\r\n]|\\[:\\])*+)(:|\n?\Z)")
_ESCAPED = re.compile(r"\\(.)")
_NAMES = ("host", "port", "dbname", "user", "password")


def escape(text: str) -> str:
    """With a backslash before each colon and backslash."""
    return text.replace("\\", "\\\\").replace(":", "\\:")


def read(text: str) -> Value:
    """Read one line; "*" is not there.

    Raises:
        Unusable: it is no such line.
    """
    parts, position = Parts(), 0
    for name in _NAMES:
        found = _FIELD.match(text, position)
        if found is None or (found[2] == ":") != (name != "password"):
            raise NotUnderstood("a line of a password file in the value is not host:port:database:user:password")
        if found[1] != "*":
            parts.place(name, _ESCAPED.sub(r"\1", found[1]), found.start(1), found.end(1), escape)
        position = found.end()
    found_parts = parts.found
    hosts = listed_hosts(found_parts.get("host", ""), found_parts.get("port", ""))
    return parts.value("pgpass", text, hosts, found_parts.get("dbname"))
