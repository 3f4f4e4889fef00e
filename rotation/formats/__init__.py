"""What is in a secret: read one, change the login in it, and leave all else exactly as it was written.

A value is understood, or left alone. Each form has a module that reads it as all of its drivers do, or refuses it;
`families` says of which form a value is; `copies` finds an old login that would be left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from rotation.errors import Unusable
from rotation.formats import (
    ado,
    azure_storage,
    broker_uri,
    jdbc,
    json_object,
    key_value,
    mysql_ado,
    mysql_jdbc,
    mysql_uri,
    odbc,
    plain,
    stackexchange_redis,
    uri,
)
from rotation.formats.families import form_of
from rotation.formats.products import BROKERS, products_of
from rotation.formats.value import MAINTENANCE_DATABASE, Host, NotUnderstood, Value, check_characters
from rotation.model import SecretValue

MAX_BYTES = 25_600  # what a vault holds
_BY_NAME: Mapping[str, Callable[[str], Value]] = {
    "plain": plain.read,
    "uri": uri.read,
    "key-value": key_value.read,
    "ado": ado.read,
    "odbc": odbc.read,
    "jdbc": jdbc.read,
    "json": json_object.read,
    "azure-storage": azure_storage.read,
    "mysql-uri": mysql_uri.read,
    "mysql-jdbc": mysql_jdbc.read,
    "mysql-ado": mysql_ado.read,
    "redis": broker_uri.read_redis,
    "stackexchange-redis": stackexchange_redis.read,
    "amqp": broker_uri.read_amqp,
}
FORMATS = tuple(_BY_NAME)


def read_of(product: str, value: SecretValue, name: str | None = None) -> Value:
    """As `read`, a value that a client of `product` ("PostgreSQL", "MySQL", "Redis", "RabbitMQ") can read.

    Raises:
        Unusable: as `read`; or it is another product's.
    """
    found = read(value, name)
    others = products_of(found) - {product}
    if others:
        raise Unusable(f"the value is a connection string of {min(others)}, and none of {product}'s", field="value")
    return found


def read(value: SecretValue, name: str | None = None) -> Value:
    """Read a value of the form `name` (the tag `format`), or of the one that it is recognised to be.

    Raises:
        Unusable: of field "format" where there is no such form or the value is of another one, else of "value": it
            can't be understood, and must be left alone.
    """
    if name is not None and name not in _BY_NAME:
        raise Unusable(f"the tag format is not one of {', '.join(FORMATS)}", field="format")
    return _read(name, value.reveal())


def read_for_azure(value: SecretValue, name: str | None = None) -> Value:
    """As `read`, a value that may hold a key or a client secret of Azure's: no broker's, whose passwords it never is.

    Raises:
        Unusable: as `read`; or it is a broker's.
    """
    found = read(value, name)
    others = products_of(found) & BROKERS
    if others:
        raise Unusable(f"the value is a connection string of {min(others)}, and none of Azure's", field="value")
    return found


def _read(name: str | None, text: str) -> Value:
    check_characters(text)
    if not text or "\0" in text or len(text.encode()) > MAX_BYTES:
        raise NotUnderstood(f"the value is empty, longer than {MAX_BYTES} bytes, or holds a NUL character")
    if text.endswith(("\n", "\r")):
        raise NotUnderstood(
            "the value ends with a line break, which some drivers skip and some don't: write it without one"
        )
    found = _understood(text) if name == "plain" else form_of(text, name)
    if name is not None and found != name:
        raise Unusable(f"the tag format says {name}, and the value is of the form {found}: correct one", field="format")
    return replace(_BY_NAME[found](text), reader=partial(_read, name))


def _understood(text: str) -> str:
    """The tag says that a value is a bare password: it is, where it does not read as a whole of another form."""
    try:
        found = form_of(text, "ado")
        _BY_NAME[found](text)
    except Unusable:
        return "plain"
    return found


__all__ = ["FORMATS", "MAINTENANCE_DATABASE", "Host", "Value", "products_of", "read", "read_for_azure", "read_of"]
