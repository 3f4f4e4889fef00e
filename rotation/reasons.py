"""Why something is asked for, and what an operator overrides: the words of messages, ledgers and telemetry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a secret is looked at. Records keep the word as text, since a later package may know others."""

    NEAR_EXPIRY = "near-expiry"
    EXPIRED = "expired"
    SWEEP = "sweep"
    OPERATOR = "operator"
    UNFINISHED = "unfinished"  # a run's own reminder: see `rotation.engine.reminders`
    REFRESH = "refresh"  # a refresh target is asked again to take the latest version: see `rotation.engine.refreshing`
    OTHER = "other"  # a message has a word that is not known here

    @classmethod
    def read(cls, word: str) -> Reason:
        """The reason of that word; OTHER for one that only a later package knows."""
        return cls(word) if word in {*cls} else cls.OTHER


class RefreshState(StrEnum):
    """What became of asking one refresh target to take a new version."""

    DONE = "done"
    FAILED = "failed"  # it is asked again
    GIVEN_UP = "given_up"  # it is not asked again for this version
    DROPPED = "dropped"  # the policy names it no longer


@dataclass(frozen=True, slots=True)
class Refreshed:
    """One try. name: as `Refresh.name`. detail: why it failed, safe to log; blank where it did not."""

    name: str
    state: RefreshState
    detail: str = ""


class Adopt(StrEnum):
    """How an operator gives a credential to a secret: not; from its owner, by proof; or set anew, without proof."""

    NO = "no"
    TAKEOVER = "takeover"
    RESET = "reset"


class Force(StrEnum):
    """What an operator's wish overrides: nothing; window and interval; the grace period too. Both restore lost tags."""

    NO = "no"
    YES = "yes"
    GRACE = "grace"
