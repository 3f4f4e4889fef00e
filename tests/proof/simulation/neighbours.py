"""One story of two secrets over one provider: owners who move, strangers who copy, operators who take over."""

import random
from datetime import datetime, timedelta

from rotation.errors import RotationError, Transient
from rotation.ledger.history import History
from rotation.ledger.records import Step
from rotation.model import Force, Reason, Result, RotationRequest, SecretRef
from tests.proof.simulation.deeds import Deeds
from tests.proof.simulation.owned import Owned
from tests.proof.simulation.promises import Promise, Violation
from tests.proof.simulation.providers import Database, is_uri
from tests.proof.simulation.scheduler import Plan, Scheduler
from tests.proof.simulation.setting import REF
from tests.proof.simulation.story import Story
from tests.proof.simulation.street import KINDS, Asking, Street, asking

DAYS_H = (1, 25, 1, 25, 25, 25)  # from sweep to sweep: past every grace period
SOUND = frozenset({Result.ROTATED, Result.REPAIRED, Result.RESUMED})
WAITS = frozenset({Result.DEFERRED, Result.RETIRED, Result.NOT_DUE})


class Neighbours(Story):
    """`said` is what each secret was told last."""

    world: Street

    def _set_up(self) -> None:
        rng = self.random = random.Random(self.seed)
        kind = self._kind()
        self.offset = timedelta(hours=rng.choice((0, 0, 0, -3, 3)))
        self.world = Street(kind, rng, self.offset, None, lambda _staged: None)
        self.owned = Owned(self.world, self.facts)
        self.deeds = Deeds(self.world, self.owned, rng, self._ask)
        self.said: dict[SecretRef, Result | RotationError] = {}
        self.again = False
        self.facts.told.append(f"{kind} and {self.world.other}, offset {self.offset}")

    def _kind(self) -> str:
        return KINDS[self.seed % len(KINDS)]

    async def _run(self) -> None:
        await self.world.start()
        self.world.provider.on_change = self.owned.changing
        self.world.ledger.on_bind = self.owned.binding
        self.world.provider.on_login = _let_in
        await self._play()
        await self._check_end()

    async def _play(self) -> None:
        await self._quietly_before()
        for _ in range(self.random.choice((1, 1, 2))):
            await self._round()
            await self._days_pass((*DAYS_H,))

    async def _quietly_before(self) -> None:
        """Most often the secret is owned already when it begins."""
        rng = self.random
        if rng.random() < 0.3:
            await self.deeds.do(rng.choice(("broken", "copy", "own")))
        if rng.random() < 0.7:
            await self._demand(REF, "at first")
            if rng.random() < 0.2:
                self.world.ledger.forget_what_is_new()
            elif rng.random() < 0.3:
                await self._days_pass(DAYS_H)

    async def _round(self) -> None:
        rng = self.random
        plan = Plan(
            kills=rng.choice((0, 0, 1, 2)),
            refusals=rng.choice((0, 0, 1)),
            lost_answers=rng.choice((0, 0, 1, 2)),
            stalls=rng.choice((0, 0, 1, 2)),
            outages=rng.choice((0, 0, 0, 1)),
        )
        told = self.facts.told
        self.scheduler = Scheduler(rng, self.world.time, plan, self.owned.check_always, self._outage, told)
        self.world.listen(self.scheduler.hook)
        for number in range(rng.randint(1, 3)):
            self._add_neighbours_engine(number)
        for _ in range(rng.choice((1, 1, 2, 3))):
            self._add_deed(self.deeds.draw())
        await self.scheduler.run()

    def _add_deed(self, deed: str) -> None:
        async def work() -> None:
            self.facts.told.append(f"{self.world.time.monotonic():.1f} by hand: {deed}")
            if self.world.exists(REF):
                await self.deeds.do(deed)

        self.scheduler.add(deed, self.random.choice((0.0, 1.0, self.random.uniform(0, 60))), work)

    def _add_neighbours_engine(self, number: int) -> None:
        rng = self.random
        kind = rng.choice(("event", "event-other", "sweep", "operator", "operator-other", "operator-other"))
        ref = self.world.other if kind.endswith("other") else REF

        async def work() -> None:
            if kind == "sweep":
                await self._sweep()
            elif self.world.exists(ref):
                demanded = kind.startswith("operator")
                version = None if demanded else self.world.all(ref)[-1].version
                reason = Reason.OPERATOR if demanded else Reason.NEAR_EXPIRY
                force = rng.choice((Force.NO, Force.YES)) if demanded else Force.NO
                actor = f"engine-{number}"
                await self._deliver(RotationRequest(ref, version, reason, actor, force, not demanded, demanded))

        self.scheduler.add(f"engine-{number} {kind}", rng.choice((0.0, 0.0, 2.0, 10.0, 62.0)), work)

    async def _ask(self, request: RotationRequest) -> Result | None:
        token = asking.set(Asking(request, self.world.now))
        told = self.facts.told
        told.append(f"{self.world.time.monotonic():.1f} {request.actor} asks for {request.ref} ({request.reason})")
        try:
            outcome = await self.world.engine.handle(request)
        except RotationError as error:
            self.said[request.ref] = error
            self.again = isinstance(error, Transient)
            told.append(f"{request.actor}: {type(error).__name__} {error.message}")
            return None
        finally:
            self.owned.check_always()
            asking.reset(token)
        self.said[request.ref] = outcome.result
        self.again = False
        told.append(f"{request.actor}: {outcome.result} {outcome.detail}")
        return outcome.result

    async def _demand(self, ref: SecretRef, actor: str) -> Result | None:
        return await self._ask(RotationRequest(ref, None, Reason.OPERATOR, actor, Force.YES, demanded=True))

    async def _days_pass(self, hours_between: object) -> None:
        for minutes in (2, 31, 31):
            self.world.time.ahead(minutes=minutes)
            await self._sweep()
            self.owned.check_always()
        for hours in hours_between:  # type: ignore[attr-defined]
            self.world.time.ahead(hours=hours)
            await self._sweep()
            self.owned.check_always()

    # in the end

    async def _check_end(self) -> None:
        self.owned.check_secrecy()
        for ref in self.world.refs:
            await self._check_goes_on_of(ref)

    async def _check_goes_on_of(self, ref: SecretRef) -> None:
        """Whoever has a credential that works, and that nobody else needs, has it rotated."""
        world = self.world
        if not world.exists(ref):
            return
        if "rotator" not in world.all(ref)[-1].tags:
            self.owned.check_unmanaged(ref)
            return
        began = world.now
        result = await self._demand(ref, "in-the-end")
        for _ in range(6):
            if self._has_rotated(ref, began):
                result = Result.ROTATED
                break
            told = self.said[ref]
            if isinstance(told, RotationError) and "of somebody else's" in told.message:
                self.owned.foreign = [one for one in self.owned.foreign if one.ref.vault != ref.vault]
                world.vaults[ref.vault].delete(f"{ref.name}--staged")
            world.time.ahead(hours=25)
            await self._sweep()
            result = await self._demand(ref, "in-the-end")
            self.owned.check_always()
        if result in SOUND:
            if not world.works(world.all(ref)[-1]):
                raise Violation(Promise.WORKS, f"{ref} was rotated, and its latest version does not work")
            world.time.ahead(hours=25)
            await self._sweep()
            if self.said[ref] in {Result.NOT_DUE, Result.RETIRED}:
                self.owned.check_tidy(ref)
            return
        self._check_told(ref)

    def _has_rotated(self, ref: SecretRef, since: datetime) -> bool:
        records = self.world.ledger.records(ref)
        return any(one.step in {Step.ROTATED, Step.REPAIRED} and one.at >= since for one in records)

    def _check_told(self, ref: SecretRef) -> None:
        """It is not rotated: then for a good reason, which was told."""
        told, world = self.said[ref], self.world
        latest = world.all(ref)[-1]
        works = world.works(latest)
        code = getattr(told, "code", told)
        if code == "bound_elsewhere":
            slots = self._slots_of(ref)
            other = next(one for one in world.refs if one != ref)
            held = [slot for slot in slots if world.owner(slot) == other]
            if not works or (held and (self._can_not_be_understood(other) or self._may_be_any(other))):
                return
            if any(self.owned.relies(other, slot) for slot in held):
                return
        if code == "unproven" and not works and not (self._was_its_own(ref) and self._keeps_its_form(ref)):
            return
        if code in {"denied", "unusable"} and not self._can_be_read(ref):
            return
        if code == "rejected" and self._is_closed(ref):
            return
        raise Violation(Promise.GOES_ON, f"{ref} is never rotated: {code} {getattr(told, 'message', '')}")

    def _slots_of(self, ref: SecretRef) -> tuple[str, ...]:
        return self.owned.wanted(self.world.all(ref)[-1])

    def _was_its_own(self, ref: SecretRef) -> bool:
        """Whether what it asks for is bound to it."""
        slots, known = self._slots_of(ref), History(self.world.ledger.records(ref)).asked()
        return known is not None and bool(slots) and all(self.world.owner(slot) == ref for slot in slots)

    def _keeps_its_form(self, ref: SecretRef) -> bool:
        """Whether the latest version is of the form of the last one that its history names."""
        known = History(self.world.ledger.records(ref)).versions()
        before = [is_uri(one.value) for one in self.world.all(ref) if one.version in known]
        return not before or before[-1] == is_uri(self.world.all(ref)[-1].value)

    def _can_be_read(self, ref: SecretRef) -> bool:
        latest, slots = self.world.all(ref)[-1], self._slots_of(ref)
        if not isinstance(self.world.provider, Database):
            return latest.tags.get("slots", "") == ""
        if latest.tags.get("rotator") == "postgres":
            return True
        return (
            len(slots) == 2
            and self.world.provider.slot(latest) in slots
            and set(slots) <= set(self.world.provider.slots)
        )

    def _can_not_be_understood(self, ref: SecretRef) -> bool:
        """Managed, and nobody can tell what it asks for: it may be just this."""
        return self.world.exists(ref) and "rotator" in self.world.all(ref)[-1].tags and not self._can_be_read(ref)

    def _may_be_any(self, ref: SecretRef) -> bool:
        """A bare key that somebody wrote by hand, and that no run has looked at: it says not which one it is."""
        if isinstance(self.world.provider, Database) or not self.world.exists(ref):
            return False
        return self.world.all(ref)[-1].version not in History(self.world.ledger.records(ref)).versions()

    def _is_closed(self, ref: SecretRef) -> bool:
        """Whether nothing that the secret knows changes one of its slots, and no administrator is named."""
        world = self.world
        if world.terms.admin is not None:
            return False
        named = {record.staged_version for record in world.ledger.records(ref)}
        copies = [*world.all(ref), *(one for one in world.all_staged(ref) if one.version in named)]
        return any(not world.provider.known_by(slot, copies) for slot in self._slots_of(ref))


def _let_in(role: str) -> None:
    who = asking.get()
    if who is not None:
        who.proven.add(role)
