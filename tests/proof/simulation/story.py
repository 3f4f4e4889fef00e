"""One story: a setting, up to four engines, faults, an owner who acts by hand, and what must hold in the end."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from rotation.engine.sweep import Sweeper
from rotation.errors import RotationError, Transient
from rotation.ledger.history import History
from rotation.model import Adopt, Force, Reason, Result, RotationRequest, Secret
from rotation.policy.windows import parse_window
from tests.proof.simulation.audited import AuditLog
from tests.proof.simulation.promises import GRACE, Facts, Promise, Promises, Violation
from tests.proof.simulation.providers import FOUL, Weather
from tests.proof.simulation.pushed import Pushed, check_changes_nothing
from tests.proof.simulation.scheduler import Plan, Scheduler
from tests.proof.simulation.setting import NAME, REF, STAGED, THURSDAY, Also, Setting, kind_of

# Hours from sweep to sweep: those near the end of 72 hours tell one clock from another.
NEAR_THE_GRACE_PERIODS_END = (32, 32, 1, 1, 1, 1, 1, 1, 1, 25, 25, 25, 25, 50)
PAST_THE_GRACE_PERIOD = (60, 25, 25, 60)
SHARE = 0.2  # of the stories that have refresh targets
DELIVERIES_S = (31.0, 62.0)  # how long a message waits in the queue before each time that it comes again


@dataclass
class Story:
    """`facts.told` is what happened, step by step, for whoever reads a seed that failed."""

    seed: int
    facts: Facts = field(default_factory=Facts)
    pushed: Pushed | None = None
    audited: AuditLog | None = None
    failed: bool = False  # the last request

    async def run(self) -> None:
        """Raises Violation."""
        self._set_up()
        with self.world.provider.simulated():
            await self._run()
        if self.pushed is not None and self.seed % 3 == 0:
            await check_changes_nothing(self.world.kind, self.offset, self.seed)

    async def _run(self) -> None:
        await self.world.start()
        self.facts.first = frozenset(version.version for version in self.world.versions)
        if self.pushed is not None:
            await self.pushed.begin(self.world)
        if self.audited is not None:
            self.audited.begin(self.world)
        self.world.listen(self.scheduler.hook)
        self.world.provider.on_change = self._changing
        self.world.vault.on_write = self.promises.recorded.written
        for number in range(self.random.randint(1, 4)):
            self._add_engine(number)
        if self.facts.act:
            self.scheduler.add(f"owner: {self.facts.act}", self.random.uniform(0, 60), self._by_hand)
        await self.scheduler.run()
        self._quiet_begins()
        await self._settle()
        self.promises.check_end()
        if self.pushed is not None and not self.failed:
            self.pushed.check_end()
        await self._check_goes_on()

    # the beginning

    def _set_up(self) -> None:
        rng = self.random = random.Random(self.seed)
        kind = kind_of(self.seed)
        self.offset = timedelta(hours=rng.choice((0, 0, 0, -3, 3)))
        # On Thursday at midnight, when it all begins, the window is open for ten minutes.
        window = parse_window("Thu,Sat 00:00-00:10 UTC") if rng.random() < 0.2 else None
        also = Also()
        self.pushed = Pushed.drawn(f"{self.seed}", SHARE, self.facts.told, THURSDAY)
        if self.pushed is not None:
            self.pushed.add_to(also)
            self.pushed.at_once = self._add_message
        self.audited = AuditLog.drawn(f"{self.seed}", SHARE, kind, self.facts.told, self.offset)
        if self.audited is not None:
            self.audited.add_to(also)
        self.world = Setting(kind, rng, self.offset, window, self._unstaged, also)
        self.promises = Promises(self.world, self.facts)
        self.plan = Plan(
            kills=rng.choice((0, 0, 1, 2)),
            refusals=rng.choice((0, 0, 1, 2)),
            lost_answers=rng.choice((0, 0, 1, 2)),
            stalls=rng.choice((0, 0, 1, 2)),
            outages=rng.choice((0, 0, 0, 1)),
        )
        self.facts.act = rng.choice(self.world.provider.acts) if rng.random() < 0.4 else None
        self.again = False
        self.facts.told.append(f"{kind}, {self.plan}, {self.facts.act} by hand, offset {self.offset}")
        check, told = self._check_always, self.facts.told
        self.scheduler = Scheduler(rng, self.world.time, self.plan, check, self._outage, told)

    def _check_always(self) -> None:
        self.promises.check_always()
        if self.audited is not None and not self.facts.disturbed:
            self.audited.check_always()

    def _check_waits_for_nobody(self) -> None:
        if self.audited is None or self.facts.disturbed:
            return
        versions, now = self.world.versions, self.world.vault._clock.now()
        history = History(self.world.ledger.records(REF))
        known = history.versions()
        left = history.unretired(known.get(versions[-1].version, ""))
        ends = itertools.pairwise(versions)
        in_grace = {known.get(one.version) for one, after in ends if now < after.created_on + GRACE}
        self.audited.check_waits_for_nobody(frozenset(left - in_grace))

    def _quiet_begins(self) -> None:
        """No run meets another any more."""
        if self.pushed is not None:
            self.pushed.at_rest, self.pushed.at_once = True, None
            self.pushed.deploy_another()

    def _add_message(self, request: RotationRequest, after_s: int) -> None:
        async def work() -> None:
            await self._deliver(request)

        self.scheduler.add(f"message {request.reason}", after_s, work)

    def _changing(self, slot: str) -> None:
        self.facts.changed.append(slot)
        self.promises.recorded.changed(slot)

    def _unstaged(self, staged: Secret) -> None:
        self.promises.check_unstaged(staged)  # which are made after the world that calls this

    def _outage(self, begins: bool) -> str:
        foul = self.random.choice(FOUL) if begins else Weather.FAIR
        self.world.provider.weather = foul
        return foul

    def _add_engine(self, number: int) -> None:
        rng, world = self.random, self.world
        kind = rng.choice(("near-expiry", "near-expiry", "sweep", "sweep", "operator", "operator-force", "stale"))
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
                self.facts.demands += 1
            reason = Reason.OPERATOR if demanded else Reason.NEAR_EXPIRY
            version = None if demanded else pinned
            await self._deliver(
                RotationRequest(REF, version, reason, f"engine-{number}", force, early=not demanded, demanded=demanded)
            )

        self.scheduler.add(f"engine-{number} {kind}", rng.choice((0.0, 0.0, 5.0, 62.0, 140.0)), work)

    async def _sweep(self) -> None:
        sweeper = Sweeper(self.world.ledger, self.world.policy)  # of a cold instance, which remembers nothing
        for vault in self.world.vaults.values():
            try:
                requests = [request async for request in sweeper.requests(vault, self.world.now)]
            except RotationError as error:
                self.facts.told.append(f"the sweep stopped: {error.message}")
                return
            for request in requests:
                await self._deliver(request)

    async def _deliver(self, request: RotationRequest) -> None:
        """As the queue does: again a while later, where another was at work or a part did not answer."""
        for wait_s in DELIVERIES_S:
            if await self._ask(request) is not None or not self.again:
                return
            await self.scheduler.rest(wait_s)
            self.facts.demands += request.demanded  # no queue delivers an operator's call again: he asks once more
        await self._ask(request)

    async def _ask(self, request: RotationRequest) -> Result | None:
        self.facts.told.append(f"{self.world.time.monotonic():.1f} {request.actor} asks ({request.reason})")
        before, self.failed = len(self.world.ledger.records(request.ref)), True
        try:
            outcome = await self.world.engine.handle(request)
        except RotationError as error:
            self.facts.last = error.message
            self.again = isinstance(error, Transient)
            self.facts.told.append(f"{request.actor}: {type(error).__name__} {error.message}")
            return None
        self.failed, self.facts.last = False, outcome.detail
        if self.pushed is not None:
            self.pushed.heard(outcome, before)
        self.facts.told.append(f"{request.actor}: {outcome.result} {outcome.detail}")
        return outcome.result

    # by hand

    async def _by_hand(self) -> None:
        world, provider, latest = self.world, self.world.provider, self.world.latest
        self.facts.acted = True
        match self.facts.act:
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
                self.facts.plant = provider.planted(latest)
                await world.vault.set(STAGED, self.facts.plant, tags={})
            case "credential-of-others":
                provider.add_others()

    # the end

    async def _settle(self) -> None:
        """Faults are over; sweeps come as they do."""
        for minutes in (2, 31, 31, 31, 61, 61):
            self.world.time.ahead(minutes=minutes)
            await self._quiet_sweep()
        self.promises.check_settled()
        await self._days_pass(NEAR_THE_GRACE_PERIODS_END)

    async def _do_as_told(self) -> None:
        """What an outcome asks its reader for, he does."""
        world, told = self.world, self.facts.last
        if "restore_tags" in told:
            await self._ask(RotationRequest(REF, None, Reason.OPERATOR, "owner", demanded=False, restore_tags=True))
        elif "of somebody else's" in told:  # nothing is staged beside what somebody planted
            world.vault.delete(STAGED)
        elif "nothing proves that this secret owns it" in told:
            self.promises.check_untouched()
            if world.terms.admin is not None and self.random.random() < 0.5:
                self.facts.demands += 1
                request = RotationRequest(REF, None, Reason.OPERATOR, "owner", demanded=True, adopt=Adopt.RESET)
                await self._ask(replace(request, slots=world.provider.slots))
            else:
                await world.write(world.provider.working())
                self.facts.last = ""

    async def _quiet_sweep(self) -> None:
        for request in self.pushed.delivered() if self.pushed is not None else ():
            await self._ask(request)
        self.failed = False
        await self._sweep()
        if self.pushed is not None and not self.failed:
            self.pushed.check_caught_up()
        if not self.failed:
            self._check_waits_for_nobody()
        await self._do_as_told()
        self._check_always()

    async def _days_pass(self, hours_between: Sequence[int]) -> None:
        for hours in hours_between:
            self.world.time.ahead(hours=hours)
            await self._quiet_sweep()
            if hours == 1:  # a copy of a sweep's message that comes late
                await self._ask(RotationRequest(REF, self.world.latest.version, Reason.SWEEP, "late-copy"))
            self.promises.check_always()

    async def _check_goes_on(self) -> None:
        """A rotation that is asked for now succeeds: nothing is stuck."""
        latest = self.world.latest
        if "rotator" not in latest.tags:
            return
        request = RotationRequest(REF, latest.version, Reason.OPERATOR, "in-the-end", Force.YES, demanded=True)
        patient = self.world.now + timedelta(minutes=5)
        result = await self._ask(request)
        if "of somebody else's" in self.facts.last:
            await self._do_as_told()
            result = await self._ask(request)
        if result is Result.DEFERRED and self.audited is not None and "grace period" in self.facts.last:
            await self._days_pass((self.audited.bound_h, 1))  # an old one waits for its readers up to the bound
            request = replace(request, version=self.world.latest.version)
            patient = self.world.now + timedelta(minutes=5)
            result = await self._ask(request)
        while result is Result.DEFERRED and self.world.now < patient:  # a new one is not accepted everywhere at once
            self.world.time.ahead(seconds=30)
            result = await self._ask(request)
        if self.promises.blocked:
            return
        if self.pushed is not None and not self.failed:
            self.pushed.check_end()
        if result not in {Result.ROTATED, Result.REPAIRED, Result.RESUMED} or not self.world.works(self.world.latest):
            raise Violation(Promise.WORKS, f"a rotation in the end came to {result}: {self.facts.last}")
        await self._days_pass(PAST_THE_GRACE_PERIOD)
        self.promises.check_retired()
