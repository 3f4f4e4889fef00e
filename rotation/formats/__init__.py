"""What stands in a secret: read one, change the login in it, and leave all else exactly as it was written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rotation.errors import Unusable
from rotation.formats.ado import read as read_ado
from rotation.formats.ado import recognises as is_ado
from rotation.formats.jdbc import read as read_jdbc
from rotation.formats.jdbc import recognises as is_jdbc
from rotation.formats.json_object import read as read_json
from rotation.formats.json_object import recognises as is_json
from rotation.formats.key_value import read as read_key_value
from rotation.formats.key_value import recognises as is_key_value
from rotation.formats.plain import read as read_plain
from rotation.formats.uri import read as read_uri
from rotation.formats.uri import recognises as is_uri
from rotation.formats.value import Host, Value, check_characters
from rotation.model import SecretValue

MOST_BYTES = 25_600  # what a vault holds
_BY_NAME: Mapping[str, Callable[[str], Value]] = {
    "plain": read_plain,
    "uri": read_uri,
    "key-value": read_key_value,
    "ado": read_ado,
    "jdbc": read_jdbc,
    "json": read_json,
}
_RECOGNISED: Mapping[str, Callable[[str], bool]] = {
    "uri": is_uri,
    "jdbc": is_jdbc,
    "json": is_json,
    "key-value": is_key_value,
    "ado": is_ado,
}
FORMATS = tuple(_BY_NAME)


def read(value: SecretValue, name: str | None = None) -> Value:
    """Read a value in the format `name` (the tag `format`), or in the one that it is recognised to be.

    Recognition is careful: what can't be read whole as one of the others is a plain password.

    Raises:
        Unusable: of field "format" where there is no such format or the value is not of it, else of "value".
    """
    text = value.reveal()
    check_characters(text)
    if not text or "\0" in text or len(text.encode()) > MOST_BYTES:
        raise Unusable(f"the value is empty, longer than {MOST_BYTES} bytes, or holds a NUL character", field="value")
    if name is not None:
        if name not in _BY_NAME:
            raise Unusable(f"the tag format is not one of {', '.join(FORMATS)}", field="format")
        return _BY_NAME[name](text)
    found = next((name for name, recognises in _RECOGNISED.items() if recognises(text)), "plain")
    return _BY_NAME[found](text)


__all__ = ["FORMATS", "Host", "Value", "read"]
