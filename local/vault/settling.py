"""What takes the service seconds after it answered: deleting, recovering, purging, and restoring.

"Azure Key Vault soft-delete overview", and the pollers that every SDK has for it; the recordings of
@azure/keyvault-secrets show 404s for six seconds after a delete. Meanwhile the secret is neither here nor there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from local.vault import errors

TAKES_S = 2.0


class Doing(StrEnum):
    """What a secret is in the middle of."""

    DELETING = "deleting"  # neither a secret nor a deleted one
    RECOVERING = "recovering"  # likewise
    PURGING = "purging"  # still shown among the deleted ones
    RESTORING = "restoring"  # it can be read, not written


@dataclass(slots=True)
class Settling:
    """How long each of these takes, in seconds of the vaults' clock; 0: it is done with the answer."""

    seconds: float = TAKES_S

    def set(self, seconds: float) -> None:
        """From the next call on.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("seconds is negative; settling takes 0 seconds or more")
        self.seconds = seconds


def refusal(doing: str) -> errors.ServiceError:
    """What a write is told meanwhile (409)."""
    if Doing(doing) in {Doing.RECOVERING, Doing.RESTORING}:
        return errors.being_recovered()
    return errors.being_deleted()
