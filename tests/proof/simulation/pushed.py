"""Refresh targets in a story: they can be down in many ways, and what is promised of asking them.

Whether a story has any, and what becomes of them, is drawn from a generator of its own: the other stories stay as they
are, seed for seed.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from rotation.engine.reminders import NoReminders, Reminder
from rotation.errors import Gone, Refused, RotationError, Throttled, Unreachable
from rotation.ledger.records import AboutTo, Record, Step
from rotation.model import Force, Outcome, Reason, RotationRequest, SecretRef, SecretValue
from rotation.refresh_targets import RefreshOrder
from rotation.terms import Refresh
from tests.fakes import Hook, no_hook
from tests.proof.simulation.promises import Promise, Violation
from tests.proof.simulation.setting import REF, Also, Setting

KEY_SECRET = "hook-key"
TARGETS = (
    Refresh("app-settings", "/subscriptions/s/resourcegroups/g/providers/microsoft.web/sites/shop"),
    Refresh("github", "contoso/orders", (("workflow", "refresh.yml"), ("ref", "main"))),
    Refresh("webhook", "https://shop.example/hook", (), ("kv", KEY_SECRET)),
)
# As docs/adr/0050 has them: not taken from the app, so that a change there is noticed.
WAITS_S = (10, 60, 5 * 60, 30 * 60, 2 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)
TRIES = 9
EARLY_S = 2.0
PROVES = frozenset({Step.VERIFIED, Step.ADOPTED, Step.ROTATED, Step.REPAIRED})
PUBLISHES = frozenset({Step.PUBLISHED, Step.REPAIRED})
FAILED, GIVEN_UP = "failed", "given_up"
SOON_S = 600  # messages that come later are delivered between the sweeps


class Mood(StrEnum):
    """How a refresh target answers for a while."""

    REFUSES = "refuses"
    THROTTLES = "throttles"
    DOWN = "is down"
    LOSES_ANSWERS = "loses its answers"
    BREAKS = "breaks its client"
    GONE = "wants no more calls"


@dataclass
class Target:
    """until: from then on it answers; at once, where that lies in the past."""

    refresh: Refresh
    mood: Mood
    until: datetime


@dataclass(frozen=True, slots=True)
class Arrived:
    """A call that took effect."""

    order: RefreshOrder
    at: datetime


class RefreshTargets:
    """Keeps `rotation.refresh_targets.Refresher`, for all kinds. `on_call` is told of each call, answered or not."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = {one.refresh.name: one for one in targets}
        self.arrived: list[Arrived] = []
        self.hook: Hook = no_hook
        self.now: Callable[[], datetime] = datetime.now
        self.on_call: Callable[[RefreshOrder], None] = lambda _order: None

    async def refresh(self, order: RefreshOrder) -> None:
        await self.hook("before", "refresh", order.refresh.name)
        self.on_call(order)
        target = self.targets[order.refresh.name]
        in_mood = self.now() < target.until
        if in_mood and target.mood is not Mood.LOSES_ANSWERS:
            raise _answer(target.mood)
        self.arrived.append(Arrived(order, self.now()))
        await self.hook("after", "refresh", order.refresh.name)
        if in_mood:
            raise Unreachable("the answer is lost")

    def answers(self, name: str) -> bool:
        """Whether it is in no mood."""
        return self.now() >= self.targets[name].until


def _answer(mood: Mood) -> Exception:
    match mood:
        case Mood.REFUSES:
            return Refused("the app may not do that there")
        case Mood.THROTTLES:
            return Throttled("too many calls", retry_after_s=20)
        case Mood.GONE:
            return Gone("410")
        case Mood.BREAKS:
            return ValueError("of a library")
        case _:
            return Unreachable("nobody answers")


@dataclass
class Pushed:
    """Each `check_…` raises Violation.

    has_queue: whether messages are left for what failed; else the sweep alone asks again. stays_down: one is never
    reached. at_rest: no run meets another any more. follower_written: when a run wrote a follower last.
    """

    rng: random.Random
    told: list[str]
    targets: RefreshTargets
    has_queue: bool
    at_rest: bool = False
    follower_written: datetime | None = None
    messages: list[tuple[datetime, RotationRequest]] = field(default_factory=list)
    at_once: Callable[[RotationRequest, int], None] | None = None
    _deployed: list[tuple[datetime, tuple[str, ...]]] = field(default_factory=list)
    _world: Setting | None = None
    _leader: Callable[[], SecretRef] = field(default=lambda: REF)

    @classmethod
    def drawn(cls, seed: str, share: float, told: list[str], start: datetime) -> "Pushed | None":
        """None in most stories. start: when the story begins."""
        rng = random.Random(f"refresh targets {seed}")
        if rng.random() >= share:
            return None
        chosen = rng.sample(TARGETS, rng.choice((1, 2, 2, 3)))
        hours = (0, 0, 0, 0.02, 0.5, 3, 40, 2000)
        moods = [Target(one, rng.choice([*Mood]), start + timedelta(hours=rng.choice(hours))) for one in chosen]
        told.append("; ".join(f"{one.refresh.name} {one.mood} until {one.until}" for one in moods))
        return cls(rng, told, RefreshTargets(moods), has_queue=rng.random() < 0.5)

    def add_to(self, also: Also) -> None:
        """What the rule and the engine get of it."""
        also.terms["refresh"] = tuple(one.refresh for one in self.targets.targets.values())
        also.parts["refresher"] = lambda _kind: self.targets
        also.parts["reminders"] = self if self.has_queue else NoReminders()
        also.listeners.append(self.targets)

    async def begin(self, world: Setting, leader: Callable[[], SecretRef] | None = None) -> None:
        """The key that a webhook is signed with is there; and from here on each call is looked at."""
        self._world, self.targets.now, self.targets.on_call = world, world.time.now, self._called
        self._leader = leader or self._leader
        self._deployed.append((world.now, tuple(self.targets.targets)))
        await world.vault.set(KEY_SECRET, SecretValue(f"{self.rng.getrandbits(256):064x}"), tags={})

    @property
    def world(self) -> Setting:
        assert self._world is not None
        return self._world

    @property
    def records(self) -> Sequence[Record]:
        return self.world.ledger.records(self._leader())

    # the queue

    async def leave(self, request: RotationRequest, after_s: int) -> Reminder | None:
        """As `rotation.engine.reminders.Reminders`, for refresh targets alone."""
        if request.reason is not Reason.REFRESH:
            return None
        if self.at_once is not None and after_s <= SOON_S:
            self.at_once(request, after_s)
        else:
            self.messages.append((self.world.now + timedelta(seconds=after_s), request))
        return None

    def delivered(self) -> list[RotationRequest]:
        """The messages whose time has come."""
        now = self.world.now
        due = [request for at, request in self.messages if at <= now]
        self.messages = [(at, request) for at, request in self.messages if at > now]
        return due

    # by hand

    def deploy_another(self) -> None:
        """Perhaps, between two runs: a target is taken out, or moves to the rule of another secret."""
        if self.rng.random() >= 0.25 or len(self.targets.targets) == 1:
            return
        rule = self.world.policy.rules[0]
        out, *left = self.rng.sample(rule.terms.refresh, len(rule.terms.refresh))
        rules = [self.world.with_terms(rule, refresh=tuple(left))]
        if self.rng.random() < 0.5:
            other = self.world.with_terms(rule, refresh=(out,), followers=())
            rules.append(type(rule)(rule.vaults, ("reports*",), rule.rotators, other.terms, rule.targets))
        self.world.deploy(*rules)
        self.world.terms = rules[0].terms
        self._deployed.append((self.world.now, tuple(one.name for one in left)))
        self.told.append(f"{self.world.time.monotonic():.1f} by hand: {out.name} is taken out of the rule")

    def _listed(self, at: datetime) -> tuple[str, ...]:
        """Whom the rule of the secret named then."""
        return next((names for since, names in reversed(self._deployed) if since <= at), ())

    # at any time

    def _called(self, order: RefreshOrder) -> None:
        name, records, now = order.refresh.name, self.records, self.world.now
        self.told.append(f"{self.world.time.monotonic():.1f} {name} is asked to take {order.version[:6]}")
        if order.ref != self._leader() or name not in self._listed(now):
            raise Violation(Promise.TAKEN, f"{name} is asked about {order.ref}, whose rule does not name it")
        if not any(one.step in PROVES and one.version == order.version for one in records):
            raise Violation(Promise.TAKEN, f"{name} is asked to take a version that is not proven yet")
        places = [at for at, one in enumerate(records) if _lists(one) and one.operation_id == order.operation_id]
        if not places:
            raise Violation(Promise.TAKEN, f"{name} is asked, and no record says so")
        later = records[places[-1] + 1 :]
        if any(one.step in PUBLISHES for one in later):
            raise Violation(Promise.TAKEN, f"{name} is asked to take a version that is not the latest any more")
        states = [(one.at, one.refreshed[name]) for one in later if one.refreshed and name in one.refreshed]
        failed = [at for at, state in states if state == FAILED]
        if len(failed) < len(states):
            raise Violation(Promise.TAKEN, f"{name} is asked again though that has ended")
        if len(failed) >= TRIES:
            raise Violation(Promise.TAKEN, f"{name} is asked for ever")
        if failed and now < failed[-1] + timedelta(seconds=WAITS_S[len(failed) - 1] - EARLY_S):
            raise Violation(Promise.TAKEN, f"{name} is asked again before its time")
        self._check_follows(name, records[places[-1]])

    def _check_follows(self, name: str, record: Record) -> None:
        """Asked for the sake of followers: one has another version than the one that was to be replaced, or is gone."""
        if record.about_to != AboutTo.FOLLOW:
            return
        for ref, version in (record.followers or {}).items():
            vault, _, follower = ref.partition("/")
            kept = self.world.vaults[vault].all(follower)
            if not kept or kept[-1].version != version or "follows" not in kept[-1].tags:
                return
        raise Violation(Promise.TAKEN, f"{name} is asked for the sake of followers that were not written")

    def heard(self, outcome: Outcome, before: int) -> None:
        """Of a run that met no other: what it recorded of refresh targets, its outcome says. before: records then."""
        if not self.at_rest:
            return
        recorded = {name: state for one in self.records[before:] for name, state in (one.refreshed or {}).items()}
        said = {one.name: one.state.value for one in outcome.refreshed}
        if recorded != said:
            raise Violation(Promise.TAKEN, f"the history says {recorded}, and the outcome {said}")
        for name, state in recorded.items():
            if state in {FAILED, GIVEN_UP} and name not in outcome.detail:
                raise Violation(Promise.TAKEN, f"{name} {state}, and the outcome does not say why")

    # once nothing goes wrong any more

    def check_caught_up(self) -> None:
        """After a sweep that nothing disturbed: whoever answers by now, and was due, was asked."""
        for name, since, tries in self._owed():
            wait = WAITS_S[min(tries, len(WAITS_S)) - 1] if tries else 0
            if self.targets.answers(name) and self.world.now > since + timedelta(seconds=wait + 1):
                raise Violation(Promise.TAKEN, f"{name} was due, and the sweep had nobody ask it")

    def _owed(self) -> list[tuple[str, datetime, int]]:
        """Of the newest version that a run published and that is proven: who never took it, since when, after how many
        tries that failed."""
        records = self.records
        places = [at for at, one in enumerate(records) if one.step in PUBLISHES]
        if not places:
            return []
        publication, later = records[places[-1]], records[places[-1] + 1 :]
        if not any(one.step in PROVES and one.version == publication.version for one in records):
            return []
        found = []
        for name in self._listed(publication.at):
            states = [(one.at, one.refreshed[name]) for one in later if one.refreshed and name in one.refreshed]
            over = any(state == GIVEN_UP for _, state in states)
            if name in self._listed(self.world.now) and not over and not self._took(name, publication.version):
                since = max([at for at, _ in states], default=publication.at)
                found.append((name, since, len(states)))
        return found

    @property
    def _follows(self) -> bool:
        """Whether a follower was written later, which begins the tries anew; the records alone don't tell when."""
        return any(one.about_to == AboutTo.FOLLOW and one.refresh for one in self.records)

    def _took(self, name: str, version: str | None) -> bool:
        return any(one.order.refresh.name == name and one.order.version == version for one in self.targets.arrived)

    def check_end(self) -> None:
        """Days later: each took the newest version and what followers got after it, or was given up after its tries."""
        for name, _, tries in self._owed():
            if self.targets.answers(name) or (tries >= TRIES and not self._follows):
                raise Violation(Promise.TAKEN, f"{name} was never asked to take the latest version")
        self._check_given_up()
        if self.follower_written is None:
            return
        for name in self._listed(self.follower_written):
            last = max((one.at for one in self.targets.arrived if one.order.refresh.name == name), default=None)
            late = last is None or last < self.follower_written
            over = any(one.refreshed and one.refreshed.get(name) == GIVEN_UP for one in self.records)
            if late and not over and self.targets.answers(name) and name in self._listed(self.world.now):
                raise Violation(Promise.TAKEN, f"{name} was not asked since a follower was written")

    def _check_given_up(self) -> None:
        """After the last try, and not before; but for who wanted that."""
        if self._follows:
            return
        failed: dict[str, int] = {}
        for record in self.records:
            if _lists(record):
                failed = {}
            for name, state in (record.refreshed or {}).items():
                failed[name] = failed.get(name, 0) + (state in {FAILED, GIVEN_UP})
                wanted = self.targets.targets[name].mood is Mood.GONE
                if state == GIVEN_UP and failed[name] < TRIES and not wanted:
                    raise Violation(Promise.TAKEN, f"{name} was given up after {failed[name]} tries")
                if failed[name] >= TRIES and state != GIVEN_UP:
                    raise Violation(Promise.TAKEN, f"{name} was not given up after {TRIES} tries")


async def check_changes_nothing(kind: str, offset: timedelta, seed: int) -> None:
    """The same requests with refresh targets that are all down, and without any: all but what is said of them is so."""
    plain = await _course(kind, offset, seed, None)
    rng = random.Random(f"all are down {seed}")
    down = [Target(one, rng.choice([*Mood]), datetime.max.replace(tzinfo=UTC)) for one in TARGETS]
    if plain != await _course(kind, offset, seed, RefreshTargets(down)):
        raise Violation(Promise.TAKEN, "refresh targets are down, and a rotation came out differently")


async def _course(kind: str, offset: timedelta, seed: int, targets: RefreshTargets | None) -> list[object]:
    """Two rotations, and four days after each; -> what came of each request, the versions, and the records."""
    also = Also()
    if targets is not None:
        also.terms["refresh"] = TARGETS[:2]  # whose calls need no secret
        also.parts["refresher"] = lambda _kind: targets
    world = Setting(kind, random.Random(f"a quiet course {seed}"), offset, None, lambda _staged: None, also)
    if targets is not None:
        targets.now = world.time.now
    found: list[object] = []
    with world.provider.simulated():
        await world.start()
        for hours in (0, 1, 25, 50, 25, 0, 1, 75):
            world.time.ahead(hours=hours)
            demanded = hours == 0
            reason = Reason.OPERATOR if demanded else Reason.SWEEP
            request = RotationRequest(REF, world.latest.version, reason, "quietly", demanded=demanded)
            try:
                outcome = await world.engine.handle(replace(request, force=Force.YES if demanded else Force.NO))
            except RotationError as error:
                found.append((type(error), error.message))
            else:
                found.append(replace(outcome, detail="", refreshed=()))
    records = [replace(one, refresh=None) for one in world.ledger.records(REF) if not one.refreshed]
    return [*found, world.versions, world.staged, records]


def _lists(record: Record) -> bool:
    """Of a version that nothing staged shows to be a run's own, its adoption lists them."""
    may = record.about_to == AboutTo.FOLLOW or record.step is Step.ADOPTED
    return record.step in PUBLISHES or (may and bool(record.refresh))
