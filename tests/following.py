"""A world with followers: one in the same vault, one in another, and in one role's case a bare password."""

import random

from rotation.engine.engine import Engine, EngineDependencies
from rotation.engine.followers import Followers
from rotation.engine.reminders import NoReminders
from rotation.engine.sweep import Sweeper
from rotation.errors import Rejected
from rotation.formats import read
from rotation.model import Force, Outcome, Reason, RotationRequest, Secret, SecretRef, SecretValue
from rotation.policy import Policy, Rule
from rotation.policy.targets import parse_target
from rotation.ports import Vault
from tests.fakes import TARGET, Hook, InMemoryVault, uri
from tests.world import NAME, REF, World

URL, ELSEWHERE, BARE = SecretRef("kv", "orders-url"), SecretRef("kv-b", "orders-db"), SecretRef("kv", "orders-pw")
FOLLOWS = {"follows": "kv/orders-db", "team": "y"}


def keywords(slot: str, password: str) -> SecretValue:
    host, _, port = TARGET.partition(":")
    return SecretValue(f"host={host} port={port} dbname=reports user={slot} password={password} application_name=app2")


class FollowedWorld(World):
    """`refs` are the followers."""

    def __init__(self, variant: str = "in-place") -> None:
        super().__init__(variant)
        self.rotator.written = uri
        self.second = InMemoryVault("kv-b", self.time, 1)
        self.vaults: dict[str, Vault] = {"kv": self.vault, "kv-b": self.second}
        self.refs = (URL, ELSEWHERE, BARE) if self.kind == "in-place" else (URL, ELSEWHERE)
        self.allow(followers=tuple(map(str, self.refs)))

    async def start(self) -> "FollowedWorld":
        await self.vault.set("pg-admin", SecretValue("pw-of-the-administrator-27"), tags={})
        if self.kind == "alternating":
            await self.vault.set(NAME, uri("b", "other"), tags={})
            self.time.ahead(days=30)
        await self.write(uri(self.slot, "firstpassword"))
        self.server.passwords[self.slot] = "firstpassword"
        for ref in self.refs:
            await self.put(ref, self.in_form(ref, self.slot, "firstpassword"))
        self.time.ahead(seconds=2)
        return self

    @staticmethod
    def in_form(ref: SecretRef, slot: str, password: str) -> SecretValue:
        return {URL: keywords(slot, password), BARE: SecretValue(password)}.get(ref, uri(slot, password))

    def vault_of(self, ref: SecretRef) -> InMemoryVault:
        return self.second if ref.vault == "kv-b" else self.vault

    async def put(self, ref: SecretRef, new: SecretValue, tags: dict[str, str] | None = None) -> Secret:
        """By hand."""
        return await self.vault_of(ref).set(ref.name, new, tags=FOLLOWS if tags is None else tags, content_type="text")

    def of(self, ref: SecretRef) -> Secret:
        return self.vault_of(ref).latest(ref.name)

    def login_of(self, ref: SecretRef) -> tuple[str, str]:
        found = read(self.of(ref).value)
        return found.user or self.slot, found.password.reveal()

    def lets_in(self, ref: SecretRef) -> bool:
        """Whether a reader of a follower gets in."""
        try:
            self.server.login(*self.login_of(ref))
        except Rejected:
            return False
        return True

    def all_let_in(self) -> bool:
        return self.works(self.latest) and all(self.lets_in(ref) for ref in self.refs)

    @property
    def policy(self) -> Policy:
        rule = Rule(("kv",), (NAME,), (self.kind,), self.terms, (parse_target(TARGET),))
        return Policy((rule,))

    @property
    def parts(self) -> EngineDependencies:
        return EngineDependencies(
            self.vaults, self.ledger, self.policy, self._rotator, self.time.clock, random.Random(1),
            reminders=self.queue or NoReminders(), stopping=lambda: self.stopping,
            refresher=lambda kind: self.refresh_targets,
        )  # fmt: skip

    @property
    def engine(self) -> Engine:
        return Engine(self.parts)

    def listen(self, hook: Hook) -> None:
        self.vault.hook = self.second.hook = self.ledger.hook = self.server.hook = hook

    async def rotate(self, force: Force = Force.NO) -> Outcome:
        """An operator's call."""
        return await self.engine.handle(RotationRequest(REF, None, Reason.OPERATOR, "ops", force, demanded=True))

    async def sweep(self) -> list[RotationRequest]:
        """What a cold instance asks for, of both vaults."""
        sweeper = Sweeper(self.ledger, self.policy, followers=Followers(self.parts))
        return [one for vault in self.vaults.values() async for one in sweeper.requests(vault, self.now)]

    async def swept(self) -> list[Outcome]:
        """And what becomes of it."""
        return [await self.engine.handle(request) for request in await self.sweep()]
