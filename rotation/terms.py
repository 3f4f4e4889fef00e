"""The nouns that the settings and the policy need: all that a cold start loads of the model.

Everybody else takes them from `rotation.model`, where they stand beside the rest.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn


class SecretValue:
    """Text that must never be seen: repr, str, format and pickle do not show it.

    The one way to the text is `reveal()`, so a reviewer finds every use by that word.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Hand it to a driver or an SDK, never to a message."""
        return self._text

    def __repr__(self) -> str:
        return "SecretValue(hidden)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        ours, theirs = (one.reveal().encode(errors="surrogatepass") for one in (self, other))
        return hmac.compare_digest(ours, theirs)

    def __hash__(self) -> int:
        return hash((SecretValue, self._text))

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        message = "a secret value is not serialised"
        raise TypeError(message)


@dataclass(frozen=True, slots=True, order=True)
class SecretRef:
    """Which secret: `vault` is the vault's short name as in ROTATION_VAULTS, `name` the secret's."""

    vault: str
    name: str

    def __str__(self) -> str:
        return f"{self.vault}/{self.name}"


@dataclass(frozen=True, slots=True)
class Spec:
    """What a secret's tags ask for; parsed, not yet permitted. See `rotation.spec`."""

    rotator: str
    validity_days: int
    lead_days: int
    grace_hours: int
    target: str | None
    slots: tuple[str, ...]
    current_slot: str | None  # from a tag; believed at onboarding only
    format: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a rotator would touch for a secret, read from its tags and value without any I/O.

    targets: `host:port` in lower case, or ARM resource ids, or an Entra application's object id: all of them.
    slots: the roles or keys that would be used, in the order of turn; empty where the provider assigns slots.
    current_slot: the slot that the value itself names (a connection string's user), else what the tag says.
    """

    targets: tuple[str, ...]
    slots: tuple[str, ...]
    current_slot: str | None


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """How long and of which alphabet a new password is; see `rotation.passwords`."""

    length: int = 40
    alphabet: str = "url-safe"


class Tls(StrEnum):
    """How a database connection is secured; from the policy alone."""

    VERIFY_FULL = "verify-full"
    DISABLE = "disable"


@dataclass(frozen=True, slots=True)
class Admin:
    """The administrator that a policy rule names; never from a tag.

    kind "identity": log in with this app's Entra token. kind "secret": with the secret `secret` of the same vault.
    user: the administrator's role name where neither the token nor the secret's value says it.
    """

    kind: str
    secret: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where Azure's planes are: these differ between clouds and are stand-ins on one machine. No trailing slash."""

    arm: str = "https://management.azure.com"
    graph: str = "https://graph.microsoft.com"
    login: str = "https://login.microsoftonline.com"
    postgres_scope: str = "https://ossrdbms-aad.database.windows.net/.default"
