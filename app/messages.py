"""A rotation request as a queue message: JSON, never with a value in it."""

from __future__ import annotations

import json

from app.actors import noted, object_id
from rotation.errors import Malformed
from rotation.model import Force, Reason, RotationRequest, SecretRef
from rotation.spec import checked_name, checked_word


def to_text(request: RotationRequest) -> str:
    """One message."""
    return json.dumps(
        {
            "vault": request.ref.vault,
            "secret": request.ref.name,
            "version": request.version,
            "reason": request.reason.value,
            "actor": request.actor,
            **({"actor_id": request.actor_id} if request.actor_id else {}),
            "force": request.force.value,
            "early": request.early,
            "demanded": request.demanded,
            **({"restore_tags": True} if request.restore_tags else {}),
        }
    )


def from_text(text: str) -> RotationRequest:
    """The request of a message.

    Raises:
        Malformed: it is none; the same message will never be one.
    """
    try:
        raw = json.loads(text)
        return RotationRequest(
            ref=SecretRef(checked_word(_text(raw["vault"]), "vault").lower(), checked_name(_text(raw["secret"]))),
            version=checked_word(_text(raw["version"]), "version") if raw.get("version") else None,
            reason=Reason.read(checked_word(_text(raw.get("reason", Reason.OPERATOR.value)), "reason")),
            actor=noted(_text(raw.get("actor", "queue"))),
            actor_id=object_id(raw.get("actor_id")),
            force=Force(raw.get("force", "no")),
            early=raw.get("early") is True,
            demanded=raw.get("demanded") is True,
            restore_tags=raw.get("restore_tags") is True,
        )
    except (Malformed, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise Malformed("the message is no rotation request: it needs vault, secret and version", field="message")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value
