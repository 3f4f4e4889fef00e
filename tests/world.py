"""A small world around the engine: one vault, one server, one secret, and what a sceptic asks of them."""

import random
from datetime import datetime, timedelta

from rotation.engine.engine import Engine, EngineDependencies
from rotation.engine.reminders import NoReminders
from rotation.errors import Rejected, Unusable
from rotation.model import (
    Admin,
    Force,
    Outcome,
    Reason,
    RotationRequest,
    Secret,
    SecretRef,
    SecretValue,
)
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.targets import parse_target
from rotation.ports import Rotator
from rotation.readers import NoReaders, Readers
from rotation.spec import companion
from tests.fakes import (
    TARGET,
    FakeClock,
    FakeRefreshTargets,
    FakeRotator,
    FakeServer,
    InMemoryLedger,
    InMemoryVault,
    parts,
    value,
)
from tests.recorded import Recorded
from tests.timed_queue import TimedQueue

NAME = "orders-db"
REF = SecretRef("kv", NAME)
KINDS = ("in-place", "in-place+admin", "alternating", "alternating+admin", "two-keys", "overlapping", "made-here")
FIRST = {"in-place": "app", "alternating": "a", "two-keys": "key1", "overlapping": "k0", "made-here": "id0"}


class World:
    """Made for one kind of credential; "+admin" gives its policy an administrator."""

    def __init__(self, variant: str = "in-place") -> None:
        self.kind, _, admin = variant.partition("+")
        self.time = FakeClock()
        self.vault = InMemoryVault("kv", self.time)
        self.ledger = InMemoryLedger(self.time)
        self.queue: TimedQueue | None = None
        self.stopping = False
        self.readers: Readers = NoReaders()
        self.refresh_targets = FakeRefreshTargets()
        self.slot = FIRST[self.kind]
        passwords: dict[str, str | None] = {self.slot: "first"}
        if self.kind == "alternating":
            passwords["b"] = "other"
        if self.kind == "two-keys":
            passwords["key2"] = "other"
        self.server = FakeServer(passwords, admin="pw-of-the-administrator-27")
        self.rotator = FakeRotator(self.server, self.kind)
        self.terms = RuleTerms(
            rule=1,
            slots={"in-place": ("app",), "alternating": ("a", "b")}.get(self.kind, ()),
            admin=Admin("secret", "pg-admin") if admin else None,
            min_interval=timedelta(),
            jitter_percent=0,
        )
        self.tags = {"rotator": self.kind, "lead-days": "30", "validity-days": "90", "grace-hours": "72", "team": "x"}
        if self.kind == "alternating":
            self.tags["slots"] = "a,b"

    def allow(self, **terms: object) -> None:
        """Change terms of the rule."""
        fields = {name: getattr(self.terms, name) for name in RuleTerms.__annotations__}
        self.terms = RuleTerms(**(fields | terms))

    async def start(self) -> "World":
        """The owner's set-up: for roles in turn a version of the other role first, and an administrator's secret."""
        await self.vault.set("pg-admin", SecretValue("pw-of-the-administrator-27"), tags={})
        if self.kind == "alternating":
            await self.vault.set(NAME, value("b", "other"), tags={})
            self.time.ahead(days=30)
        await self.write(value(self.slot, "first"))
        return self

    async def write(self, new: SecretValue, tags: dict[str, str] | None = None) -> Secret:
        """By hand."""
        self.time.ahead(seconds=2)
        expires = self.time.now() + timedelta(days=10)
        return await self.vault.set(NAME, new, tags=self.tags if tags is None else tags, expires_on=expires)

    @property
    def policy(self) -> Policy:
        """One rule, on this world's terms."""
        rule = Rule(
            vaults=("kv",),
            secrets=("*",),
            rotators=(self.kind,),
            terms=self.terms,
            targets=(parse_target(TARGET),),
        )
        return Policy((rule,))

    @property
    def engine(self) -> Engine:
        return Engine(
            EngineDependencies(
                {"kv": self.vault}, self.ledger, self.policy, self._rotator, self.time.clock, random.Random(1),
                reminders=self.queue or NoReminders(), readers=self.readers, stopping=lambda: self.stopping,
                refresher=lambda kind: self.refresh_targets,
            )
        )  # fmt: skip

    def watch_records(self) -> Recorded:
        """From here on, whether each write to the vault and to the server is announced by a record."""
        recorded = Recorded(NAME, lambda: self.ledger.records(REF))
        self.vault.on_write, self.server.on_change = recorded.written, recorded.changed
        return recorded

    def _rotator(self, name: str) -> Rotator:
        if name != self.kind:
            raise Unusable(f"there is no rotator {name}", field="rotator")
        return self.rotator

    async def ask(
        self,
        reason: str = "near-expiry",
        *,
        version: str | None = "latest",
        force: Force = Force.NO,
        demanded: bool = False,
        early: bool = False,
        restore_tags: bool = False,
    ) -> Outcome:
        """One request, pinned to the latest version unless told otherwise."""
        if version == "latest":
            version = self.vault.latest(NAME).version
        return await self.engine.handle(
            RotationRequest(REF, version, Reason(reason), "test", force, early, demanded, restore_tags)
        )

    def works(self, secret: Secret) -> bool:
        """Whether a consumer who reads this version gets in."""
        try:
            self.server.login(*parts(secret.value))
        except Rejected:
            return False
        return True

    @property
    def latest(self) -> Secret:
        return self.vault.latest(NAME)

    def staged_enabled(self) -> list[Secret]:
        """Staged values that could still be read. What a killed run left unnamed was never applied: it is no login."""
        named = {record.staged_version for record in self.ledger.records(REF)}
        return [one for one in self.vault.all(companion(NAME)) if one.enabled and one.version in named]

    @property
    def now(self) -> datetime:
        return self.time.now()
