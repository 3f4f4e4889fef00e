"""The secrets that a policy's `refresh` names: as a token in a header, and as a key that signs a webhook."""

from __future__ import annotations

import base64
import binascii
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
    """The signing key: base64 after "whsec_", as the specification writes it, or any other text as it is.

    Raises:
        Unusable: it is too short to sign with, or there is none.
    """
    text = order.secret.reveal().strip() if order.secret is not None else ""
    key = _decoded(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else text.encode(errors="surrogatepass")
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
    except binascii.Error:
        return None


def _named(order: RefreshOrder) -> str:
    return "/".join(order.refresh.secret or ())
