"""The secrets that a policy's `refresh` names: as a token in a header, and as a key that signs a webhook."""

from __future__ import annotations

import base64
import hashlib
import hmac

from rotation.errors import Unusable
from rotation.refresh_targets import RefreshOrder

PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes: "Signature scheme" of the specification
LONGEST_TOKEN = 4096


def header_text(order: RefreshOrder) -> str:
    """The secret, as one word that a header can hold.

    Raises:
        Unusable: it is something else, or there is none.
    """
    text = order.secret.reveal().strip() if order.secret is not None else ""
    if not text or len(text) > LONGEST_TOKEN or not all("!" <= one <= "~" for one in text):
        raise Unusable(f"the secret {_named(order)} is no token: write the token alone into it", field="value")
    return text


def key_of(order: RefreshOrder) -> bytes:
    """The signing key: base64, with "whsec_" before it or without, as the specification's libraries read it.

    Any other text has no one meaning: some receivers would decode it, and others take it as it is.

    Raises:
        Unusable: it is none, or too short to sign with, or there is none.
    """
    text = order.secret.reveal().strip() if order.secret is not None else ""
    key = _decoded(text.removeprefix(PREFIX))
    if key is None or not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise Unusable(
            f"the secret {_named(order)} is no signing key: write whsec_ and {SHORTEST_KEY} to {LONGEST_KEY} random "
            "bytes in base64 into it",
            field="value",
        )
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` of one message."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # no base64, or not even ASCII
        return None


def _named(order: RefreshOrder) -> str:
    return "/".join(order.refresh.secret or ())
