"""What stands in a secret: read one, change the login in it, and leave all else exactly as it was written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rotation.errors import Unusable
from rotation.formats import ado, jdbc, json_object, key_value, plain, uri
from rotation.formats.value import Host, Value
from rotation.model import SecretValue

MOST_BYTES = 25_600  # what a vault holds
_BY_NAME: Mapping[str, Callable[[str], Value]] = {
    "plain": plain.read,
    "uri": uri.read,
    "key-value": key_value.read,
    "ado": ado.read,
    "jdbc": jdbc.read,
    "json": json_object.read,
}
_RECOGNISED: Mapping[str, Callable[[str], bool]] = {
    "uri": uri.recognises,
    "jdbc": jdbc.recognises,
    "json": json_object.recognises,
    "key-value": key_value.recognises,
    "ado": ado.recognises,
}
FORMATS = tuple(_BY_NAME)


def read(value: SecretValue, name: str | None = None) -> Value:
    """Read a value in the format `name` (the tag `format`), or in the one that it is recognised to be.

    Recognition is careful: what can't be read whole as one of the others is a plain password.

    Raises:
        Unusable: of field "format" where there is no such format or the value is not of it, else of "value".
    """
    text = value.reveal()
    if not text or "\0" in text or len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        raise Unusable(f"the value is empty, longer than {MOST_BYTES} bytes, or holds a NUL character", field="value")
    if name is not None:
        if name not in _BY_NAME:
            raise Unusable(f"the tag format is not one of {', '.join(FORMATS)}", field="format")
        return _BY_NAME[name](text)
    found = next((name for name, recognises in _RECOGNISED.items() if recognises(text)), "plain")
    return _BY_NAME[found](text)


__all__ = ["FORMATS", "Host", "Value", "read"]
