"""What the engine talks to. The promises are here, where an implementer must read them.

Every method raises errors of `rotation.errors` only; adapters translate what their libraries raise and copy no
foreign text. Every call may be cancelled at any await: the engine puts its own time limit around each.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from rotation.ledger.bindings import Binding, Bindings
from rotation.ledger.records import Record
from rotation.model import (
    Applied,
    Credential,
    Draft,
    Endpoints,
    Job,
    Proof,
    RequestedAccess,
    Secret,
    SecretItem,
    SecretRef,
    SecretValue,
    Spec,
    Versions,
)


class Rotator(Protocol):
    """One kind of credential. Stateless between calls: it may be another process that goes on.

    The engine calls `requested_access` (the policy decides on it), `draft`, stages the draft's value, `apply`,
    `verify`, and after the grace period `retire`. What only some can do besides is in `rotation.capabilities`.
    """

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        """What this would touch. No I/O.

        Raises:
            Unusable: a tag or the value can't be understood; names the tag, or "value".
        """
        ...

    def draft(self, job: Job) -> Draft:
        """Decide on the next credential. No I/O.

        Raises:
            Unusable: the value or tags don't allow one.
        """
        ...

    async def apply(self, job: Job, draft: Draft) -> Applied:
        """Change the provider so that the drafted credential works. Repeatable for the same `job.operation_id`.

        With `job.resumed` the change may have been made: look first, and don't make it twice where that can be seen.
        A draft with both slot and value that the provider already accepts is returned as it is. The login that was let
        in is returned: it shows the engine that the password in the vault no longer was.

        Raises:
            Rejected: every login was refused. Unreachable, Throttled: no answer; it may or may not have happened.
            Refused: the provider said no.
        """
        ...

    async def prove(self, job: Job) -> Proof:
        """Log in with `job.current.value` as a consumer does, **and** where a change would be made.

        This alone gives a secret its credential, so nothing is believed but the provider: `job.current.slot` is what
        the value itself names, and blank where it names none. Changes nothing.

        Raises:
            Rejected: one of the places refuses it. NotYet, Unreachable: nobody can tell.
            Unusable: it works, and nobody can tell whose it is.
        """
        ...

    async def realm(self, job: Job, slot: str) -> str | None:
        """Who the provider says it is, by whatever of `job.logins(slot)` is let in: for what is set anew unproven.

        Raises:
            Rejected: every login was refused. Unreachable.
        """
        ...

    async def verify(self, job: Job, credential: Credential) -> None:
        """Prove that a consumer who reads `credential.value` gets in, and as `credential.slot`. Changes nothing.

        Raises:
            Rejected: it does not work. NotYet: not accepted everywhere yet. Unreachable: nobody can tell.
        """
        ...

    async def retire(self, job: Job, slot: str) -> None:
        """Make the old slot's credential stop working. What is already gone is a success. Repeatable."""
        ...


class Vault(Protocol):
    """One key vault. Names are those of secrets; a version's id is opaque.

    A write that was answered by no one may have happened; it is not repeated by the adapter (a second version would
    come of it). Answers that say "not now" (429, 503) may be retried inside the caller's time limit.
    """

    @property
    def name(self) -> str:
        """The short name, as in `SecretRef.vault`."""
        ...

    async def get(self, name: str, version: str | None = None) -> Secret:
        """One version with its value; None: the latest.

        Raises:
            NotFound: no such secret or version, or soft-deleted. Disabled: the version is disabled.
            Refused: the identity may not read it. Unreachable, Throttled.
        """
        ...

    async def versions(self, name: str) -> Versions:
        """All versions, the most recently created first; empty where there is no such secret."""
        ...

    def secrets(self) -> AsyncIterator[SecretItem]:
        """Every secret of the vault, page by page, without values. Companions (`--staged`) are among them."""
        ...

    async def reserve_writes(self, creations: int) -> None:
        """Wait until the vault takes so many new versions, and reserve them for the caller; 0: it takes any again.

        Asked before anything changes, so that `set` need not wait for it: a new version that waits while the old
        credential is dead keeps consumers out.

        Raises:
            Throttled: that would take longer than a caller waits; none are reserved.
        """
        ...

    async def set(
        self,
        name: str,
        value: SecretValue,
        *,
        tags: Mapping[str, str],
        content_type: str | None = None,
        expires_on: datetime | None = None,
    ) -> Secret:
        """Write a new version.

        Raises:
            Refused: the vault won't have it (rights, a soft-deleted name, a size). Unreachable, Throttled.
        """
        ...

    async def set_enabled(self, name: str, version: str, *, enabled: bool) -> None:
        """Enable or disable one version; its other attributes stay."""
        ...

    async def set_tags(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of one version."""
        ...


class Lease(Protocol):
    """The right to write about one secret, for a while. Only its holder appends records.

    `records` is the secret's whole history, oldest first, read after the lease was taken; `append` adds to it.
    """

    @property
    def records(self) -> Sequence[Record]: ...

    def remaining(self) -> float:
        """Seconds left, by the monotonic clock, counted from before the lease (or its renewal) was asked for."""
        ...

    async def renew(self) -> None:
        """Start the lease's time anew.

        Raises:
            LeaseLost: somebody broke it, or took it after it ran out.
        """
        ...

    async def append(self, *records: Record) -> None:
        """Write the records durably, all or none, in order.

        Raises:
            LeaseLost: the lease is no longer ours; nothing was written. Unreachable: they may have been written.
        """
        ...

    async def release(self) -> None:
        """Let go. Never raises: a lease that can't be released runs out by itself."""
        ...


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What a listing tells of one secret's history without reading it.

    revision changes whenever the history does. interrupted: the last holder never released its lease (and no one
    holds it now), so its run did not end.
    """

    name: str
    revision: str
    interrupted: bool


class Ledger(Protocol):
    """Leases and histories, one of each a secret."""

    async def acquire(self, ref: SecretRef, *, create: bool) -> Lease | None:
        """Take the secret's lease for `LEASE_S` seconds. None: no history yet, and `create` is false.

        Raises:
            Busy: another holds it. Unreachable.
        """
        ...

    async def read(self, ref: SecretRef) -> Sequence[Record]:
        """The history, oldest first, without a lease; empty where there is none."""
        ...

    def entries(self, vault: str) -> AsyncIterator[LedgerEntry]:
        """Every secret of a vault that has a history."""
        ...

    async def bindings(self, credential: str) -> Bindings:
        """Who owned a credential, without any lease. credential: a key of `rotation.ledger.bindings`."""
        ...

    async def bind(self, credential: str, position: int, binding: Binding) -> None:
        """Append at the position that was read, and nowhere else.

        Raises:
            Overtaken: somebody else appended since; nothing was written. Unreachable: it may have been written.
        """
        ...


LEASE_S = 60.0  # the longest that blob storage grants; see "Lease Blob" in the Storage REST reference


class TokenProvider(Protocol):
    """Access tokens of the app's identity."""

    async def token(self, scope: str) -> SecretValue:
        """A bearer token for `scope` (".../.default").

        Raises:
            Refused: the identity gets none. Unreachable.
        """
        ...


class Connections:
    """Bounds the connections of this process to each server, whichever rotators and runs they are for.

    The smallest flexible server lets 35 in, and an app has several instances: few are enough, as each is open for a
    login or a statement or two.
    """

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._servers: dict[str, asyncio.Semaphore] = {}

    def to(self, server: str) -> asyncio.Semaphore:
        """To be held while a connection to `server` (host:port) is open. Never hold two: runs would wait in a ring."""
        return self._servers.setdefault(server, asyncio.Semaphore(self._at_most))


@dataclass(frozen=True, slots=True)
class RotatorDependencies:
    """What rotators are built from. Clock, randomness and sleep are handed in so that tests decide them."""

    tokens: TokenProvider
    endpoints: Endpoints
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    random: random.Random  # SystemRandom outside the simulation
    connections: Connections = field(default_factory=lambda: Connections(8))


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall time (aware UTC) and monotonic seconds."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
