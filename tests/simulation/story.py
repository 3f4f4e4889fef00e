"""One story: a setting, up to four engines, faults, an owner who acts by hand, and what must hold in the end."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

from rotation.errors import RotationError, Transient
from rotation.model import Force, Result, RotationRequest, Secret, SecretValue
from rotation.records import Record, Step
from rotation.sweeper import Sweeper
from rotation.windows import parse_window
from tests.simulation.providers import FOUL, Weather
from tests.simulation.scheduler import Plan, Scheduler
from tests.simulation.setting import KINDS, NAME, REF, STAGED, Setting

DELIVERIES_S = (31.0, 62.0)  # how long a message waits in the queue before each time that it comes again
GRACE = timedelta(hours=72)
# After these a consumer may fail for a while, whatever we do: what the owner wrote may be what is being changed.
BREAKING = frozenset({"mistake", "older", "password", "password-and-write"})
HARMLESS = frozenset({"plant", "credential-of-others"})


class Violation(BaseException):
    """A promise was broken. The engine turns every `Exception` into an error of its own; this one gets out."""


@dataclass
class Story:
    """`told` is what happened, step by step, for whoever reads a seed that failed."""

    seed: int
    told: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Raises Violation."""
        self._set_up()
        with self.world.provider.simulated():
            await self._run()

    async def _run(self) -> None:
        await self.world.start()
        self.first = {version.version for version in self.world.versions}
        self.world.listen(self.scheduler.hook)
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

    def _set_up(self) -> None:
        dice = self.random = random.Random(self.seed)
        kind = KINDS[self.seed % len(KINDS)]
        self.offset = timedelta(hours=dice.choice((0, 0, 0, -3, 3)))
        # On Thursday at midnight, when it all begins, the window is open for ten minutes.
        window = parse_window("Thu,Sat 00:00-00:10 UTC") if dice.random() < 0.2 else None
        self.world = Setting(kind, dice, self.offset, window, self._unstaged)
        self.plan = Plan(
            kills=dice.choice((0, 0, 1, 2)),
            refusals=dice.choice((0, 0, 1, 2)),
            lost_answers=dice.choice((0, 0, 1, 2)),
            stalls=dice.choice((0, 0, 1, 2)),
            outages=dice.choice((0, 0, 0, 1)),
        )
        self.act = dice.choice(self.world.provider.acts) if dice.random() < 0.4 else None
        self.acted = False
        self.demands = 0
        self.plant: SecretValue | None = None
        self.last = ""
        self.again = False
        self.told.append(f"seed {self.seed}: {kind}, {self.plan}, by hand: {self.act}, vault's clock {self.offset}")
        self.scheduler = Scheduler(dice, self.world.time, self.plan, self._check_always, self._outage)

    def _outage(self, begins: bool) -> str:
        foul = self.random.choice(FOUL) if begins else Weather.FAIR
        self.world.provider.weather = foul
        return foul

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
            await self._deliver(
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
            await self._deliver(request)

    async def _deliver(self, request: RotationRequest) -> None:
        """As the queue does: again a while later, where another was at work or a part did not answer."""
        for wait_s in DELIVERIES_S:
            if await self._ask(request) is not None or not self.again:
                return
            await self.scheduler.rest(wait_s)
        await self._ask(request)

    async def _ask(self, request: RotationRequest) -> Result | None:
        self.scheduler.log.append(f"{self.world.time.monotonic():.1f} {request.actor} asks ({request.reason})")
        try:
            outcome = await self.world.engine.handle(request)
        except RotationError as error:
            self.last = error.message
            self.again = isinstance(error, Transient)
            self.scheduler.log.append(f"{request.actor}: {type(error).__name__} {error.message}")
            return None
        self.last = outcome.detail
        self.scheduler.log.append(f"{request.actor}: {outcome.result} {outcome.detail}")
        return outcome.result

    # by hand

    async def _by_hand(self) -> None:
        world, provider, latest = self.world, self.world.provider, self.world.latest
        self.acted = True
        match self.act:
            case "mistake":
                await world.write(provider.mistaken(latest))
            case "older":
                oldest = world.versions[0]
                if world.works(oldest):
                    await world.write(oldest.value)
            case "password":
                provider.changed(latest)
            case "password-and-write":
                await world.write(provider.changed(latest))
            case "no-tags":
                await world.vault.set(NAME, latest.value, tags={})
            case "plant":
                self.plant = provider.planted(latest)
                await world.vault.set(STAGED, self.plant, tags={})
            case "credential-of-others":
                provider.add_others()

    # what must hold

    def _check_always(self) -> None:
        if self.plant is not None and any(one.value == self.plant for one in self.world.versions):
            raise Violation("a planted value was published")
        if self.act == "credential-of-others" and self.acted and self.world.provider.others_taken():
            raise Violation("a credential that is not ours was taken away")
        if self.world.provider.repeated:
            raise Violation("a password that held already was set again")
        if self.world.rotator == "postgres" or (self.act in BREAKING and self.acted):
            return
        self._check_consumers()

    def _check_consumers(self) -> None:
        """Whoever read a version that is the latest, or was until less than the grace period ago, gets in."""
        versions = self.world.versions
        now = self.world.vault._clock.now()
        known = {record.version for record in self._records()} | {versions[-1].version}
        for place, one in enumerate(versions):
            superseded = versions[place + 1].created_on if place + 1 < len(versions) else now
            if one.version in known and now - superseded < GRACE and not self.world.works(one):
                raise Violation(f"a consumer of version {place + 1} of {len(versions)} is locked out")

    def _unstaged(self, staged: Secret) -> None:
        """The last copy of what the provider accepts must stay readable."""
        in_the_vault = any(self.world.works(version) for version in self.world.versions)
        if not in_the_vault and self.world.works(staged):
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
        if not (seen_daily or self._closed(self.slot) or self.world.works(self.world.latest)):
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
        if self.world.permit.admin is not None:
            return False
        named = {record.staged_version for record in self._records()}
        copies = [*self.world.versions, *(one for one in self.world.staged if one.version in named)]
        return not self.world.provider.known_by(slot, copies)

    @property
    def slot(self) -> str:
        """Of the latest version."""
        return self.world.provider.slot(self.world.latest)

    def _records(self) -> list[Record]:
        histories = self.world.ledger._histories
        return [record for history in histories.values() for record in history.records]

    def _check_end(self) -> None:
        world, latest, records = self.world, self.world.latest, self._records()
        if self._closed(self.slot):
            if "refused" not in self.last:
                raise Violation(f"every way is closed, and the outcome does not say so: {self.last}")
            return
        if not world.works(latest):
            raise Violation("in the end the latest version does not work")
        lost_tags = "rotator" not in latest.tags
        if lost_tags and self.act != "no-tags":
            raise Violation("the tags were lost")
        asked = 1 + self.demands + (2 if self.acted and self.act not in HARMLESS else 0)
        rotated = [record for record in records if record.step is Step.ROTATED]
        if len({record.version for record in rotated}) > asked:
            raise Violation(f"{len(rotated)} rotations, and {asked} were asked for")
        blocked = any(self._closed(slot) for slot in world.provider.slots)
        waits = lost_tags or blocked or world.permit.window is not None or latest.expires_on is None
        if not waits and latest.expires_on is not None and latest.expires_on - world.now < timedelta(days=29):
            raise Violation("it is still due")
        if not blocked and any(one.enabled and (self.plant is None or one.value != self.plant) for one in world.staged):
            raise Violation("a staged value stays readable")
        self._check_history(records)
        self._check_retired()

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

    def _check_retired(self) -> None:
        """Once the grace period is long over, nothing old works."""
        if "rotator" not in self.world.latest.tags or (self.acted and self.act not in HARMLESS):
            return
        for one in self.world.versions:
            slot = self.world.provider.slot(one)
            if slot != self.slot and one.version not in self.first and self.world.works(one):
                raise Violation(f"slot {slot} lives on")

    async def _check_goes_on(self) -> None:
        """A rotation that is asked for now succeeds: nothing is stuck."""
        latest = self.world.latest
        if "rotator" not in latest.tags:
            return
        request = RotationRequest(REF, latest.version, "operator", "in-the-end", Force.YES, demanded=True)
        patient = self.world.now + timedelta(minutes=5)
        result = await self._ask(request)
        while result is Result.DEFERRED and self.world.now < patient:  # a new one is not accepted everywhere at once
            self.world.time.ahead(seconds=30)
            result = await self._ask(request)
        self.told += self.scheduler.log
        if any(self._closed(slot) for slot in self.world.provider.slots):
            return
        if result not in {Result.ROTATED, Result.REPAIRED, Result.RESUMED} or not self.world.works(self.world.latest):
            raise Violation(f"a rotation in the end came to {result}: {self.last}")
        await self._days_pass()
        self._check_retired()
