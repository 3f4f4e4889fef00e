"""What the sweep asks for: due secrets, open operations, daily checks, retirements and leftovers.

It only asks. Everything is decided again, under the lease, by the engine. Histories are read when they changed
since they were last read here, and a secret's value only when something is asked for, to name its version.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from rotation.errors import Disabled, NotFound, Unusable
from rotation.history import History
from rotation.model import RotationRequest, Secret, SecretItem, SecretRef, Spec
from rotation.policy import Policy
from rotation.ports import Ledger, LedgerEntry, Vault
from rotation.spec import due_at, effective_lead, is_companion, parse

CHECK_EVERY = timedelta(hours=24)
SKEW = timedelta(minutes=5)  # between the vault's clock and ours
TICK = timedelta(seconds=2)  # a vault's times are whole seconds: two writes may carry the same one
LAST_DAYS = timedelta(days=7)


class _Need(Enum):
    """NO: nothing to do. LOOK: perhaps somebody wrote a version by hand. ASK: the engine must see it."""

    NO = auto()
    LOOK = auto()
    ASK = auto()


@dataclass(slots=True)
class _Seen:
    """What one history says. sure_of: the listing's `updated_on` with which the latest version was seen to be ours."""

    revision: str
    look_at: datetime
    latest: str | None
    published_at: datetime
    sure_of: datetime | None = None


@dataclass(slots=True)
class Sweeper:
    """`seen` spares a warm instance from reading histories that did not change.

    expiring: of each vault, what the last sweep saw of managed secrets that end soon and are not rotated: within seven
    days, or within half of their lead where that is shorter; and those that have ended.
    """

    ledger: Ledger
    policy: Policy
    seen: dict[SecretRef, _Seen] = field(default_factory=dict)
    expiring: dict[str, list[SecretItem]] = field(default_factory=dict)

    async def requests(self, vault: Vault, now: datetime) -> AsyncIterator[RotationRequest]:
        """One request for each secret that may need something, pinned to its latest version."""
        entries = {entry.name: entry async for entry in self.ledger.entries(vault.name)}
        expiring = self.expiring[vault.name] = []
        async for item in vault.secrets():
            if is_companion(item.ref.name) or not item.enabled:
                continue
            if self._ends_soon(item, now):
                expiring.append(item)
            need = await self._need(item, entries.get(item.ref.name.lower()), now)
            if need is _Need.NO:
                continue
            try:
                latest = await vault.get(item.ref.name)
            except (Disabled, NotFound):
                continue
            if need is _Need.ASK or not self._is_ours(item, latest):
                yield RotationRequest(item.ref, latest.version, "sweep", "sweep")

    def _ends_soon(self, item: SecretItem, now: datetime) -> bool:
        if item.expires_on is None or now < item.expires_on - LAST_DAYS or not self.policy.covers(item.ref):
            return False
        try:
            spec = parse(item.tags)
        except Unusable:
            return True  # a wrong tag is what keeps it from being rotated
        return spec is not None and now >= item.expires_on - effective_lead(spec) / 2

    async def _need(self, item: SecretItem, entry: LedgerEntry | None, now: datetime) -> _Need:
        try:
            spec = parse(item.tags)
        except Unusable:
            return _Need.ASK  # the engine says what is wrong, and that is what the operator must see
        if entry is None:
            return _Need.ASK if spec is not None and self.policy.covers(item.ref) else _Need.NO
        if spec is None or entry.interrupted:
            return _Need.ASK
        known = await self._known(item.ref, entry, spec)
        due = item.expires_on is not None and now >= due_at(spec, item.expires_on, item.updated_on)
        if due or now >= known.look_at:
            return _Need.ASK
        # A listing names no version. Within the clocks' skew of our publication its times can't tell ours from another,
        # so that for a day, which is when the daily check takes over, the version itself is looked at, once.
        foreign = item.updated_on > known.published_at + SKEW or now < known.published_at + CHECK_EVERY
        return _Need.LOOK if foreign and known.sure_of != item.updated_on else _Need.NO

    def _is_ours(self, item: SecretItem, latest: Secret) -> bool:
        known = self.seen[item.ref]
        if latest.version != known.latest:
            return False
        if latest.read_at > item.updated_on + TICK:
            known.sure_of = item.updated_on
        return True

    async def _known(self, ref: SecretRef, entry: LedgerEntry, spec: Spec) -> _Seen:
        known = self.seen.get(ref)
        if known is None or known.revision != entry.revision:
            history = History(await self.ledger.read(ref))
            latest = next(iter(history.versions()), None)
            publication = history.publication(latest) if latest else None
            published_at = publication.at if publication else datetime.min.replace(tzinfo=UTC)
            known = self.seen[ref] = _Seen(entry.revision, _look_at(history, spec), latest, published_at)
        return known


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
