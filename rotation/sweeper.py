"""What the sweep asks for: due secrets, open operations, daily checks, retirements and leftovers.

It only asks. Everything is decided again, under the lease, by the engine. Histories are read when they changed
since they were last read here, and a secret's value only when something is asked for, to name its version.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rotation.errors import Disabled, NotFound, Unusable
from rotation.history import History
from rotation.model import RotationRequest, SecretItem, SecretRef, Spec
from rotation.policy import Policy
from rotation.ports import Ledger, LedgerEntry, Vault
from rotation.spec import due_at, is_companion, parse

CHECK_EVERY = timedelta(hours=24)
SKEW = timedelta(minutes=5)  # between the vault's clock and ours


@dataclass(frozen=True, slots=True)
class _Seen:
    revision: str
    look_at: datetime
    last_at: datetime


@dataclass(slots=True)
class Sweeper:
    """`seen` spares a warm instance from reading histories that did not change."""

    ledger: Ledger
    policy: Policy
    seen: dict[SecretRef, _Seen] = field(default_factory=dict)

    async def requests(self, vault: Vault, now: datetime) -> AsyncIterator[RotationRequest]:
        """One request for each secret that may need something, pinned to its latest version."""
        entries = {entry.name: entry async for entry in self.ledger.entries(vault.name)}
        async for item in vault.secrets():
            if is_companion(item.ref.name) or not item.enabled:
                continue
            if await self._may_need(item, entries.get(item.ref.name.lower()), now):
                try:
                    latest = await vault.get(item.ref.name)
                except (Disabled, NotFound):
                    continue
                yield RotationRequest(item.ref, latest.version, "sweep", "sweep")

    async def _may_need(self, item: SecretItem, entry: LedgerEntry | None, now: datetime) -> bool:
        try:
            spec = parse(item.tags)
        except Unusable:
            return True  # the engine says what is wrong, and that is what the operator must see
        if entry is None:
            return spec is not None and self.policy.covers(item.ref)
        if spec is None or entry.interrupted or item.updated_on > await self._last_at(item.ref, entry, spec) + SKEW:
            return True
        return now >= self.seen[item.ref].look_at or (
            item.expires_on is not None and now >= due_at(spec, item.expires_on, item.updated_on)
        )

    async def _last_at(self, ref: SecretRef, entry: LedgerEntry, spec: Spec) -> datetime:
        known = self.seen.get(ref)
        if known is None or known.revision != entry.revision:
            history = History(await self.ledger.read(ref))
            last = history.last()
            last_at = last.at if last else datetime.min.replace(tzinfo=UTC)
            known = self.seen[ref] = _Seen(entry.revision, _look_at(history, spec), last_at)
        return known.last_at


def _look_at(history: History, spec: Spec) -> datetime:
    """When this history asks to be looked at again, whatever the vault's listing says."""
    at_once = datetime.min.replace(tzinfo=UTC)
    versions = history.versions()
    if history.open_operation() is not None or not versions:
        return at_once
    latest, slot = next(iter(versions.items()))
    proven = history.proven_at(latest)
    if proven is None:
        return at_once
    publication = history.publication(latest)
    moments = [proven + CHECK_EVERY]
    if publication is not None and history.unretired(slot):
        moments.append(publication.at + timedelta(hours=spec.grace_hours))
    return min(moments)
