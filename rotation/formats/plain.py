"""The whole value is the password: because the tag `format` says so, or because it can be nothing else.

Recognised is one word of letters, digits and the marks below, such as a generated password, a base64 key, a UUID. What
passwords share with addresses, pairs, lists and markup (":" "@" "," "=" before the end, quotes, brackets) is left to
the tag.
"""

from __future__ import annotations

import re

from rotation.formats.value import NotUnderstood, Span, Value
from rotation.model import SecretValue

_WORD = re.compile(r"[A-Za-z0-9!#$%&*+./^_~?|-]++={0,2}")
_MOST = 512  # longer ones are certificates, keystores, tokens
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")  # a JWT: header, payload, signature
_PATH = re.compile(r"(?:~|\.{0,2})/[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)+")
_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}")  # of a host
_PLACEHOLDER = re.compile(r"\$[A-Z_][A-Z0-9_]*|%[A-Z_][A-Z0-9_]*%|(?i:null|none|undefined|true|false)")


def recognises(text: str) -> bool:
    """Whether a value can be nothing but a bare password, by its shape alone."""
    return (
        len(text) <= _MOST
        and _WORD.fullmatch(text) is not None
        and not (text.startswith("eyJ") and _TOKEN.fullmatch(text))
        and _NAME.fullmatch(text) is None
        and _PATH.fullmatch(text) is None
        and _PLACEHOLDER.fullmatch(text) is None
    )


def _as_it_is(text: str) -> str:
    return text


def read(text: str) -> Value:
    """All of it.

    Raises:
        Unusable: it is blank.
    """
    if not text.strip():
        raise NotUnderstood("the value is blank")
    value = SecretValue(text)
    return Value("plain", value, value, password_places=(Span(0, len(text), _as_it_is),))
