"""Key Vault's events to the queue. Answers in milliseconds; whatever is not for us is logged and acknowledged.

Shapes: Microsoft Learn, "Azure Key Vault as Event Grid source". Published samples have stray spaces in names and values
and text for numbers, so both are read leniently.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Protocol

from app.log_fields import log_fields
from app.messages import to_text
from rotation.errors import Malformed
from rotation.model import Reason, RotationRequest, SecretRef
from rotation.spec import checked_name, checked_word

log = logging.getLogger("keyturn.near_expiry")
IGNORED = log_fields("ignored")

REASONS = {
    "microsoft.keyvault.secretnearexpiry": Reason.NEAR_EXPIRY,
    "microsoft.keyvault.secretexpired": Reason.EXPIRED,
}


class Out(Protocol):
    """An output binding."""

    def set(self, val: str) -> None: ...


def forward(event: object, vaults: Collection[str], message: Out) -> None:
    """Set `message` where the event, of either schema, asks for something."""
    kind = getattr(event, "event_type", None) or getattr(event, "type", None)
    data = event.get_json() if hasattr(event, "get_json") else getattr(event, "data", None)
    text = message_of(kind, data, vaults)
    if text is not None:
        message.set(text)


def message_of(kind: object, data: object, vaults: Collection[str]) -> str | None:
    """The one queue message of an event; None where it asks for nothing here."""
    reason = _reason(kind)
    if reason is None:
        return None
    fields = _fields(data)
    vault, name, version = (fields.get(key, "") for key in ("vaultname", "objectname", "version"))
    if fields.get("objecttype", "secret").lower() != "secret":
        log.info("an event about a key or a certificate is acknowledged and left alone", extra=IGNORED)
        return None
    if vault.lower() not in vaults:
        log.warning(
            "an event of a vault that is not among ROTATION_VAULTS is acknowledged and left alone", extra=IGNORED
        )
        return None
    if not name or not version:
        log.warning(
            "an event without ObjectName or Version is acknowledged and left alone; the sweep finds what is due",
            extra=IGNORED,
        )
        return None
    try:
        ref, version = SecretRef(vault.lower(), checked_name(name)), checked_word(version, "version")
    except Malformed:
        log.warning(
            "an event with a name or version that no secret can have is acknowledged and left alone", extra=IGNORED
        )
        return None
    request = RotationRequest(ref, version, reason, "event-grid", early=reason is Reason.NEAR_EXPIRY)
    return to_text(request)


def _reason(kind: object) -> Reason | None:
    """Why an event of this type asks for a rotation; None where it does not, or where it has none."""
    if not isinstance(kind, str) or not kind.strip():
        log.error(
            "an event without a type is acknowledged, and nobody can say what it asks for; the sweep finds what is due",
            extra=log_fields("unreadable"),
        )
        return None
    reason = REASONS.get(kind.strip().lower())
    if reason is None:
        log.info("an event of another type is acknowledged and left alone", extra=IGNORED)
    return reason


def _fields(data: object) -> dict[str, str]:
    if not isinstance(data, Mapping):
        return {}
    return {str(key).strip().lower(): str(value).strip() for key, value in data.items() if value is not None}
