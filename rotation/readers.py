"""Who has read a secret, by the vault's audit log: the port `Readers`, and what its answer means.

A reader is an identity. The log does not tell the instances of one application apart if they share an identity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Protocol

from rotation.errors import NoAuditLog
from rotation.model import SecretRef

# A vault's `created` has whole seconds: a read this soon after it may have got the version before.
TICK = timedelta(seconds=2)
# Audit lines come within ten minutes (Microsoft Learn, "Azure Key Vault logging"), and into a workspace some minutes
# later ("Log data ingestion time in Azure Monitor"); where the log is this far, what was before has come.
LATE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Question:
    """Who holds an older value of `secret`. latest: the version that replaced it, created at `published_at`.

    since: when the oldest version that counts was created. Reads before that are not looked for. All times are aware
    UTC, by the vault's clock.
    """

    secret: SecretRef
    latest: str
    published_at: datetime
    since: datetime


@dataclass(frozen=True, slots=True)
class Reads:
    """Successful reads of one version by one identity, all before the publication or all after it.

    version: None where the log does not say which one was served. last: the newest of them. addresses: how many
    addresses they came from. The rest is as in `Reader`.
    """

    object_id: str | None
    application_id: str | None
    user: str | None
    resource: str | None
    version: str | None
    after: bool
    last: datetime
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reader:
    """An identity that read an older value.

    object_id, application_id: its ids in the directory. user: the name of a person (UPN); None for applications.
    resource: the resource id of a managed identity, or of what it belongs to. last_old: its last read of an older
    value. last_new: its last read of the latest one; None: it still holds the older one, as far as the log tells.
    addresses_old, addresses_new: from how many addresses: fewer since may mean that an instance is missing.
    """

    object_id: str | None
    application_id: str | None
    user: str | None
    resource: str | None
    last_old: datetime
    last_new: datetime | None
    addresses_old: int
    addresses_new: int

    @property
    def holds(self) -> bool:
        """Whether nothing says that it has the latest value. Who checks what others present reads both, by name."""
        return self.last_new is None


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer, as of `as_of`. log_from, log_until: the first and last line about the vault; None: there is none."""

    readers: tuple[Reader, ...]
    as_of: datetime
    log_from: datetime | None
    log_until: datetime | None

    @property
    def holders(self) -> tuple[Reader, ...]:
        """Those who still hold an older value, who read it last coming first."""
        return tuple(sorted((one for one in self.readers if one.holds), key=lambda one: one.last_old, reverse=True))

    def gap(self, question: Question) -> str | None:
        """Why this answer can't say that nobody holds it; None: it can."""
        if self.log_from is None or self.log_until is None:
            return "the workspace has no line about this vault in the table AZKVAuditLogs"
        if self.log_from > question.published_at:
            return f"the audit log begins at {self.log_from:%Y-%m-%d %H:%M} UTC, after the last publication"
        if self.log_until < question.published_at + LATE:
            return f"the audit log ends at {self.log_until:%Y-%m-%d %H:%M} UTC: what was read before may still come"
        return None


class Readers(Protocol):
    """What the audit log says. Nothing in it is changed."""

    async def ask(self, question: Question) -> Heard:
        """Every identity but the app's own that read an older value since `question.since`.

        Raises:
            NoAuditLog: none is configured. Refused: it may not be read, or is not there; the message names the right or
            the setting. Unreachable, Throttled: not now, or the answer is only a part.
        """
        ...


class NoReaders:
    """No audit log is configured."""

    async def ask(self, question: Question) -> Heard:  # noqa: ARG002  the port's
        raise NoAuditLog(
            "no audit log is configured, so nobody can tell who reads a secret: set ROTATION_AUDIT_WORKSPACE to the id "
            "of the Log Analytics workspace that has the vault's AuditEvent lines",
            field="ROTATION_AUDIT_WORKSPACE",
        )


def readers_of(reads: Iterable[Reads], question: Question) -> tuple[Reader, ...]:
    """The identities that read an older value, the last one first. Pure.

    A read is of the latest value if the log says that version, or says none and the read came after the publication.
    """

    def whose(one: Reads) -> tuple[str, str]:
        return one.object_id or "", one.application_id or ""

    found = []
    for _, group in groupby(sorted(reads, key=whose), whose):
        mine = list(group)
        new = [one for one in mine if _is_new(one, question.latest)]
        old = [one for one in mine if not _is_new(one, question.latest)]
        if old:
            found.append(_reader(old, new))
    return tuple(sorted(found, key=lambda one: one.last_old, reverse=True))


def _is_new(one: Reads, latest: str) -> bool:
    return one.after if one.version is None else one.version.lower() == latest.lower()


def _reader(old: list[Reads], new: list[Reads]) -> Reader:
    newest = max((*old, *new), key=lambda one: one.last)  # names may change, ids do not
    return Reader(
        newest.object_id,
        newest.application_id,
        newest.user,
        newest.resource,
        last_old=max(one.last for one in old),
        last_new=max((one.last for one in new), default=None),
        addresses_old=len(frozenset().union(*(one.addresses for one in old))),
        addresses_new=len(frozenset().union(*(one.addresses for one in new))),
    )
