"""Where two secrets live side by side: in one vault or in two, over the same provider. See `setting.Setting`."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotation.errors import Overtaken
from rotation.ledger.bindings import Binding
from rotation.ledger.records import Step
from rotation.model import Adopt, RotationRequest, Secret, SecretRef, SecretValue
from rotation.ports import RotatorDependencies
from rotation.rotators import ROTATORS
from rotation.spec import companion
from tests.fakes import FakeClock, InMemoryLease, InMemoryLedger
from tests.proof.simulation.planes import Directory
from tests.proof.simulation.providers import ADMIN, Database, value
from tests.proof.simulation.setting import ADMIN_SECRET, NAME, REF, VAULT, Setting, SkewedClock, WatchedVault

SECOND_VAULT = "kv-b"
NEIGHBOURS = (SecretRef(VAULT, "orders-two"), SecretRef(SECOND_VAULT, NAME))
PAIRS = (("a", "b"), ("c", "d"))
KINDS = (
    "postgres", "postgres+admin", "postgres-alternating", "postgres-alternating+admin",
    "postgres-alternating+admin", "storage-key", "entra-app-secret",
)  # fmt: skip


@dataclass
class Asking:
    """One request at work. began: when it was asked for. proven: the roles that were let in meanwhile."""

    request: RotationRequest
    began: datetime
    proven: set[str] = field(default_factory=set)

    @property
    def ref(self) -> SecretRef:
        return self.request.ref

    @property
    def by_an_operator(self) -> bool:
        """Whether he gives the secret its credential."""
        return self.request.adopt is not Adopt.NO


asking: ContextVar[Asking | None] = ContextVar("asking", default=None)


class WatchedLedger(InMemoryLedger):
    """Knows who took a lease, and tells of a binding at the moment when it is written, with the owner before."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.leased_by: dict[object, Asking | None] = {}
        self.on_bind: Callable[[Binding, SecretRef | None], None] = lambda _binding, _owner: None

    async def acquire(self, ref: SecretRef, *, create: bool) -> InMemoryLease | None:
        lease = await super().acquire(ref, create=create)
        if lease is not None:
            self.leased_by[lease] = asking.get()
        return lease

    async def bind(self, credential: str, position: int, binding: Binding) -> None:
        await self.hook("before", "bind", credential)
        kept = self._bindings.setdefault(credential, [])
        if len(kept) != position:
            raise Overtaken("somebody else wrote a binding since")
        self.on_bind(binding, kept[-1].owner if kept else None)
        kept.append(binding)
        await self.hook("after", "bind", credential)

    def holder(self, ref: SecretRef) -> Asking | None:
        """The request that holds a secret's lease now."""
        history = self._histories.get(ref)
        if history is None or history.holder is None or history.until <= self._clock.monotonic():
            return None
        return self.leased_by.get(history.holder)

    def forget_what_is_new(self) -> None:
        """As if the package before had written it all."""
        self._bindings.clear()
        for history in self._histories.values():
            old = [
                replace(one, asked=None, grace_hours=None, given_up=None, about_to=None)
                for one in history.records
                if not one.announces
            ]
            history.records[:] = [replace(one, tags=None) if one.step is Step.APPLYING else one for one in old]

    def in_order(self) -> list[Binding]:
        """All bindings."""
        return sorted((one for kept in self._bindings.values() for one in kept), key=lambda one: one.at)


class Street(Setting):
    """other: the second secret. written_by: versions -> the request whose run wrote them, killed meanwhile or not."""

    other: SecretRef

    def _set_up(self, services: RotatorDependencies) -> None:
        self.other = self.rng.choice(NEIGHBOURS)
        self.ledger: WatchedLedger = WatchedLedger(self.time)
        clock = SkewedClock(self.time, self.offset)
        self.written_by: dict[str, Asking] = {}
        second = WatchedVault(clock, self.rng.getrandbits(32), self.on_unstage)
        second.name = SECOND_VAULT
        self.vaults = {VAULT: self.vault, SECOND_VAULT: second}
        self.vault.on_written = second.on_written = self._written
        self.rotators = {self.rotator: self.provider.rotator}
        if isinstance(self.provider, Database):
            self.rotators = {name: ROTATORS[name].build(services) for name in ("postgres", "postgres-alternating")}
            self.provider.slots = tuple(role for pair in PAIRS for role in pair)
            self.provider.passwords = {role: f"first{role}" for role in self.provider.slots}
            fields = {name: getattr(self.terms, name) for name in type(self.terms).__annotations__}
            self.terms = type(self.terms)(**(fields | {"slots": self.provider.slots, "pairs": PAIRS}))
            if self.rotator == "postgres":
                self.tags |= {"slots": "a"}
        if isinstance(self.provider, Directory):
            self.provider.add_others()

    async def start(self) -> None:
        """With an administrator's secret in either vault."""
        await super().start()
        await self.vaults[SECOND_VAULT].set(ADMIN_SECRET, value(ADMIN, f"{ADMIN}password"), tags={})

    def _written(self, secret: Secret) -> None:
        if (who := asking.get()) is not None:
            self.written_by[secret.version] = who

    @property
    def refs(self) -> tuple[SecretRef, SecretRef]:
        return REF, self.other

    def pairs_of(self) -> tuple[tuple[str, str], ...]:
        """Slots that are asked for together."""
        return PAIRS if isinstance(self.provider, Database) else (("key1", "key2"),)

    def exists(self, ref: SecretRef) -> bool:
        return bool(self.all(ref))

    def all(self, ref: SecretRef) -> list[Secret]:
        """Every version, the oldest first."""
        return self.vaults[ref.vault].all(ref.name)

    def all_staged(self, ref: SecretRef) -> list[Secret]:
        return self.vaults[ref.vault].all(companion(ref.name))

    async def write_to(self, ref: SecretRef, new: SecretValue, tags: dict[str, str]) -> None:
        """By hand."""
        expires = self.now + timedelta(days=10)
        await self.vaults[ref.vault].set(ref.name, new, tags=tags, expires_on=expires)

    def of_role(self, role: str) -> SecretValue:
        """The working value of a role, where it has a password."""
        assert isinstance(self.provider, Database)
        return value(role, self.provider.passwords[role] or "none")

    def owner(self, slot: str) -> SecretRef | None:
        """Whose a slot is where the provider is now."""
        realm = f"postgresql:{self.provider.realm}" if isinstance(self.provider, Database) else None
        found = [one for one in self.ledger.in_order() if one.slot == slot and realm in {None, one.realm}]
        return found[-1].owner if found else None
