"""Where a story takes place: a vault, a ledger, a provider and a clock, around the app's own engine and rotators."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rotation.engine.engine import Engine, EngineDependencies
from rotation.errors import Unusable
from rotation.model import Admin, Endpoints, Secret, SecretRef, SecretValue
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.targets import parse_target
from rotation.policy.windows import Window
from rotation.ports import Rotator, RotatorDependencies
from rotation.rotators import ROTATORS
from rotation.spec import companion
from tests.fakes import FakeClock, Hook, InMemoryLedger, InMemoryVault
from tests.proof.simulation import planes
from tests.proof.simulation.planes import Tokens
from tests.proof.simulation.providers import ADMIN, Database, Provider, value

VAULT, NAME, ADMIN_SECRET = "kv", "orders", "pg-admin"
REF = SecretRef(VAULT, NAME)
STAGED = companion(NAME)
# How the stories' providers are made. A kind without one is told of in no story; the contract's crash suite kills it.
PROVIDERS: Mapping[str, Callable[[str, RotatorDependencies, random.Random], Provider]] = {
    "postgres": Database,
    "postgres-alternating": Database,
    "storage-key": lambda _name, services, rng: planes.StorageAccount(services, rng),
    "entra-app-secret": lambda _name, services, rng: planes.Directory(services, rng),
    "generated": lambda _name, services, rng: planes.Nobody(services, rng),
    "jwks": lambda _name, services, rng: planes.KeySets(services, rng),
}
KINDS = tuple(
    f"{name}{by}"
    for name, kind in ROTATORS.items()
    if name in PROVIDERS
    for by in (("", "+admin") if kind.logs_in else ("",))
)
_FIRST = ("postgres", "postgres-alternating", "storage-key", "entra-app-secret", "generated")
_FIRST_KINDS = tuple(kind for kind in KINDS if kind.partition("+")[0] in _FIRST)
_LATER_KINDS = tuple(kind for kind in KINDS if kind not in _FIRST_KINDS)
_LATER = 0.2  # of the stories of one secret, those of a kind that came later
THURSDAY = datetime(2026, 2, 5, 0, 0, tzinfo=UTC)


def kind_of(seed: int) -> str:
    """What a story of one secret is about. A kind that is added changes no story of the first ones, seed for seed."""
    rng = random.Random(f"kind {seed}")
    return rng.choice(_LATER_KINDS) if rng.random() < _LATER else _FIRST_KINDS[seed % len(_FIRST_KINDS)]


class SkewedClock(FakeClock):
    """The vault's own: it differs from ours by `offset`, and passes as ours does."""

    def __init__(self, ours: FakeClock, offset: timedelta) -> None:
        super().__init__()
        self._ours = ours
        self._offset = offset

    def now(self) -> datetime:
        return self._ours.now() + self._offset


class WatchedVault(InMemoryVault):
    """Tells when a staged value is disabled for the first time, and of each version once it is there."""

    def __init__(self, clock: FakeClock, seed: int, on_unstage: Callable[[Secret], None]) -> None:
        super().__init__(VAULT, clock, seed)
        self._on_unstage = on_unstage
        self.on_written: Callable[[Secret], None] = lambda _secret: None
        self._seen: set[str] = set()

    def _keep(self, secret: Secret) -> None:
        super()._keep(secret)
        self.on_written(secret)

    async def set_enabled(self, name: str, version: str, *, enabled: bool) -> None:
        if not enabled and name == STAGED and version not in self._seen:
            self._seen.add(version)
            self._on_unstage(self._find(name, version))
        await super().set_enabled(name, version, enabled=enabled)


@dataclass
class Also:
    """What some stories have besides. terms: of the rule. parts: of the engine. listeners: they have a hook, too."""

    terms: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    listeners: list[Any] = field(default_factory=list)


@dataclass
class Setting:
    """One secret of a kind in `KINDS`; offset: by how much the vault's clock is ahead of ours."""

    kind: str
    rng: random.Random
    offset: timedelta
    window: Window | None
    on_unstage: Callable[[Secret], None]
    also: Also = field(default_factory=Also)
    time: FakeClock = field(default_factory=lambda: FakeClock(THURSDAY - timedelta(days=30)))

    def __post_init__(self) -> None:
        self.rotator, _, by_admin = self.kind.partition("+")
        self.pairs: tuple[tuple[str, str], ...] = ()
        self.vault = WatchedVault(SkewedClock(self.time, self.offset), self.rng.getrandbits(32), self.on_unstage)
        self.ledger = InMemoryLedger(self.time)
        self.vaults = {VAULT: self.vault}
        services = RotatorDependencies(Tokens(), Endpoints(), self.time.now, self.time.sleep, self.rng)
        self.provider = self._provider(services)
        self.tags = {**self.provider.tags, "validity-days": "90", "grace-hours": "72", "team": "orders"}
        self.terms = RuleTerms(
            rule=1,
            slots=self.provider.slots,
            pairs=self.pairs,
            admin=Admin("secret", ADMIN_SECRET) if by_admin else None,
            min_interval=timedelta(),
            jitter_percent=0,
            window=self.window,
            **self.also.terms,
        )
        self._set_up(services)
        targets = tuple(parse_target(target) for target in self.provider.targets)
        self.deploy(Rule(tuple(self.vaults), ("orders*",), tuple(self.rotators), self.terms, targets))

    def deploy(self, *rules: Rule) -> None:
        """Another policy is deployed: it holds for runs that begin later."""
        self.policy = Policy(rules)
        self.dependencies = EngineDependencies(
            self.vaults, self.ledger, self.policy, self._built, self.time.clock, self.rng, **self.also.parts
        )
        self.engine = Engine(self.dependencies)

    def with_terms(self, rule: Rule, **terms: Any) -> Rule:
        """The same rule on other terms."""
        fields = {name: getattr(rule.terms, name) for name in type(rule.terms).__annotations__}
        kept = type(rule.terms)(**(fields | terms))
        return Rule(rule.vaults, rule.secrets, rule.rotators, kept, rule.targets)

    def _set_up(self, _services: RotatorDependencies) -> None:
        self.rotators = {self.rotator: self.provider.rotator}

    def _provider(self, services: RotatorDependencies) -> Provider:
        return PROVIDERS[self.rotator](self.rotator, services, self.rng)

    def _built(self, name: str) -> Rotator:
        if name not in self.rotators:
            raise Unusable(f"there is no rotator {name!a}", field="rotator")
        return self.rotators[name]

    async def start(self) -> None:
        """What the owner wrote, over a month; due on Thursday at midnight."""
        await self.vault.set(ADMIN_SECRET, value(ADMIN, f"{ADMIN}password"), tags={})
        for first in self.provider.first():
            await self.write(first)
            self.time.ahead(days=1)
        self.time.moment = THURSDAY
        await self.write(self.latest.value)

    async def write(self, new: SecretValue, tags: dict[str, str] | None = None) -> None:
        """By hand."""
        told = self.tags if tags is None else tags
        await self.vault.set(NAME, new, tags=told, expires_on=self.now + timedelta(days=10))

    @property
    def now(self) -> datetime:
        return self.time.now()

    @property
    def latest(self) -> Secret:
        return self.vault.latest(NAME)

    @property
    def versions(self) -> list[Secret]:
        """The oldest first."""
        return self.vault.all(NAME)

    @property
    def staged(self) -> list[Secret]:
        """The oldest first."""
        return self.vault.all(STAGED)

    def works(self, secret: Secret) -> bool:
        """Whether a consumer who reads this version gets in."""
        return self.provider.works(secret)

    def listen(self, hook: Hook) -> None:
        """Have every call of every part wait for `hook`."""
        self.ledger.hook = self.provider.hook = hook
        for one in (*self.vaults.values(), *self.also.listeners):
            one.hook = hook
