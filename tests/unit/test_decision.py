"""Plan, run and sweep have one mind: whatever happened to a secret, they never disagree."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rotation.engine.sweep import Sweeper
from rotation.errors import RotationError, Unreachable
from rotation.model import Force, Outcome, Reason, Result, RotationRequest
from rotation.policy.windows import parse_window
from tests.world import KINDS, NAME, REF, World

WORK = frozenset({Result.ROTATED, Result.RESUMED, Result.REPAIRED, Result.RETIRED})
HEARD = WORK | {Result.TAGS_LOST}  # what a sweep asks for: done, or to be told
# Where a run is cut off; the last ones are after all that its consumers see.
MOMENTS = (
    ("before", "append"), ("after", "append"), ("before", "change"), ("after", "change"), ("before", "set"),
    ("after", "set"), ("before", "set_enabled"), ("after", "set_enabled"),
)  # fmt: skip
HOURS = (0, 1, 5, 23, 25, 47, 71, 73, 24 * 8, 24 * 30, 24 * 61, 24 * 89)
WINDOWS = (None, parse_window("Sat,Sun 01:00-05:00 UTC"), parse_window("Mon-Sun 00:00-24:00 UTC"))


@dataclass(frozen=True)
class Wish:
    """What is asked for, but for the version."""

    reason: Reason = Reason.NEAR_EXPIRY
    force: Force = Force.NO
    early: bool = False
    demanded: bool = False
    restore_tags: bool = False
    pinned: str | None = "latest"

    def of(self, world: World) -> RotationRequest:
        version = {"latest": world.latest.version, "first": world.vault.all(NAME)[0].version, None: None}[self.pinned]
        return RotationRequest(
            REF, version, self.reason, "test", self.force, self.early, self.demanded, self.restore_tags
        )


@dataclass(frozen=True)
class Asked:
    """A run. cut: of which calls the how-manieth stops it."""

    wish: Wish
    cut: tuple[tuple[str, str], int] | None = None

    async def happens(self, to: "Life") -> None:
        left = self.cut[1] if self.cut else 0

        async def hook(when: str, call: str, _name: str) -> None:
            nonlocal left
            if self.cut is not None and (when, call) == self.cut[0]:
                left -= 1
                if left == 0:
                    raise Unreachable("cut off")

        world = to.world
        world.vault.hook = world.server.hook = world.ledger.hook = hook
        await said(world.engine.handle(self.wish.of(world)))
        world.listen_to_none()


@dataclass(frozen=True)
class Passes:
    hours: int

    async def happens(self, to: "Life") -> None:
        to.world.time.ahead(hours=self.hours)


@dataclass(frozen=True)
class Allows:
    """The policy is deployed anew, so that a sweep remembers nothing."""

    terms: tuple[tuple[str, Any], ...]

    async def happens(self, to: "Life") -> None:
        to.world.allow(**dict(self.terms))
        to.warm = None


@dataclass(frozen=True)
class Written:
    """By hand: what is there already and works, so that what a login would show is known.

    lives: days; None: for ever.
    """

    tags: str
    lives: int | None

    async def happens(self, to: "Life") -> None:
        world = to.world
        if not world.works(world.latest):
            return
        tags = {
            "same": dict(world.latest.tags),
            "usual": world.tags,
            "none": {},
            "short": {**world.tags, "lead-days": "1"},
        }
        world.time.ahead(minutes=6)  # within the clocks' skew a sweep that begins days later can't see it
        expires = None if self.lives is None else world.now + timedelta(days=self.lives)
        await world.vault.set(NAME, world.latest.value, tags=tags[self.tags], expires_on=expires)
        world.time.ahead(seconds=3)


@dataclass(frozen=True)
class Retagged:
    """The latest version's tags; one that nobody manages keeps its other tags."""

    managed: bool

    async def happens(self, to: "Life") -> None:
        world = to.world
        world.time.ahead(minutes=6)
        tags = {**world.tags, **world.latest.tags, "rotator": world.kind}
        if not self.managed:
            del tags["rotator"]
        await world.vault.set_tags(NAME, world.latest.version, tags)
        world.time.ahead(seconds=3)


class Owned(World):
    """Whose calls are all listened to."""

    def listen_to_none(self) -> None:
        async def nothing(_when: str, _call: str, _name: str) -> None:
            return

        self.vault.hook = self.server.hook = self.ledger.hook = nothing


@dataclass
class Life:
    """What happens to one secret. warm: a sweep that remembers."""

    world: Owned
    warm: Sweeper | None = None
    told: list[str] = field(default_factory=list)

    async def sweep(self) -> tuple[bool, bool]:
        """Whether a sweep asks for it: one that remembers, and one that does not."""
        self.warm = self.warm or Sweeper(self.world.ledger, self.world.policy)
        asks = []
        for sweeper in (self.warm, Sweeper(self.world.ledger, self.world.policy)):
            requests = [one async for one in sweeper.requests(self.world.vault, self.world.now) if one.ref == REF]
            asks.append(bool(requests))
        return asks[0], asks[1]


async def said(call: Awaitable[Outcome]) -> Result | type[RotationError]:
    try:
        return (await call).result
    except RotationError as error:
        return type(error)


wishes = st.builds(
    Wish,
    reason=st.sampled_from((Reason.NEAR_EXPIRY, Reason.SWEEP, Reason.OPERATOR)),
    force=st.sampled_from((Force.NO, Force.NO, Force.YES, Force.GRACE)),
    early=st.booleans(),
    demanded=st.booleans(),
    restore_tags=st.booleans(),
    pinned=st.sampled_from(("latest", "latest", "first", None)),
)
runs = st.builds(Asked, wishes, st.none() | st.tuples(st.sampled_from(MOMENTS), st.integers(1, 3)))
TERMS: dict[str, st.SearchStrategy[Any]] = {
    "min_interval": st.sampled_from((timedelta(), timedelta(hours=24), timedelta(days=70))),
    "window": st.sampled_from(WINDOWS),
    "verify_every": st.sampled_from((None, timedelta(hours=1), timedelta(hours=24), timedelta(hours=168))),
    "min_grace_hours": st.sampled_from((0, 100)),
}


ROTATED, SWEPT = Asked(Wish(force=Force.YES, demanded=True)), Asked(Wish(Reason.SWEEP))
UNCHECKED = Allows((("verify_every", None),))
# Where chance alone seldom leads.
BEGINNINGS: tuple[tuple[Any, ...], ...] = (
    (),
    (ROTATED,),
    (ROTATED, Passes(73)),
    (UNCHECKED, ROTATED, Passes(73)),
    (ROTATED, Passes(73), SWEPT),
    (ROTATED, Passes(73), SWEPT, Retagged(managed=False)),
    (ROTATED, Passes(25), Retagged(managed=False), Passes(25)),
    (SWEPT, Asked(ROTATED.wish, (("after", "change"), 1))),
    (SWEPT, Asked(ROTATED.wish, (("after", "change"), 1)), Retagged(managed=False)),
    (ROTATED, Passes(73), SWEPT, Asked(ROTATED.wish, (("after", "set"), 2))),
    (UNCHECKED, ROTATED, Written("usual", None), SWEPT, Retagged(managed=True)),
    (UNCHECKED, ROTATED, Passes(25), Written("none", 80), Passes(25)),
)


def lives(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """What happens, one after the other. more: terms of the policy."""
    terms = st.fixed_dictionaries({}, optional={**TERMS, **more})
    events = st.one_of(
        runs,
        st.just(SWEPT),
        st.builds(Passes, st.sampled_from(HOURS)),
        terms.map(lambda chosen: Allows(tuple(sorted(chosen.items())))),
        st.builds(Written, st.sampled_from(("same", "usual", "none", "short")), st.sampled_from((None, 5, 80))),
        st.builds(Retagged, st.booleans()),
    )
    return st.tuples(st.sampled_from(BEGINNINGS), st.lists(events, max_size=7)).map(lambda both: [*both[0], *both[1]])


kinds = st.sampled_from(KINDS)


async def lived(kind: str, events: list[Any], *, swept: bool = False) -> Life:
    world = Owned(kind)
    await world.start()
    life = Life(world)
    for event in events:
        await event.happens(life)
        if swept:
            await life.sweep()
    return life


# Who waits for readers asks the log each hour and writes nothing: only a plan can be held against that.
@given(
    kinds, lives(max_validity_days=st.sampled_from((90, 90, 30)), max_grace_hours=st.sampled_from((None, 120))), wishes
)
@settings(max_examples=150, deadline=None)
def test_a_plan_says_what_a_run_does(kind: str, events: list[Any], wish: Wish) -> None:
    async def agree() -> None:
        world = (await lived(kind, events)).world
        before = len(world.ledger.records(REF)), world.latest, list(world.server.changes)
        planned = await said(world.engine.plan(wish.of(world)))
        assert before == (len(world.ledger.records(REF)), world.latest, list(world.server.changes)), "only a plan"
        done = await said(world.engine.handle(wish.of(world)))
        assert (Result.PLANNED if done in WORK else done) == planned, f"{done}: {kind} {events} {wish}"

    asyncio.run(agree())


# What is not permitted is asked for when it is due, so that it is seen: `test_sweeper.py` has that.
@given(kinds, lives(), st.sampled_from(HOURS))
@settings(max_examples=150, deadline=None)
def test_a_sweep_asks_for_just_what_a_run_would_do_something_about(kind: str, events: list[Any], hours: int) -> None:
    async def agree() -> None:
        life = await lived(kind, events, swept=True)
        world = life.world
        world.time.ahead(hours=hours, seconds=5)
        asks = await life.sweep()
        before = len(world.ledger.records(REF))
        done = await said(world.engine.handle(Wish(Reason.SWEEP).of(world)))
        does = len(world.ledger.records(REF)) > before or done in HEARD or not isinstance(done, Result)
        steps = [record.step.value for record in world.ledger.records(REF)[before:]]
        assert asks == (does, does), f"{done} {steps}: {kind} {events} {hours}"

    asyncio.run(agree())


def test_a_reason_that_a_later_package_knows_is_read_as_another_one() -> None:
    assert Reason.read("sweep") is Reason.SWEEP
    assert Reason.read("audit-week") is Reason.OTHER
