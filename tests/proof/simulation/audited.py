"""A vault's audit log in a story, and who reads the secret: what `retire = "when-unread"` promises.

Lines come late; at times the log can't be had, ends, or begins too late. Some readers read every hour, some seldom,
some only once. All of it is drawn from a generator of its own: the other stories stay as they are, seed for seed.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotation.errors import NoAuditLog, Refused, RotationError, Throttled, Unreachable
from rotation.ledger.history import History
from rotation.ledger.records import AboutTo, Record, Step
from rotation.model import Secret
from rotation.readers import Heard, Question, Reads, readers_of
from tests.fakes import Hook, no_hook
from tests.proof.simulation.promises import Promise, Violation
from tests.proof.simulation.setting import REF, THURSDAY, Also, Setting

KINDS = frozenset(
    {"postgres-alternating", "postgres-alternating+admin", "storage-key", "entra-app-secret", "generated"}
)  # in place no old credential lives on
BOUNDS_H = (80, 100, 120, 150)
DAYS_BEFORE, DAYS_AFTER = 6, 30
BEAT_S = 600  # somebody reads something in the vault so often
SURE = timedelta(hours=1)  # lines older than this by the log's newest one have all come
MOST_LATE_S = 55 * 60
ERRORS: tuple[RotationError, ...] = (
    NoAuditLog("no audit log is configured"),
    Refused("the log may not be read"),
    Throttled("too many queries", retry_after_s=30),
    Unreachable("half an answer"),
)


@dataclass(frozen=True, slots=True)
class Read:
    """One line: a version is read at a time of the vault's clock; the log shows it from `shown` on."""

    at: datetime
    shown: datetime


@dataclass
class Habit:
    """One identity. names_version: whether its lines say which version they got."""

    object_id: str
    names_version: bool
    reads: list[Read]


@dataclass
class AuditLog:
    """Keeps `rotation.readers.Readers`. All times are of the vault's clock.

    begins: older lines are not there. stopped: from and to when none arrive. away: when it can't be had, and why.
    heard_sound: since `check_…` looked last, whether an answer said that nobody holds the old value.
    """

    rng: random.Random
    bound_h: int
    habits: list[Habit]
    begins: datetime
    stopped: tuple[datetime, datetime]
    away: tuple[datetime, datetime, RotationError]
    hook: Hook = no_hook
    heard_sound: bool = False
    _world: Setting | None = None
    _seen: int = 0

    @classmethod
    def drawn(cls, seed: str, share: float, kind: str, told: list[str], offset: timedelta) -> "AuditLog | None":
        """None in most stories. offset: by how much the vault's clock is ahead."""
        rng = random.Random(f"readers {seed}")
        if kind not in KINDS or rng.random() >= share:
            return None
        start = THURSDAY + offset

        def at(*hours: float) -> datetime:
            return start + timedelta(hours=rng.choice(hours))

        stops = at(-30, -2, 0, 0, 1, 70)
        stopped = stops, stops + timedelta(hours=rng.choice((0, 0, 0, 3, 90, 140)))
        gone = at(0, 60, 70)
        away = gone, gone + timedelta(hours=rng.choice((0, 0, 0, 15, 60, 2000))), rng.choice(ERRORS)
        begins = start + timedelta(hours=rng.choice((-2000, -2000, -2000, -1, 1)))
        habits = [_habit(rng, start, stopped) for _ in range(rng.randint(0, 4))]
        bound = rng.choice(BOUNDS_H)
        told.append(
            f"when-unread, {bound} h at most; lines from {begins}, none {stopped[0]} to {stopped[1]}; "
            f"away {away[0]} to {away[1]}; "
            + "; ".join(f"{one.object_id[:4]} reads {len(one.reads)}" for one in habits)
        )
        return cls(rng, bound, habits, begins, stopped, away)

    def add_to(self, also: Also) -> None:
        """What the rule and the engine get of it."""
        also.terms["max_grace_hours"] = self.bound_h
        also.parts["readers"] = self
        also.listeners.append(self)

    def begin(self, world: Setting) -> None:
        """Where they read."""
        self._world = world

    @property
    def world(self) -> Setting:
        assert self._world is not None
        return self._world

    @property
    def _now(self) -> datetime:
        return self.world.vault._clock.now()

    # the port

    async def ask(self, question: Question) -> Heard:
        await self.hook("before", "readers", question.secret.name)
        since, until, error = self.away
        if since <= self._now < until:
            raise error
        lines = [line for one in self.habits for line in self._lines(one, question)]
        newest = self._newest()
        begins = self.begins if newest is None or newest >= self.begins else None
        heard = Heard(readers_of(lines, question), self._now, begins, newest if begins is not None else None)
        await self.hook("after", "readers", question.secret.name)
        if all(one.last_new is not None for one in heard.readers) and self._tells(heard, question):
            self.heard_sound = True
        return heard

    @staticmethod
    def _tells(heard: Heard, question: Question) -> bool:
        """Whether it reaches from before the publication to so long after it that every older line has come."""
        if heard.log_from is None or heard.log_until is None:
            return False
        return heard.log_from <= question.published_at and heard.log_until >= question.published_at + SURE

    def _lines(self, habit: Habit, question: Question) -> list[Reads]:
        """What the log shows of one identity by now, as the query of `rotation.stores.audit_log` sums it up."""
        found: dict[tuple[str | None, bool], datetime] = {}
        for read in self._until_now(habit):
            version = self._latest_at(read.at)
            if read.shown > self._now or read.at < max(question.since, self.begins) or version is None:
                continue
            key = version.version if habit.names_version else None, read.at > question.published_at
            found[key] = max(read.at, found.get(key, read.at))
        return [
            Reads(habit.object_id, f"c{habit.object_id[1:]}", None, None, version, after, last)
            for (version, after), last in found.items()
        ]

    def _until_now(self, habit: Habit) -> Sequence[Read]:
        return habit.reads[: bisect_right(habit.reads, self._now, key=lambda one: one.at)]

    def _latest_at(self, at: datetime) -> Secret | None:
        """What a reader got then: who reads by name gets the latest version."""
        versions = self.world.versions
        place = bisect_right(versions, at, key=lambda one: one.created_on)
        return versions[place - 1] if place else None

    def _newest(self) -> datetime | None:
        """The newest line about the vault that has arrived: of somebody who reads something every ten minutes."""
        now, (stops, goes_on) = self._now, self.stopped
        last = min(now, stops) if now < goes_on else now
        shown = last - timedelta(seconds=self.rng.choice((60, 300, MOST_LATE_S)) + self.rng.choice((0, BEAT_S)))
        return shown if shown >= self.begins else None

    # what is promised

    def check_always(self) -> None:
        """After each step of anybody: what is about to be retired has no reader who is known to hold it."""
        records = self.world.ledger.records(REF)
        for place in range(self._seen, len(records)):
            if records[place].about_to == AboutTo.RETIRE or records[place].step is Step.RETIRED:
                self._check_retiring(records[:place], records[place])
        self._seen = len(records)

    def _check_retiring(self, before: Sequence[Record], record: Record) -> None:
        versions, known = self.world.versions, History(before).versions()
        latest = versions[-1]
        held = [at for at, one in enumerate(versions[:-1]) if known.get(one.version) == record.slot]
        if not held or latest.version not in known:
            return  # a person wrote in between: what a run had asked about is not what there is now
        superseded = versions[held[-1] + 1].created_on
        if self._now >= superseded + timedelta(hours=self.bound_h):
            return
        if self._can_not_tell(latest.created_on):
            raise Violation(Promise.UNREAD, "an old slot is ended, and nobody could tell who holds it")
        for habit in self.habits:
            if self._holds(habit, {versions[at].version for at in held}, latest):
                raise Violation(Promise.UNREAD, "an old slot is ended, and a reader holds it still")

    def _can_not_tell(self, published_at: datetime) -> bool:
        since, until, _ = self.away
        stops, goes_on = self.stopped
        silent = stops <= self._now < goes_on and stops < published_at + SURE
        return since <= self._now < until or silent or self.begins > published_at

    def _holds(self, habit: Habit, old: set[str], latest: Secret) -> bool:
        """Whether it read one of them before the last publication, and nothing since. Nobody knows of a read before the
        log began."""
        reads = [read for read in self._until_now(habit) if read.at >= self.begins]
        if any(read.at > latest.created_on for read in reads):
            return False
        return any((got := self._latest_at(read.at)) is not None and got.version in old for read in reads)

    def check_waits_for_nobody(self, waiting: frozenset[str]) -> None:
        """After a sweep that nothing disturbed. waiting: slots that live on though their grace is over."""
        if self.heard_sound and waiting:
            raise Violation(Promise.UNREAD, "an old slot waits, and nobody holds it")
        self.heard_sound = False


def _habit(rng: random.Random, start: datetime, stopped: tuple[datetime, datetime]) -> Habit:
    """Reads by the hour, the day or the week; or once, before or about the time of the publication; from a day on."""
    object_id = f"a{rng.getrandbits(28):07x}-0000-4000-8000-{rng.getrandbits(48):012x}"
    first = start - timedelta(hours=rng.choice((24 * DAYS_BEFORE, 24, 3, 0.3, 0.1)) * rng.random())
    every = rng.choice((1.7, 26.0, 90.0, 200.0, None, None))
    times = [first]
    while every is not None and times[-1] < start + timedelta(days=DAYS_AFTER):
        times.append(times[-1] + timedelta(hours=every * rng.uniform(0.8, 1.2)))
    return Habit(object_id, rng.random() < 0.8, [Read(at, _shown(rng, at, stopped)) for at in times])


def _shown(rng: random.Random, at: datetime, stopped: tuple[datetime, datetime]) -> datetime:
    arrives = at + timedelta(seconds=rng.uniform(60, MOST_LATE_S))
    return stopped[1] if stopped[0] <= arrives < stopped[1] else arrives
