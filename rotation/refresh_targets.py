"""The port of those who ask refresh targets to take a new version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rotation.model import SecretRef, SecretValue
from rotation.terms import Refresh


@dataclass(frozen=True, slots=True)
class RefreshOrder:
    """One refresh target, and the version that it shall take.

    operation_id: of what published the version: the same at each try. published_at: aware UTC.
    secret: the value of the secret that `refresh` names, to sign or to log in with; None where it names none.
    value: what is written there, as `refresh.part` says; None where nothing is. It shows itself nowhere.
    """

    refresh: Refresh
    ref: SecretRef
    version: str
    operation_id: str
    published_at: datetime
    secret: SecretValue | None
    value: SecretValue | None = None


class Refresher(Protocol):
    """Asks one kind of refresh target to take a version. Stateless; a call may be repeated, and does no harm then."""

    async def refresh(self, order: RefreshOrder) -> None:
        """Ask.

        Raises:
            Unreachable, Throttled: no answer, or "not now". Gone: it wants to be asked no more.
            Refused: no, by a right that is missing or a name that does not exist. Unusable: the secret, or
                the value, can't be used.
        """
        ...
