"""What the sweep asks for: due secrets, open operations, daily checks, retirements and leftovers.

It only asks. `_need` picks what may need something, `rotation.engine.decision` decides whether to ask (there
`deferral_of` says when a secret is due), and the engine decides again under the lease. Histories are read when
they changed since they were last read here, and a secret's value only when something is asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from struct import Struct
from typing import NamedTuple, Self

from rotation.engine.decision import next_look, sweep_asks
from rotation.engine.followers import Followers
from rotation.engine.ownership import read_bindings
from rotation.errors import Denied, Disabled, NotFound, Redactor, RotationError, Unusable
from rotation.ledger.bindings import owned_by
from rotation.ledger.history import History
from rotation.model import Reason, RequestedAccess, RotationRequest, Secret, SecretItem, SecretRef, Spec
from rotation.policy import Policy, RuleTerms
from rotation.ports import Ledger, LedgerEntry, Vault
from rotation.side_by_side import side_by_side
from rotation.spec import due_at, effective_lead, is_companion, leader_of, parse

MAX_CONCURRENT = 8  # histories and values read side by side, of one vault
YOUNG = timedelta(hours=24)
SKEW = timedelta(minutes=5)  # between the vault's clock and ours
TICK = timedelta(seconds=2)  # a vault's times are whole seconds: two writes may carry the same one
LAST_DAYS = timedelta(days=7)


class _Need(Enum):
    """What a listing and the memory say of one secret."""

    NO = auto()  # nothing to do
    READ = auto()  # the history changed
    LOOK = auto()  # perhaps somebody wrote a version, or other tags, by hand
    DECIDE = auto()  # it is time
    ASK = auto()  # whatever the history says


class _Seen(NamedTuple):
    """What one history says. There is one for each of perhaps 100,000 secrets, so that they are kept packed.

    revision, latest: hashes, as they are compared with their like alone. Times are seconds since the epoch; look_at
    is far away where nothing but the due date will ask. sure_of:
    the listing's `updated_on` with which the latest version was seen to be ours; 0 where none was.
    """

    revision: int
    look_at: float
    latest: int
    published_at: float
    sure_of: float = 0.0

    def packed(self) -> bytes:
        """A third of the memory that the fields take as objects."""
        return _FIELDS.pack(*self)

    @classmethod
    def unpacked(cls, data: bytes) -> Self:
        return cls(*_FIELDS.unpack(data))


_FIELDS = Struct("qdqdd")


@dataclass(slots=True)
class Sweeper:
    """`seen`, by vault and name, spares a warm instance from reading histories that did not change.

    expiring: of each vault, what the last sweep saw of managed secrets that end soon and are not rotated: within seven
    days, or within half of their lead where that is shorter; and those that have ended.
    unbound: of each vault, what the last sweep saw that a package before rotated, which knew no owners.
    followers: reads those of leaders; None: nobody looks at them.
    """

    ledger: Ledger
    policy: Policy
    seen: dict[str, dict[str, bytes]] = field(default_factory=dict)
    unbound: dict[str, list[SecretRef]] = field(default_factory=dict)
    expiring: dict[str, list[SecretItem]] = field(default_factory=dict)
    followers: Followers | None = None

    async def requests(self, vault: Vault, now: datetime) -> AsyncIterator[RotationRequest]:
        """One request for each secret that may need something, pinned to its latest version."""
        entries = {entry.name: entry async for entry in self.ledger.entries(vault.name)}
        self.expiring[vault.name] = []
        self.unbound[vault.name] = []
        seen = self.seen.setdefault(vault.name, {})
        for name in seen.keys() - entries.keys():
            del seen[name]
        failed: list[RotationError] = []

        async def asked(one: tuple[SecretItem, LedgerEntry | None]) -> RotationRequest | None:
            try:
                return await self._request_for(vault, *one, now)
            except RotationError as error:
                failed.append(error)  # what is read beside it is asked for all the same; nothing more is begun
                return None

        async for _, request in side_by_side(asked, self._open_ones(vault, entries, failed, now), MAX_CONCURRENT):
            if request is not None:
                yield request
        if failed:
            raise failed[0]

    async def _open_ones(
        self, vault: Vault, entries: Mapping[str, LedgerEntry], failed: Sequence[RotationError], now: datetime
    ) -> AsyncIterator[tuple[SecretItem, LedgerEntry | None]]:
        """What may need something, with what the ledger's listing says of it; until something has failed."""
        async for item in vault.secrets():
            if failed:
                return
            if not item.enabled or is_companion(item.ref.name):
                continue
            if self._ends_soon(item, now):
                self.expiring[vault.name].append(item)
            entry = entries.get(item.ref.name.lower())
            if self._need(item, entry, now) is not _Need.NO or self._leads(item, entry):
                yield item, entry

    def _leads(self, item: SecretItem, entry: LedgerEntry | None) -> bool:
        return self.followers is not None and entry is not None and bool(self.policy.followers_of(item.ref))

    async def _request_for(
        self, vault: Vault, item: SecretItem, entry: LedgerEntry | None, now: datetime
    ) -> RotationRequest | None:
        request = await self._request(vault, item, entry, now)
        if request is not None or self.followers is None or not self._leads(item, entry):
            return request
        try:
            latest = await vault.get(item.ref.name)
            history = History(await self.ledger.read(item.ref))
            followed = await self.followers.look(latest, history, Redactor())
        except (Denied, Disabled, NotFound, Unusable):
            return None  # the leader's own: its run says so when it is due
        # What may pass by itself needs nobody who hears of it.
        wrong = [one for one, _ in followed.objections() if not one.passes]
        asks = bool(followed.behind() or wrong)
        return RotationRequest(item.ref, latest.version, Reason.SWEEP, "sweep") if asks else None

    async def _request(
        self, vault: Vault, item: SecretItem, entry: LedgerEntry | None, now: datetime
    ) -> RotationRequest | None:
        need = self._need(item, entry, now)
        history = None
        if need is _Need.READ and entry is not None:
            history = await self._read(item, entry)
            if history.versions() and history.asked() is None:
                self.unbound[item.ref.vault].append(item.ref)
            need = self._need(item, entry, now)
        if need is _Need.NO:
            return None
        try:
            latest = await vault.get(item.ref.name)
        except (Disabled, NotFound):
            return None
        request = RotationRequest(item.ref, latest.version, Reason.SWEEP, "sweep")
        if need is _Need.ASK or entry is None:
            return request
        seen, name = self.seen[item.ref.vault], item.ref.name.lower()
        known = _Seen.unpacked(seen[name])
        ours = hash(latest.version) == known.latest
        if not ours or need is _Need.DECIDE or _is_later(item, known):
            history = history or await self._read(item, entry)  # by the tags of now
            if await self._asks(request, latest, history, now):
                return request
        if ours and latest.read_at > item.updated_on + TICK:
            seen[name] = _Seen.unpacked(seen[name])._replace(sure_of=item.updated_on.timestamp()).packed()
        return None

    async def _asks(self, request: RotationRequest, latest: Secret, history: History, now: datetime) -> bool:
        try:
            spec = parse(latest.tags)
        except Unusable:
            return True
        terms, asked = self._terms(request.ref, history, spec), history.asked()
        ours = None
        if asked is not None and not asked.slots:
            # Of slots that a provider assigned, another secret may have taken an old one over.
            slot = history.versions().get(latest.version, "")
            slots = {slot, *history.unretired(slot)} - {""}
            bound = await read_bindings(self.ledger, asked, slots) if len(slots) > 1 else {}
            ours = owned_by(request.ref, bound) if bound else None
        return sweep_asks(request, latest, spec, terms, history, now, ours)

    def _ends_soon(self, item: SecretItem, now: datetime) -> bool:
        if item.expires_on is None or now < item.expires_on - LAST_DAYS or not self.policy.covers(item.ref):
            return False
        try:
            spec = parse(item.tags)
        except Unusable:
            return True  # a wrong tag is what keeps it from being rotated
        return spec is not None and now >= item.expires_on - effective_lead(spec) / 2

    def _need(self, item: SecretItem, entry: LedgerEntry | None, now: datetime) -> _Need:
        try:
            spec = parse(item.tags)
        except Unusable:
            return _Need.ASK  # the engine says what is wrong, and that is what the operator must see
        if (spec is None or entry is None) and not self.policy.covers(item.ref):
            return _Need.NO  # none of our business
        follows = spec is None and _asks_to_follow(item)  # which no leader may, and the engine says so
        if entry is None or entry.interrupted or follows:
            return _Need.NO if entry is None and spec is None and not follows else _Need.ASK
        packed = self.seen[item.ref.vault].get(entry.name)
        known = _Seen.unpacked(packed) if packed else None
        if known is None or known.revision != hash(entry.revision):
            return _Need.READ
        due = spec is not None and now >= due_at(spec, item.expires_on, item.created_on or item.updated_on)
        if due or now.timestamp() >= known.look_at:
            return _Need.DECIDE
        # Whether tags were lost or taken off, the version tells; no daily check would find it out.
        unsure = known.sure_of != item.updated_on.timestamp() and (spec is None or _may_be_external(item, known, now))
        return _Need.LOOK if unsure else _Need.NO

    def _terms(self, ref: SecretRef, history: History, spec: Spec | None) -> RuleTerms | None:
        """The rule's terms for what was proven last; None: it is permitted no longer."""
        asked = history.asked()
        if asked is None or spec is None:
            return None
        try:
            access = RequestedAccess(asked.targets, asked.slots, None, listed=asked.listed)
            return self.policy.terms_for(ref, spec, access)
        except Denied:
            return None

    async def _read(self, item: SecretItem, entry: LedgerEntry) -> History:
        spec = parse(item.tags)
        history = History(await self.ledger.read(item.ref))
        latest = next(iter(history.versions()), None)
        publication = history.publication(latest) if latest else None
        published_at = publication.at.timestamp() if publication else 0.0
        look_at = next_look(history, spec, self._terms(item.ref, history, spec)).timestamp()
        known = _Seen(hash(entry.revision), look_at, hash(latest), published_at)
        self.seen[item.ref.vault][entry.name] = known.packed()
        return history


def _asks_to_follow(item: SecretItem) -> bool:
    try:
        return leader_of(item.tags) is not None
    except Unusable:
        return True


def _is_later(item: SecretItem, known: _Seen) -> bool:
    """Whether somebody wrote a version, or other tags, since ours."""
    return item.updated_on.timestamp() > known.published_at + SKEW.total_seconds()


def _may_be_external(item: SecretItem, known: _Seen, now: datetime) -> bool:
    """A listing names no version. Within the clocks' skew of our publication its times can't tell ours from another.

    So for a day the version itself is looked at, once.
    """
    young = now.timestamp() < known.published_at + YOUNG.total_seconds()
    return _is_later(item, known) or young
