"""A rotation by the app's own engine and a real rotator, killed at each call to vault, ledger or rotator in turn.

`tests/crash` kills at each moment inside a provider that is made for it. Here the provider is the harness's, whatever
it is: so a new kind is killed without a line of its own.
"""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotation.engine.engine import Engine, EngineDependencies
from rotation.ledger.records import Step
from rotation.model import Outcome, Reason, RotationRequest, Secret, SecretRef
from rotation.policy import ANY_SLOT, Policy, Rule, RuleTerms
from rotation.policy.targets import parse_target
from rotation.spec import companion
from tests.contract.harness import Harness
from tests.fakes import FakeClock, InMemoryLedger, InMemoryVault, no_hook
from tests.killer import Killed, Killer

REF = SecretRef("kv", "killed")
CHANGES = ("apply", "prove", "realm", "verify", "retire")


class Watched:
    """A rotator whose calls wait for a hook before and after."""

    def __init__(self, rotator: Any) -> None:
        self.hook: Callable[[str, str, str], Awaitable[None]] = no_hook
        self._rotator = rotator

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._rotator, name)
        if name not in CHANGES:
            return found

        async def called(*given: Any) -> Any:
            await self.hook("before", name, "")
            done = await found(*given)
            await self.hook("after", name, "")
            return done

        return called


class World:
    """One secret with the harness's fresh credential, due, and an engine around it."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.time = FakeClock(datetime.now(UTC))  # rotators that ask their provider go by the real time
        self.vault = InMemoryVault(REF.vault, self.time)
        self.ledger = InMemoryLedger(self.time)
        self.rotator: Any = Watched(harness.rotator)

    async def start(self) -> "World":
        spec, secret = await self.harness.fresh()
        access = self.harness.rotator.requested_access(spec, secret)
        admin = self.harness.admin
        if admin is not None and admin.secret is not None and self.harness.admin_login is not None:
            assert self.harness.admin_login.value is not None
            await self.vault.set(admin.secret, self.harness.admin_login.value, tags={})
        tags = {"rotator": spec.rotator, "target": spec.target, "slots": ",".join(spec.slots), "format": spec.format}
        asked = {name: text for name, text in tags.items() if text}
        for earlier in self.harness.earlier:
            await self.vault.set(REF.name, earlier.value, tags=asked)
            self.time.ahead(days=1)
        await self.vault.set(REF.name, secret.value, tags=asked, expires_on=self.time.now() + timedelta(days=10))
        slots = access.listed or access.slots or (ANY_SLOT,)
        terms = RuleTerms(
            rule=1, slots=slots, admin=admin, min_interval=timedelta(), jitter_percent=0,
            tls=self.harness.tls,
        )  # fmt: skip
        targets = tuple(parse_target(target) for target in access.targets)
        policy = Policy((Rule((REF.vault,), ("*",), (spec.rotator,), terms, targets),))
        parts = EngineDependencies(
            {REF.vault: self.vault}, self.ledger, policy, lambda _name: self.rotator, self.time.clock, random.Random(1)
        )
        self.engine = Engine(parts)
        return self

    def listen(self, hook: Callable[[str, str, str], Awaitable[None]]) -> None:
        self.vault.hook = self.ledger.hook = self.rotator.hook = hook

    async def ask(self, reason: Reason = Reason.NEAR_EXPIRY) -> Outcome:
        return await self.engine.handle(RotationRequest(REF, self.latest.version, reason, "test"))

    @property
    def latest(self) -> Secret:
        return self.vault.latest(REF.name)


class CrashSuite:
    """Inherited by a test class with a fixture `harness`."""

    async def test_a_rotation_killed_at_any_call_is_finished_by_the_next_look(self, harness: Harness) -> None:
        counted = await World(harness).start()
        counter = Killer(at=0)
        counted.listen(counter)
        assert (await counted.ask()).result.value == "rotated"
        assert counter.count > 10
        for at in range(1, counter.count + 1):
            await self._killed(harness, at)

    async def _killed(self, harness: Harness, at: int) -> None:
        world = await World(harness).start()
        first = world.latest
        world.listen(Killer(at))
        with pytest.raises(Killed):
            await world.ask()
        world.listen(no_hook)
        for _ in range(3):
            world.time.ahead(seconds=61)
            await world.ask(Reason.SWEEP)
        await harness.settle()
        rotated = [record for record in await world.ledger.read(REF) if record.step is Step.ROTATED]
        assert world.latest.version != first.version, f"killed at {at}: never rotated"
        assert [record.version for record in rotated] == [world.latest.version], f"killed at {at}: taken for another's"
        assert await harness.works(world.latest.value, rotated[-1].slot or ""), f"killed at {at}: no consumer gets in"
        named = {record.staged_version for record in world.ledger.records(REF)}
        staged = [one for one in world.vault.all(companion(REF.name)) if one.enabled and one.version in named]
        assert not staged, f"killed at {at}: a staged value stays readable"
