"""One story of two secrets that begins where chance alone seldom leads: each plot is a situation that a rule is about.

The seed chooses the plot, the kind of credential, where a run is cut off, who comes next and in which order, and goes
on as any other story of neighbours does. See `neighbours.py`.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from rotation.ledger.records import Step
from rotation.model import Force, Reason, RotationRequest, SecretRef
from rotation.ports import LEASE_S
from tests.proof.simulation.deeds import OF_ROLES
from tests.proof.simulation.neighbours import DAYS_H, Neighbours
from tests.proof.simulation.providers import Database
from tests.proof.simulation.scheduler import Plan, Scheduler, Stop
from tests.proof.simulation.setting import REF
from tests.proof.simulation.street import KINDS

ONE_ROLE = ("postgres", "postgres+admin")
TWO_ROLES = ("postgres-alternating", "postgres-alternating+admin")
ROLES = (*ONE_ROLE, *TWO_ROLES)
# Where a rotation is cut off: before anything changed, while it may have, and before consumers can read it.
MOMENTS = (
    ("before", "append", Step.APPLYING), ("after", "append", Step.APPLYING), ("before", "change", None),
    ("after", "change", None), ("before", "set", REF.name), ("after", "set", REF.name),
)  # fmt: skip
# How a takeover is held up: after its proof, or so that the owner's lease runs out before the last binding.
AFTER_ITS_PROOF = tuple((Stop("before", "bindings", None, seconds),) for seconds in (30.0, 50.0))
LONGER_THAN_THEIR_LEASE = (
    Stop("before", "bindings", None, 0.0), Stop("before", "login", None, 25.0), Stop("after", "login", None, 25.0),
    Stop("before", "bind", None, 12.0),
)  # fmt: skip
HELD_UP: Sequence[Sequence[Stop]] = ((), *AFTER_ITS_PROOF, LONGER_THAN_THEIR_LEASE, LONGER_THAN_THEIR_LEASE)
HOURLY = (1,) * 8
UNSEEN_H = 2  # long enough that whoever looks has seen what was written, and no sweep has come


@dataclass(frozen=True, slots=True)
class _Plot:
    kinds: Sequence[str]
    play: "Callable[[Plots], Awaitable[None]]"


class Plots(Neighbours):
    """`PLOTS` has what they are about."""

    _late: tuple[Callable[[], Coroutine[Any, Any, None]], Sequence[Stop]] | None = None

    def _kind(self) -> str:
        kinds = self._plot.kinds
        return kinds[self.seed // len(PLOTS) % len(kinds)]

    @property
    def _plot(self) -> _Plot:
        return PLOTS[self.seed % len(PLOTS)]

    async def _play(self) -> None:
        self.facts.told.append(f"plot: {self._plot.play.__name__.strip('_')}")
        await self._plot.play(self)
        await self._days_pass(self.random.choice(((*HOURLY, *DAYS_H), DAYS_H)))
        if self.random.random() < 0.3:
            await self._round()
            await self._days_pass(DAYS_H)

    # the plots

    async def _interrupted(self) -> None:
        """A run is cut off, and whoever comes next finds other tags, another owner, nobody, or a new secret."""
        await self._owned_for_long()
        await self._cut_off(REF)
        if self.random.random() < 0.2:
            self.world.ledger.forget_what_is_new()
        await self._deeds(
            "unmanage", "retag", "half", "copy", "delete", "anew", "rename", "lie-slots", "manage", "copy-both"
        )
        await self._side_by_side("takeover-other", "takeover", "unmanage", "half", "manage")

    async def _changed_their_mind(self) -> None:
        """What was begun is no longer asked for, and the role that was to be changed is what a stranger has."""
        await self._owned_for_long()
        await self._cut_off(REF)
        await self._deeds("retag", "unmanage", most=1)
        await self._deeds("half", "half", "copy", most=1)
        if self.random.random() < 0.5:
            await self._side_by_side(runs=(self.world.other,))
        await self._side_by_side()

    async def _taken_over(self) -> None:
        """By an operator, from one who may be in the middle of it, and who goes on by what it remembers."""
        await self._demand(REF, "at first")
        if self.random.random() < 0.5:
            await self._days_pass(DAYS_H)
        if self.random.random() < 0.4:
            await self._cut_off(REF, killed=True)
        await self._deeds("copy", "copy", "half", "copy-both", "copy-older", "copy-older", most=1)
        self.world.time.ahead(hours=UNSEEN_H)
        self._late = (lambda: self.deeds.do("takeover-other"), self.random.choice(HELD_UP))
        await self._side_by_side("takeover", "mistake", "older")

    async def _copied(self) -> None:
        """What was just published stands in another secret, which is looked at first."""
        await self._demand(REF, "at first")
        await self._deeds("copy", "copy", "copy-older", most=1)
        await self._side_by_side(runs=(self.world.other,))

    async def _given_up(self) -> None:
        """A run is cut off, its secret is not managed for a while, and then perhaps it is again."""
        await self._owned_for_long()
        await self._cut_off(REF)
        await self._deeds("unmanage", "unmanage", "delete", "retag", most=1)
        await self._sweep()
        if self.random.random() < 0.6:
            await self._deeds("manage", "manage", "retag", most=1)
        await self._side_by_side("manage", "half")

    async def _meeting(self) -> None:
        """Two that nobody owned yet are seen for the first time at the same moment."""
        await self._deeds("copy", "half", "copy-both", "lying-copy", most=1)
        self.world.time.ahead(hours=UNSEEN_H)
        await self._side_by_side(runs=self.world.refs)

    async def _written_again(self) -> None:
        """The same login in a version that promises less, and then it is rotated."""
        await self._owned_for_long()
        await self._deeds("short-lived", "short-lived", "lie-grace", "other-form", most=2)
        await self._sweep()
        await self._demand(REF, "owner")
        await self._side_by_side("lie-grace", "short-lived", "unmanage")

    async def _squatted(self) -> None:
        """Before anything was ever staged, somebody keeps a secret of his own under the companion's name."""
        await self.deeds.do("squat")
        await self._deeds("own", "copy", most=1)
        self.world.time.ahead(hours=UNSEEN_H)
        await self._side_by_side("squat", "plant")

    async def _set_anew(self) -> None:
        """A value that never worked, and an operator who names all, some, or none of what it asks for."""
        await self._deeds("broken", "broken", "own", most=1)
        await self._deeds("unmanage", "delete", "rename", "retag", most=1)
        await self._deeds("reset-unnamed", "reset-unnamed", "reset-other", most=1)
        await self._side_by_side("reset-other", "reset-unnamed", "takeover-other")

    async def _lied_to(self) -> None:
        """By tags, before any run has seen whose the value is."""
        await self._deeds("lie-slot", "lie-slot", "lie-grace", most=2)
        await self._deeds("lying-copy", "copy", "own", most=1)
        self.world.time.ahead(hours=UNSEEN_H)
        await self._side_by_side("lie-slot", "lie-grace")

    async def _two_forms(self) -> None:
        """Its owner writes what works, or does not, in another form than before."""
        await self._owned_for_long()
        await self._deeds("broken-other-form", "broken-other-form", "other-form", "mistake", most=2)
        await self._side_by_side("other-form", "broken-other-form", "older")
        await self._days_pass(HOURLY)
        if self.random.random() < 0.7:
            await self.deeds.do("working-again")

    # what they are made of

    async def _owned_for_long(self) -> None:
        """Proven and rotated, so long ago that every grace is over; or never seen yet."""
        if self.random.random() < 0.6:
            await self._demand(REF, "at first")
            await self._days_pass(DAYS_H)

    async def _cut_off(self, ref: SecretRef, *, killed: bool = False) -> None:
        """A run that is killed, or stands still for longer than its lease lasts and then wakes up among others."""
        when, call, name = self.random.choice(MOMENTS)
        stands_still = None if killed else self.random.choice((None, None, None, LEASE_S + 5.0, 4.0 * LEASE_S))
        self._stage_is_set(Plan())

        async def work() -> None:
            await self._ask(RotationRequest(ref, None, Reason.OPERATOR, "cut off", Force.YES, demanded=True))

        stops = (Stop(when, call, name, stands_still),)
        if stands_still is None:
            self.scheduler.add("cut off", 0.0, work, stops)
            await self.scheduler.run()
            self.world.time.ahead(seconds=LEASE_S + 1)
        else:
            self._late = (work, stops)

    async def _deeds(self, *ways: str, most: int = 2) -> None:
        """One or more, one after the other, some time before anybody looks."""
        known = self._known(ways)
        for _ in range(self.random.randint(1, most) if known else 0):
            deed = self.random.choice(known)
            self.facts.told.append(f"by hand: {deed}")
            if self.world.exists(REF):
                await self.deeds.do(deed)
            self.world.time.ahead(minutes=self.random.choice((0, 1, 5, 30)))

    def _known(self, ways: Sequence[str]) -> list[str]:
        """Those that this provider knows."""
        return [way for way in ways if way not in OF_ROLES or isinstance(self.world.provider, Database)]

    async def _side_by_side(self, *deeds: str, runs: Sequence[SecretRef] = ()) -> None:
        """Runs for either, in an order that the seed decides, with few faults; and perhaps another deed.

        runs: of these secrets, all at once.
        """
        rng = self.random
        self._stage_is_set(
            Plan(
                kills=rng.choice((0, 0, 0, 1)),
                refusals=rng.choice((0, 0, 0, 1)),
                lost_answers=rng.choice((0, 0, 0, 1)),
                stalls=rng.choice((0, 0, 0, 1)),
            )
        )
        if self._late is not None:
            self.scheduler.add("held up", 0.0, *self._late)
            self._late = None
        for number, ref in enumerate(runs or [rng.choice(self.world.refs) for _ in range(rng.randint(1, 4))]):
            self._add_run(number, ref, 0.0 if runs else rng.choice((0.0, 0.0, 1.0, 10.0, 62.0)))
        known = self._known(deeds)
        if known and rng.random() < 0.5:
            self._add_deed(rng.choice(known))
        await self.scheduler.run()

    def _add_run(self, number: int, ref: SecretRef, starts_in_s: float) -> None:
        rng = self.random
        demanded = rng.random() < 0.5
        force = rng.choice((Force.NO, Force.YES)) if demanded else Force.NO

        async def work() -> None:
            if self.world.exists(ref):
                reason = Reason.OPERATOR if demanded else Reason.SWEEP
                version = None if demanded else self.world.all(ref)[-1].version
                await self._deliver(RotationRequest(ref, version, reason, f"run-{number}", force, demanded=demanded))

        self.scheduler.add(f"run-{number} {ref}", starts_in_s, work)

    def _stage_is_set(self, plan: Plan) -> None:
        told, world = self.facts.told, self.world
        self.scheduler = Scheduler(self.random, world.time, plan, self.owned.check_always, self._outage, told)
        world.listen(self.scheduler.hook)


PLOTS = (
    _Plot(KINDS, Plots._interrupted),
    _Plot(ROLES, Plots._changed_their_mind),
    _Plot((*KINDS, "entra-app-secret"), Plots._taken_over),
    _Plot((*KINDS, "entra-app-secret"), Plots._copied),
    _Plot(ROLES, Plots._given_up),
    _Plot(KINDS, Plots._meeting),
    _Plot(TWO_ROLES, Plots._written_again),
    _Plot(KINDS, Plots._squatted),
    _Plot((*ONE_ROLE, *TWO_ROLES, "storage-key"), Plots._set_anew),
    _Plot((*TWO_ROLES, "storage-key"), Plots._lied_to),
    _Plot(ROLES, Plots._two_forms),
)
