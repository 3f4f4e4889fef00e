"""Percent-encoding, as strict as the strictest driver."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from rotation.formats.value import NotUnderstood

_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


def escape(text: str) -> str:
    """Percent-encode everything but unreserved characters."""
    return quote(text, safe="")


def decode(text: str) -> str:
    """Undo percent-encoding; a "+" stays one.

    Raises:
        Unusable: a percent sign without two hex digits, a NUL, or bytes that are no UTF-8.
    """
    if _BAD_PERCENT.search(text):
        raise NotUnderstood("the URI has a % that is not followed by two hex digits (write a % as %25), or a NUL")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        pass
    raise NotUnderstood("the URI has percent-encoded bytes that are no UTF-8")
