"""Who asked for a rotation, as messages and the ledger keep it."""

from __future__ import annotations

from app.log_fields import one_line
from rotation.addresses import is_guid

LONGEST_ACTOR = 200  # characters in a record: each history keeps them for good


def noted(name: str) -> str:
    """A caller's name as the ledger keeps it, whatever the directory or a message says."""
    return one_line(name)[:LONGEST_ACTOR]


def object_id(claim: object) -> str | None:
    """The id of a directory's object; None where it is none."""
    return claim.lower() if isinstance(claim, str) and is_guid(claim.lower()) else None
