"""What can go wrong for whoever reads a secret: one line each, with the remedy, and never with a value."""

from __future__ import annotations


class KeyturnError(Exception):
    """Of this library. `str()` is one line for a person."""


class WrongReference(KeyturnError, ValueError):
    """The text that names a secret is none that can be followed."""


class NotReadable(KeyturnError):
    """The vault answered, and does not hand the secret out: it is not there, disabled, or not permitted.

    cause: "missing", "disabled", "forbidden" or "refused".
    """

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


class VaultAway(KeyturnError):
    """The vault did not answer, or asks to be left alone for a while.

    retry_after_s: for how long, where it said so.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NoOther(KeyturnError):
    """A login was refused, and the vault has no other version than the refused one."""


class NotUsable(KeyturnError, ValueError):
    """The secret was read, and its value is none that this client can log in with."""


class MissingSecrets(KeyturnError):
    """Some of the secrets that were required can't be read.

    causes: by the secret's name.
    """

    def __init__(self, message: str, causes: dict[str, str]) -> None:
        super().__init__(message)
        self.causes = causes
