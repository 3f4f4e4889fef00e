"""Whether a text is one key and nothing else. What is taken for one is replaced whole, so a doubt says no."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable

LONGEST = 512  # characters; what is longer without a tag that says what it is, is a file rather than a key

_NOT_IN_A_KEY = re.compile(r"[\s{}\[\]<>\"'`,;:\\]")
_HEADER = re.compile(r"(?:bearer|basic|digest|negotiate|apikey|token|sharedaccesssignature|sharedkey)\s", re.IGNORECASE)
_NAMED = re.compile(r"[?&]?[A-Za-z_][\w.-]*=[^=]")
_SETTINGS = re.compile(r"[^;=]+=[^;]*;")
_SIGNED_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*(?:\.[\w-]+\.[\w-]+)?")
_HASH = re.compile(r"\$\w[\w-]*\$")
_USER_AND_PASSWORD = re.compile(r"[!-9;-~]+:[ -~]+")
_DER = b"\x30\x82"  # a sequence of up to 64 kB: certificates, keys, PKCS #12


def other_thing(text: str) -> str | None:
    """What a text is for sure in place of a key, in words for a person; None: it may be a key."""
    written = text.strip()
    return next((what for what, fits in _OTHERS if fits(written)), None) if written else "blank"


def has_the_shape_of_a_key(text: str) -> bool:
    """One printable word with = at its end alone, and no sign that keeps two things apart."""
    return (
        0 < len(text) <= LONGEST
        and text.isprintable()
        and _NOT_IN_A_KEY.search(text) is None
        and "=" not in text.rstrip("=") != ""
    )


def _is_json(text: str) -> bool:
    if text[0] not in '{["':
        return False
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _is_encoded_file(text: str) -> bool:
    raw = _decoded(text)
    return raw.startswith(_DER) and int.from_bytes(raw[2:4]) == len(raw) - 4


def _is_encoded_text(text: str) -> bool:
    """A user and password, or settings: what is written for people, and not what is drawn at random."""
    raw = _decoded(text)
    if not raw.isascii():
        return False
    inside = raw.decode().strip()
    return _USER_AND_PASSWORD.fullmatch(inside) is not None or any(fits(inside) for _, fits in _TEXTS if inside)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


_TEXTS: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("a PEM block", lambda text: "-----BEGIN" in text),
    ("JSON", _is_json),
    ("XML", lambda text: text[0] == "<" and text[-1] == ">"),
    ("a URL", lambda text: "://" in text),
    ("a header", _HEADER.match),
    ("a connection string", _SETTINGS.match),
    ("a name with its value", _NAMED.match),
    ("a signed token", _SIGNED_TOKEN.fullmatch),
    ("a password's hash", _HASH.match),
)
_OTHERS = (
    *_TEXTS,
    ("a certificate or key file in base64", _is_encoded_file),
    ("a text in base64", _is_encoded_text),
)
