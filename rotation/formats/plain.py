"""The whole value is the password, spaces at its ends included."""

from __future__ import annotations

from rotation.formats.value import Place, Value
from rotation.model import SecretValue


def _as_it_is(text: str) -> str:
    return text


def read(text: str) -> Value:
    """Any text is a plain value."""
    everything = Place(0, len(text), _as_it_is)
    value = SecretValue(text)
    return Value("plain", value, value, password_places=(everything,))
