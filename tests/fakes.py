"""A vault, a ledger, a clock and providers in memory. They keep the ports' contracts, which the suites in
tests/contract hold them to together with the real ones.

`hook(when, call, name)` is awaited before and after each call takes effect: raising before is a refusal, raising after
is an answer that was lost, and either may stop the run as a kill would.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from rotation.errors import (
    Busy,
    Disabled,
    LeaseLost,
    MovedElsewhere,
    NotFound,
    Overtaken,
    Refused,
    Rejected,
    Unreachable,
    Unusable,
)
from rotation.ledger.bindings import Binding, Bindings, vault_folder
from rotation.ledger.records import Record
from rotation.model import (
    Applied,
    Credential,
    Draft,
    Job,
    Login,
    LoginSource,
    Proof,
    RequestedAccess,
    Secret,
    SecretItem,
    SecretRef,
    SecretValue,
    Spec,
    Version,
    Versions,
)
from rotation.ports import LEASE_S, Clock, LedgerEntry
from rotation.refresh_targets import RefreshOrder

Hook = Callable[[str, str, str], Awaitable[None]]
# Told of a write to a vault at the moment at which it takes effect: "set", "enable", "disable" or "set_tags"; the name
# of the secret; the version. Of "set" it is the one that the new one's tags say it was made from; blank: by a person.
Writing = Callable[[str, str, str], None]
TARGET = "db.example:5432"


def nobody_told(_call: str, _name: str, _version: str) -> None:
    return


async def no_hook(_when: str, _call: str, _name: str) -> None:
    return


class FakeClock:
    """Time that passes when a test says so."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.moment = start

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    def ahead(self, **by: float) -> None:
        self.moment += timedelta(**by)

    @property
    def clock(self) -> Clock:
        return Clock(self.now, self.monotonic)


class InMemoryVault:
    """Keeps `rotation.ports.Vault`. `calls` lists (call, secret's name)."""

    def __init__(self, name: str, clock: FakeClock, seed: int = 0) -> None:
        self.name = name
        self.calls: list[tuple[str, str]] = []
        self.rooms: list[int] = []
        self.hook: Hook = no_hook
        self.on_write: Writing = nobody_told
        self._clock = clock
        self._random = random.Random(seed)
        self._secrets: dict[str, list[Secret]] = {}
        self._updated: dict[str, datetime] = {}

    async def get(self, name: str, version: str | None = None) -> Secret:
        await self._called("get", name)
        secret = self._find(name, version)
        if not secret.enabled:
            raise Disabled(f"the secret {name} is disabled; enable its version", field="secret")
        await self.hook("after", "get", name)
        return replace(secret, read_at=self._clock.now())

    async def versions(self, name: str) -> Versions:
        await self._called("versions", name)
        newest_first = reversed(self._secrets.get(name.lower(), []))
        return Versions(
            tuple(Version(s.version, s.enabled, s.created_on, s.expires_on, s.tags) for s in newest_first),
            self._clock.now(),
        )

    async def secrets(self) -> AsyncIterator[SecretItem]:
        await self._called("list", "")
        for versions in list(self._secrets.values()):
            latest = versions[-1]
            created, updated = latest.created_on, self._updated.get(latest.version, latest.created_on)
            yield SecretItem(latest.ref, latest.enabled, latest.expires_on, updated, latest.tags, created)

    async def reserve_writes(self, creations: int) -> None:
        """There is always some, unless a test says otherwise."""
        self.rooms.append(creations)

    async def set(
        self,
        name: str,
        value: SecretValue,
        *,
        tags: Mapping[str, str],
        content_type: str | None = None,
        expires_on: datetime | None = None,
    ) -> Secret:
        await self._called("set", name)
        if len(tags) > 15 or any(len(text) > 256 for pair in tags.items() for text in pair):
            raise Refused("a vault takes 15 tags of 256 characters")
        self.on_write("set", name, tags.get("rotated-from", ""))
        now = self._clock.now()
        version = f"{self._random.getrandbits(128):032x}"
        ref = SecretRef(self.name, name)
        secret = Secret(ref, version, value, dict(tags), content_type, True, now, expires_on, now)
        self._keep(secret)
        await self.hook("after", "set", name)
        return secret

    def _keep(self, secret: Secret) -> None:
        self._secrets.setdefault(secret.ref.name.lower(), []).append(secret)

    async def set_enabled(self, name: str, version: str, *, enabled: bool) -> None:
        await self._called("set_enabled", name)
        self.on_write("enable" if enabled else "disable", name, version)
        self._replace(name, version, enabled=enabled)
        await self.hook("after", "set_enabled", name)

    async def set_tags(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        await self._called("set_tags", name)
        self.on_write("set_tags", name, version)
        self._replace(name, version, tags=dict(tags))
        await self.hook("after", "set_tags", name)

    def delete(self, name: str) -> None:
        """Behind the app's back, as a person does: from now on there is no such secret."""
        self._secrets.pop(name.lower(), None)

    def latest(self, name: str) -> Secret:
        """Behind the app's back."""
        return self._secrets[name.lower()][-1]

    def all(self, name: str) -> list[Secret]:
        """Behind the app's back: every version, oldest first."""
        return self._secrets.get(name.lower(), [])

    async def _called(self, call: str, name: str) -> None:
        self.calls.append((call, name))
        await self.hook("before", call, name)

    def _find(self, name: str, version: str | None) -> Secret:
        versions = self._secrets.get(name.lower(), [])
        found = versions[-1:] if version is None else [s for s in versions if s.version == version]
        if not found:
            raise NotFound(f"there is no secret {name} in {self.name}, or it is deleted", field="secret")
        return found[0]

    def _replace(self, name: str, version: str, **changes: object) -> None:
        secret = self._find(name, version)
        self._updated[version] = self._clock.now()
        versions = self._secrets[name.lower()]
        versions[versions.index(secret)] = replace(secret, **changes)  # type: ignore[arg-type]  # of Secret's own


@dataclass
class _History:
    records: list[Record] = field(default_factory=list)
    holder: object | None = None
    until: float = 0.0


class InMemoryLedger:
    """Keeps `rotation.ports.Ledger`."""

    def __init__(self, clock: FakeClock, lease_s: float = LEASE_S) -> None:
        self.hook: Hook = no_hook
        self.appends = 0  # calls, each of one record or of several
        self._clock = clock
        self._lease_s = lease_s
        self._histories: dict[SecretRef, _History] = {}
        self._bindings: dict[str, list[Binding]] = {}

    async def acquire(self, ref: SecretRef, *, create: bool) -> "InMemoryLease | None":
        await self.hook("before", "acquire", ref.name)
        asked = self._clock.monotonic()
        history = self._histories.get(_key(ref))
        if history is None:
            if not create:
                return None
            history = self._histories.setdefault(_key(ref), _History())
        if history.holder is not None and history.until > asked:
            raise Busy("another run works on this secret", retry_after_s=max(1, round(history.until - asked)))
        lease = InMemoryLease(self, history, self._clock, self._lease_s)
        history.holder, history.until = lease, asked + self._lease_s
        await self.hook("after", "acquire", ref.name)
        return lease

    async def read(self, ref: SecretRef) -> Sequence[Record]:
        history = self._histories.get(_key(ref))
        return tuple(history.records) if history else ()

    async def bindings(self, credential: str) -> Bindings:
        await self.hook("before", "bindings", credential)
        found = tuple(self._bindings.get(credential, ()))
        return Bindings(found, len(found))

    async def bind(self, credential: str, position: int, binding: Binding) -> None:
        await self.hook("before", "bind", credential)
        kept = self._bindings.setdefault(credential, [])
        if len(kept) != position:
            raise Overtaken("somebody else wrote a binding since")
        kept.append(binding)
        await self.hook("after", "bind", credential)

    def records(self, ref: SecretRef) -> Sequence[Record]:
        """Behind the app's back."""
        history = self._histories.get(_key(ref))
        return tuple(history.records) if history else ()

    def owners(self) -> dict[str, str]:
        """Behind the app's back: slot -> the secret that owns it."""
        return {kept[-1].slot: str(kept[-1].owner) for kept in self._bindings.values() if kept}

    async def entries(self, vault: str) -> AsyncIterator[LedgerEntry]:
        folder = vault_folder(vault)
        for ref, history in list(self._histories.items()):
            if ref.vault == folder:
                over = history.holder is not None and history.until <= self._clock.monotonic()
                yield LedgerEntry(ref.name, str(len(history.records)), over)


class InMemoryLease:
    """Keeps `rotation.ports.Lease`."""

    def __init__(self, ledger: InMemoryLedger, history: _History, clock: FakeClock, lease_s: float) -> None:
        self._ledger = ledger
        self._history = history
        self._clock = clock
        self._lease_s = lease_s
        self._until = clock.monotonic() + lease_s
        self._records = list(history.records)

    @property
    def records(self) -> Sequence[Record]:
        return self._records

    def remaining(self) -> float:
        return self._until - self._clock.monotonic()

    async def renew(self) -> None:
        self._still_ours()
        self._until = self._history.until = self._clock.monotonic() + self._lease_s

    async def append(self, *records: Record) -> None:
        for record in records:
            await self._ledger.hook("before", "append", record.step)
        self._still_ours()
        if self.remaining() <= 0:
            raise LeaseLost("the lease ran out")
        self._ledger.appends += 1
        self._history.records.extend(records)
        self._records.extend(records)
        for record in records:
            await self._ledger.hook("after", "append", record.step)

    async def release(self) -> None:
        await self._ledger.hook("before", "release", "")
        if self._history.holder is self:
            self._history.holder = None

    def _still_ours(self) -> None:
        if self._history.holder is not self:
            raise LeaseLost("another run took the lease")


def _key(ref: SecretRef) -> SecretRef:
    return SecretRef(vault_folder(ref.vault), ref.name.lower())


class FakeServer:
    """Which password each slot accepts; None: no login. `hook` as on the vault, with the slot as name."""

    def __init__(self, passwords: Mapping[str, str | None], admin: str | None = None) -> None:
        self.passwords = dict(passwords)
        self.admin = admin
        self.changes: list[str] = []
        self.down = False
        self.realm = "server:1"
        self.hook: Hook = no_hook
        self.on_change: Callable[[str], None] = lambda _slot: None

    def login(self, slot: str, password: str) -> None:
        if self.down:
            raise Unreachable("the server does not answer")
        if self.passwords.get(slot) != password:
            raise Rejected(f"{slot} was refused")

    async def change(self, slot: str, password: str | None) -> None:
        await self.hook("before", "change", slot)
        if self.down:
            raise Unreachable("the server does not answer")
        self.on_change(slot)
        self.passwords[slot] = password
        self.changes.append(slot)
        await self.hook("after", "change", slot)


class FakeRefreshTargets:
    """Keeps `rotation.refresh_targets.Refresher`, for all kinds. asked: each call that arrived. wrong: its answer.

    `hook` as on the vault, with the refresh target's name; an answer that is lost arrived all the same.
    """

    def __init__(self) -> None:
        self.asked: list[RefreshOrder] = []
        self.wrong: Exception | None = None
        self.hook: Hook = no_hook

    async def refresh(self, order: RefreshOrder) -> None:
        await self.hook("before", "refresh", order.refresh.name)
        if self.wrong is not None:
            raise self.wrong
        self.asked.append(order)
        await self.hook("after", "refresh", order.refresh.name)


def value(slot: str, password: str) -> SecretValue:
    """What consumers of the fake server read."""
    return SecretValue(f"{slot}:{password}")


def uri(slot: str, password: str) -> SecretValue:
    """The same login in a form that the app's own formats read."""
    return SecretValue(f"postgresql://{slot}:{password}@{TARGET}/orders")


def parts(text: SecretValue) -> tuple[str, str]:
    """-> (slot, password)."""
    if "://" in text.reveal():
        found = urlsplit(text.reveal())
        return found.username or "", found.password or ""
    slot, colon, password = text.reveal().partition(":")
    if not colon:
        raise Unusable("the value is not of the form slot:password", field="value")
    return slot, password


class FakeRotator:
    """Roles on a `FakeServer`, by `kind`: "in-place", "alternating", "two-keys", "overlapping" or "made-here"."""

    def __init__(self, server: FakeServer, kind: str, seed: int = 0) -> None:
        self.server = server
        self.kind = kind
        self.written = value  # in which form new values are
        self._random = random.Random(f"passwords {seed}")  # and no version's id begins like one
        self._serial = 0

    def _password(self) -> str:
        return f"{self._random.getrandbits(64):016x}"

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        slot, password = parts(secret.value)
        slots = {"in-place": (slot,), "alternating": spec.slots, "two-keys": ("key1", "key2")}.get(self.kind, ())
        if self.kind == "made-here":  # as `generated` does: a value from before has no name of its own
            slot = secret.version
        targets = () if self.kind == "made-here" else (TARGET,)
        return RequestedAccess(targets, slots, slot, form="plain", confidential=(SecretValue(password),))

    async def prove(self, job: Job) -> Proof:
        slot, password = parts(job.current.value)
        self.server.login(slot, password)
        return Proof(job.current.slot, None) if self.kind == "made-here" else Proof(slot, self.server.realm)

    async def realm(self, job: Job, slot: str) -> str | None:
        async for login in job.logins(slot):
            if login.source in {LoginSource.ADMIN_IDENTITY, LoginSource.ADMIN_SECRET}:
                self._log_in_as_admin(login.value)
                break
        return None if self.kind == "made-here" else self.server.realm

    def standby(self, job: Job, slot: str) -> SecretValue | None:
        parks = self.kind == "alternating" and job.admin is None
        return self.written(slot, self._password()) if parks else None

    def draft(self, job: Job) -> Draft:
        if self.kind == "overlapping":
            return Draft(None, None)
        if self.kind == "made-here":
            slot = job.operation_id
            return Draft(slot, self.written(slot, self._password()))
        slot = job.current.slot
        if self.kind != "in-place":
            slot = next(other for other in job.access.slots if other != job.current.slot)
        return Draft(slot, None if self.kind == "two-keys" else self.written(slot, self._password()))

    async def apply(self, job: Job, draft: Draft) -> Applied:
        if self.kind == "made-here":
            assert draft.value is not None
            assert draft.slot is not None
            # There is no server: that the value is known to it stands for a consumer's taking what the vault says.
            if self.server.passwords.get(draft.slot) != parts(draft.value)[1]:
                await self.server.change(draft.slot, parts(draft.value)[1])
            return Applied(Credential(draft.value, draft.slot))
        if self.kind in {"two-keys", "overlapping"}:
            if draft.value is not None and draft.slot is not None:
                return Applied(Credential(draft.value, draft.slot))
            self._serial += 1
            slot = draft.slot or f"k{self._serial}"
            made = self.written(slot, self._password())
            await self.server.change(slot, parts(made)[1])
            return Applied(Credential(made, slot))
        assert draft.value is not None
        assert draft.slot is not None
        if job.resumed:
            try:
                self.server.login(*parts(draft.value))
            except Rejected:
                pass
            else:
                return Applied(Credential(draft.value, draft.slot))
        login = await self._log_in_and_change(job, draft.slot, parts(draft.value)[1])
        return Applied(Credential(draft.value, draft.slot), login)

    async def verify(self, job: Job, credential: Credential) -> None:
        slot, password = parts(credential.value)
        if slot != credential.slot and self.kind != "made-here":
            raise Rejected("another slot's value")
        self.server.login(slot, password)

    async def retire(self, job: Job, slot: str) -> None:
        if self.kind == "made-here":
            return  # it ends by nothing but the disabling of the versions that hold it
        if job.standby is None:
            await self.server.change(slot, None)
            return
        new = parts(job.standby.value)[1]
        if self.server.passwords.get(slot) != new:
            await self._log_in_and_change(job, slot, new)

    def _log_in_as_admin(self, password: SecretValue | None) -> None:
        if password is None or password.reveal() != self.server.admin:
            raise Rejected("the administrator was refused")

    async def _log_in_and_change(self, job: Job, slot: str, new: str) -> Login:
        if job.realm is not None and job.realm != self.server.realm:
            raise MovedElsewhere("this is another server than the one that was proven")
        async for login in job.logins(slot):
            try:
                if login.source in {LoginSource.ADMIN_IDENTITY, LoginSource.ADMIN_SECRET}:
                    self._log_in_as_admin(login.value)
                else:
                    assert login.value is not None
                    self.server.login(*parts(login.value))
            except Rejected:
                continue
            await self.server.change(slot, new)
            return login
        raise Rejected("every login was refused: name an administrator in the policy, or write the working password")
