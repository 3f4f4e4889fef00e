"""One story: a world, up to four engines, faults, an owner who acts by hand, and what must hold in the end."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotation.errors import RotationError, Unreachable
from rotation.model import Credential, Force, Job, Result, RotationRequest, Secret, SecretValue
from rotation.records import Record, Step
from rotation.spec import companion
from rotation.sweeper import Sweeper
from rotation.windows import parse_window
from tests.fakes import FakeClock, FakeRotator, FakeServer, InMemoryVault, parts, value
from tests.simulation.scheduler import Plan, Scheduler
from tests.world import KINDS, NAME, REF, World

GRACE = timedelta(hours=72)
ACTS = ("garbage", "older", "password", "password-and-write", "no-tags", "plant", "credential-of-others")
# After these a consumer may fail for a while, whatever we do: what the owner wrote may be what is being changed.
BREAKING = frozenset({"garbage", "older", "password", "password-and-write"})


class Violation(BaseException):
    """A promise was broken. The engine turns every `Exception` into an error of its own; this one gets out."""


class SkewedClock(FakeClock):
    """The vault's own: it differs from ours by `offset`, and passes as ours does."""

    def __init__(self, ours: FakeClock, offset: timedelta) -> None:
        super().__init__()
        self._ours = ours
        self._offset = offset

    def now(self) -> datetime:
        return self._ours.now() + self._offset


class WatchedServer(FakeServer):
    """Tells when a password is set that holds already: each ALTER salts anew, and breaks poolers."""

    def __init__(self, passwords: dict[str, str | None], admin: str | None) -> None:
        super().__init__(passwords, admin)
        self.repeated: list[str] = []
        self.counts = True  # what is made here is changed nowhere

    async def change(self, slot: str, password: str | None) -> None:
        await self.hook("before", "change", slot)
        if self.down:
            raise Unreachable("the server does not answer")
        if self.counts and password is not None and self.passwords.get(slot) == password:
            self.repeated.append(slot)
        self.passwords[slot] = password
        self.changes.append(slot)
        await self.hook("after", "change", slot)


class SteppedRotator(FakeRotator):
    """Each login is a step that can be interleaved, and fail."""

    async def verify(self, job: Job, credential: Credential) -> None:
        await self.server.hook("before", "login", credential.slot)
        await super().verify(job, credential)
        await self.server.hook("after", "login", credential.slot)


class WatchedVault(InMemoryVault):
    """Tells when a staged value is disabled for the first time."""

    def __init__(self, name: str, clock: FakeClock, on_unstage: Callable[[Secret], None]) -> None:
        super().__init__(name, clock)
        self._on_unstage = on_unstage
        self._seen: set[str] = set()

    async def set_enabled(self, name: str, version: str, *, enabled: bool) -> None:
        if not enabled and name == companion(NAME) and version not in self._seen:
            self._seen.add(version)
            self._on_unstage(self._find(name, version))
        await super().set_enabled(name, version, enabled=enabled)


@dataclass
class Story:
    """`told` is what happened, step by step, for whoever reads a seed that failed."""

    seed: int
    told: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Raises Violation."""
        await self._set_up()
        for number in range(self.random.randint(1, 4)):
            self._add_engine(number)
        if self.act:
            self.scheduler.add(f"owner: {self.act}", self.random.uniform(0, 60), self._by_hand)
        await self.scheduler.run()
        self.told += self.scheduler.log
        await self._settle()
        self._check_end()
        await self._check_goes_on()

    # the beginning

    async def _set_up(self) -> None:
        self.random = random.Random(self.seed)
        variant = KINDS[self.seed % len(KINDS)]
        world = self.world = World(variant)
        self.offset = timedelta(hours=self.random.choice((0, 0, 0, -3, 3)))
        world.vault = WatchedVault("kv", SkewedClock(world.time, self.offset), self._unstaged)
        world.vault._random = random.Random(self.seed)
        server = self.server = WatchedServer(dict(world.server.passwords), world.server.admin)
        server.counts = world.kind != "made-here"
        world.server = server
        world.rotator = SteppedRotator(server, world.kind, self.seed)
        if self.random.random() < 0.2:
            window = parse_window("Thu,Sat 00:00-00:10 UTC")
            world.permit = replace(world.permit, window=window)
        await world.start()
        # Thursday, midnight: the window is open for ten minutes.
        world.time.moment = datetime(2026, 2, 5, 0, 0, tzinfo=world.time.moment.tzinfo)
        await world.write(world.latest.value)
        self.first = {version.version for version in world.vault.all(NAME)}
        dice = self.random
        self.plan = Plan(
            kills=dice.choice((0, 0, 1, 2)),
            refusals=dice.choice((0, 0, 1, 2)),
            lost_answers=dice.choice((0, 0, 1, 2)),
            stalls=dice.choice((0, 0, 1, 2)),
            outages=dice.choice((0, 0, 0, 1)),
        )
        acts = [act for act in ACTS if world.kind != "made-here" or act not in {"password", "password-and-write"}]
        self.act = dice.choice(acts) if dice.random() < 0.4 else None
        self.acted = False
        self.demands = 0
        self.planted: SecretValue | None = None
        self.last = ""
        self.told.append(f"seed {self.seed}: {variant}, {self.plan}, by hand: {self.act}, vault's clock {self.offset}")
        self.scheduler = Scheduler(dice, world.time, self.plan, self._check_always, self._down)
        world.vault.hook = world.ledger.hook = server.hook = self.scheduler.hook

    def _down(self, down: bool) -> None:
        self.server.down = down

    def _add_engine(self, number: int) -> None:
        dice, world = self.random, self.world
        kind = dice.choice(("near-expiry", "near-expiry", "sweep", "sweep", "operator", "operator-force", "stale"))
        # A late event is about a version that was superseded long ago, where there is one.
        pinned = world.vault.all(NAME)[0].version if kind == "stale" else world.latest.version

        async def work() -> None:
            if kind == "sweep":
                await self._sweep()
                return
            force = Force.NO
            if kind == "operator-force":
                force = Force.YES
            demanded = kind.startswith("operator")
            if demanded:
                self.demands += 1
            reason = kind.partition("-")[0] if demanded else "near-expiry"
            version = None if demanded else pinned
            await self._ask(
                RotationRequest(REF, version, reason, f"engine-{number}", force, early=not demanded, demanded=demanded)
            )

        self.scheduler.add(f"engine-{number} {kind}", dice.choice((0.0, 0.0, 5.0, 62.0, 140.0)), work)

    async def _sweep(self) -> None:
        sweeper = Sweeper(self.world.ledger, self.world.policy)  # of a cold instance, which remembers nothing
        try:
            requests = [request async for request in sweeper.requests(self.world.vault, self.world.now)]
        except RotationError as error:
            self.told.append(f"the sweep stopped: {error.message}")
            return
        for request in requests:
            await self._ask(request)

    async def _ask(self, request: RotationRequest) -> Result | None:
        self.scheduler.log.append(f"{self.world.time.monotonic():.1f} {request.actor} asks ({request.reason})")
        try:
            outcome = await self.world.engine.handle(request)
        except RotationError as error:
            self.last = error.message
            self.scheduler.log.append(f"{request.actor}: {type(error).__name__} {error.message}")
            return None
        self.last = outcome.detail
        self.scheduler.log.append(f"{request.actor}: {outcome.result} {outcome.detail}")
        return outcome.result

    # by hand

    async def _by_hand(self) -> None:
        world, server, act = self.world, self.server, self.act
        slot, password = parts(world.latest.value)
        self.acted = True
        if act == "garbage":
            await world.vault.set(NAME, value(slot, "typo"), tags=world.tags, expires_on=world.now + timedelta(days=10))
        elif act == "older":
            oldest = world.vault.all(NAME)[0]
            if world.works(oldest):
                await world.vault.set(NAME, oldest.value, tags=world.tags, expires_on=world.now + timedelta(days=10))
        elif act == "password":
            server.passwords[slot] = "by-hand"
        elif act == "password-and-write":
            server.passwords[slot] = "by-hand"
            new = value(slot, "by-hand")
            await world.vault.set(NAME, new, tags=world.tags, expires_on=world.now + timedelta(days=10))
        elif act == "no-tags":
            await world.vault.set(NAME, value(slot, password), tags={})
        elif act == "plant":
            self.planted = value(slot, "planted")
            await world.vault.set(companion(NAME), self.planted, tags={})
        elif act == "credential-of-others":
            server.passwords["theirs"] = "theirs"

    # what must hold

    def _check_always(self) -> None:
        if self.planted is not None and any(one.value == self.planted for one in self.world.vault.all(NAME)):
            raise Violation("a planted value was published")
        if self.act == "credential-of-others" and self.acted and self.server.passwords["theirs"] != "theirs":
            raise Violation("a credential that is not ours was taken away")
        if self.server.repeated:
            raise Violation("a password that held already was set again")
        if self.world.kind == "in-place" or (self.act in BREAKING and self.acted):
            return
        self._check_consumers()

    def _check_consumers(self) -> None:
        """Whoever read a version that is the latest, or was until less than the grace period ago, gets in."""
        if self.server.down:
            return
        versions = self.world.vault.all(NAME)
        now = self.world.vault._clock.now()
        known = {record.version for record in self._records()} | {versions[-1].version}
        for place, one in enumerate(versions):
            superseded = versions[place + 1].created_on if place + 1 < len(versions) else now
            if one.version in known and now - superseded < GRACE and not self.world.works(one):
                raise Violation(f"a consumer of version {place + 1} of {len(versions)} is locked out")

    def _unstaged(self, staged: Secret) -> None:
        """The last copy of what the provider accepts must stay readable."""
        in_the_vault = any(self.world.works(version) for version in self.world.vault.all(NAME))
        if not in_the_vault and self.world.works(staged) and not self.server.down:
            raise Violation("the only working value was made unreadable")

    # the end

    async def _settle(self) -> None:
        """Faults are over; sweeps come as they do."""
        for minutes in (2, 31, 31, 31, 61, 61):
            self.world.time.ahead(minutes=minutes)
            await self._sweep()
            if "restore_tags" in self.last:  # which the outcome asks for
                request = RotationRequest(REF, None, "operator", "owner", demanded=False, restore_tags=True)
                await self._ask(request)
            self.told += self.scheduler.log
            self.scheduler.log.clear()
            self._check_always()
        # A password that somebody changes at the server is seen by the daily check; all else within hours.
        seen_daily = self.act in {"password", "password-and-write"} and self.acted  # whose write may have failed
        if not (seen_daily or self._closed(parts(self.world.latest.value)[0]) or self.world.works(self.world.latest)):
            raise Violation("hours later the latest version does not work")
        await self._days_pass()

    async def _days_pass(self) -> None:
        """Twice the grace period, with the sweeps near its end that tell one clock from another."""
        for hours in (25, 25, 14, 1, 1, 1, 1, 1, 1, 1, 25, 25, 25, 25, 25, 25):
            self.world.time.ahead(hours=hours)
            await self._sweep()
            # A copy of a sweep's message that comes late.
            await self._ask(RotationRequest(REF, self.world.latest.version, "sweep", "late-copy"))
            self.told += self.scheduler.log
            self.scheduler.log.clear()
            self._check_always()

    def _closed(self, slot: str) -> bool:
        """Whether every way to this slot is really closed: nothing that anybody knows logs in, and no administrator."""
        if not (self.acted and self.act in {"password", "password-and-write"}):
            return False  # nobody but us changed a password: then none may be lost
        if self.world.permit.admin is not None or self.world.kind in {"two-keys", "overlapping", "made-here"}:
            return False
        copies = [*self.world.vault.all(NAME), *self.world.vault.all(companion(NAME))]
        named = {record.staged_version for record in self._records()}
        known = [one for one in copies if one.ref.name == NAME or one.version in named]
        held = self.server.passwords.get(slot)
        return held is None or held not in {parts(one.value)[1] for one in known if parts(one.value)[0] == slot}

    def _records(self) -> list[Record]:
        histories = self.world.ledger._histories
        return [record for history in histories.values() for record in history.records]

    def _check_end(self) -> None:
        world, latest, records = self.world, self.world.latest, self._records()
        slot = parts(latest.value)[0]
        if self._closed(slot):
            if "refused" not in self.last:
                raise Violation(f"every way is closed, and the outcome does not say so: {self.last}")
            return
        if not world.works(latest):
            raise Violation("in the end the latest version does not work")
        lost_tags = "rotator" not in latest.tags
        if lost_tags and self.act != "no-tags":
            raise Violation("the tags were lost")
        asked = 1 + self.demands + (2 if self.acted and self.act not in {"plant", "credential-of-others"} else 0)
        rotated = [record for record in records if record.step is Step.ROTATED]
        if len({record.version for record in rotated}) > asked:
            raise Violation(f"{len(rotated)} rotations, and {asked} were asked for")
        blocked = self._closed("b") or self._closed("a") if world.kind == "alternating" else False
        waits = lost_tags or blocked or world.permit.window is not None or latest.expires_on is None
        if not waits and latest.expires_on is not None and latest.expires_on - world.now < timedelta(days=29):
            raise Violation("it is still due")
        if not blocked and any(
            one.enabled and (self.planted is None or one.value != self.planted)
            for one in world.vault.all(companion(NAME))
        ):
            raise Violation("a staged value stays readable")
        self._check_history(records)
        self._check_retired(slot)

    def _check_history(self, records: list[Record]) -> None:
        if [record.at for record in records] != sorted(record.at for record in records):
            raise Violation("the history is out of order")
        named = {record.version for record in records}
        if "rotator" in self.world.latest.tags and self.world.latest.version not in named:
            raise Violation("the latest version is not in the history")
        begun = set()
        for record in records:
            if record.step is Step.APPLYING:
                begun.add(record.operation_id)
            if record.step is Step.ROTATED and record.operation_id not in begun:
                raise Violation("a rotation ended that never began")

    def _check_retired(self, latest_slot: str) -> None:
        """Once the grace period is long over, nothing old works."""
        if "rotator" not in self.world.latest.tags or (
            self.acted and self.act not in {"plant", "credential-of-others"}
        ):
            return
        for one in self.world.vault.all(NAME):
            slot = parts(one.value)[0]
            if slot != latest_slot and one.version not in self.first and self.world.works(one):
                raise Violation(f"slot {slot} lives on")

    async def _check_goes_on(self) -> None:
        """A rotation that is asked for now succeeds: nothing is stuck."""
        latest = self.world.latest
        if "rotator" not in latest.tags:
            return
        request = RotationRequest(REF, latest.version, "operator", "in-the-end", Force.YES, demanded=True)
        result = await self._ask(request)
        self.told += self.scheduler.log
        closed = [slot for slot in ("app", "a", "b") if slot in self.server.passwords and self._closed(slot)]
        if closed and self.world.kind in {"in-place", "alternating"}:
            return
        if result not in {Result.ROTATED, Result.REPAIRED, Result.RESUMED} or not self.world.works(self.world.latest):
            raise Violation(f"a rotation in the end came to {result}: {self.last}")
        await self._days_pass()
        self._check_retired(parts(self.world.latest.value)[0])
