"""Runs engines side by side, one step at a time, in an order that a seed decides: the same seed, the same story.

Every call of a fake waits in `Scheduler.hook` before and after it takes effect. Nothing else can let an engine wait, so
that once the loop has nothing to do, all that goes on is known, and the seed chooses which call goes on, and how.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from rotation.engine.fence import Limits
from rotation.engine.unread import PATIENCE_S
from rotation.errors import RotationError, Throttled, Unreachable
from tests.fakes import FakeClock

LIMITS = Limits()
CALL_LIMITS_S = {
    **dict.fromkeys(("get", "versions", "list", "set", "set_enabled", "set_tags"), LIMITS.vault_call),
    **dict.fromkeys(("change", "login", "refresh"), LIMITS.provider_call),
    "readers": PATIENCE_S,
    "bind": LIMITS.ledger_call,
}
NEVER_FAILS = frozenset({"release", "rest"})


class Killed(BaseException):
    """Nothing of ours catches it, as nothing catches SIGKILL."""


@dataclass
class Actor:
    """One process at work. Once dead, none of its calls takes effect any more."""

    name: str
    starts_at: float
    work: Callable[[], Coroutine[Any, Any, None]]
    task: asyncio.Task[None] | None = None
    dead: bool = False
    stalled_until: float = 0.0
    stops: Sequence["Stop"] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """At the first call of this kind a process is killed, or stands still for so long. name: any, if there is none.

    Of several, each is looked for only once the one before has come.
    """

    when: str
    call: str
    name: str | None = None
    stands_still_s: float | None = None

    def is_at(self, pause: "_Pause") -> bool:
        return (self.when, self.call) == (pause.when, pause.call) and self.name in {None, pause.name}


@dataclass
class _Pause:
    actor: Actor
    when: str
    call: str
    name: str
    since: float
    go_on: asyncio.Future[None]


@dataclass
class Plan:
    """How much goes wrong in one story."""

    kills: int = 0
    refusals: int = 0  # a call that fails before it takes effect
    lost_answers: int = 0  # one that fails after it
    stalls: int = 0  # a process that stands still for longer than its lease lasts
    outages: int = 0  # the provider is down for a while


_actor: ContextVar[Actor | None] = ContextVar("_actor", default=None)


@dataclass
class Scheduler:
    """`on_change` is called after each step, for what must hold at any time; `log` is told all that happens."""

    random: random.Random
    clock: FakeClock
    plan: Plan
    on_change: Callable[[], None]
    outage: Callable[[bool], str]
    log: list[str]
    _actors: list[Actor] = field(default_factory=list)
    _waiting: list[_Pause] = field(default_factory=list)
    _outage_until: float | None = None

    def add(
        self, name: str, starts_in_s: float, work: Callable[[], Coroutine[Any, Any, None]], stops: Sequence[Stop] = ()
    ) -> None:
        """A process that begins its work later."""
        self._actors.append(Actor(name, self.clock.monotonic() + starts_in_s, work, stops=stops))

    async def hook(self, when: str, call: str, name: str) -> None:
        """What the fakes wait for. Work that no actor does (the owner's set-up) does not wait."""
        actor = _actor.get()
        if actor is None:
            return
        if actor.dead:
            raise Killed
        pause = _Pause(actor, when, call, name, self.clock.monotonic(), asyncio.get_running_loop().create_future())
        self._waiting.append(pause)
        await pause.go_on

    async def rest(self, seconds: float) -> None:
        """As long as a message waits in the queue before it is delivered again."""
        actor = _actor.get()
        if actor is not None:
            actor.stalled_until = self.clock.monotonic() + seconds
            await self.hook("while in", "rest", "queue")

    async def run(self) -> None:
        """Until every actor is done or dead."""
        try:
            await self._run()
        finally:
            for actor in self._actors:
                actor.dead = True
            for pause in self._waiting:
                pause.go_on.set_exception(Killed())
            self._waiting.clear()
            await asyncio.gather(*(actor.task for actor in self._actors if actor.task))
            self.outage(False)

    async def _run(self) -> None:
        while True:
            await _idle()
            self._start_due()
            await _idle()
            ready = [one for one in self._waiting if one.actor.stalled_until <= self.clock.monotonic()]
            if not ready:
                if not self._jump():
                    break
                continue
            # Every now and then one actor gets ahead of the others by more than a step.
            pause = ready[0] if self.random.random() < 0.3 else self.random.choice(ready)
            self._waiting.remove(pause)
            self._go_on(pause)
            await _idle()
            self.on_change()

    def _start_due(self) -> None:
        for actor in self._actors:
            if actor.task is None and actor.starts_at <= self.clock.monotonic():
                token = _actor.set(actor)
                actor.task = asyncio.create_task(_alive(actor))
                _actor.reset(token)

    def _jump(self) -> bool:
        """To the next moment at which somebody goes on; False: nobody will."""
        moments = [actor.starts_at for actor in self._actors if actor.task is None]
        moments += [pause.actor.stalled_until for pause in self._waiting]
        if not moments:
            return False
        self.clock.ahead(seconds=max(0.0, min(moments) - self.clock.monotonic()) + 0.001)
        return True

    def _go_on(self, pause: _Pause) -> None:
        chance = self.random.random()
        self.clock.ahead(seconds=self.random.choice((0.0, 0.01, 0.2, 2.0)))
        now = self.clock.monotonic()
        self._weather(now)
        plan, actor = self.plan, pause.actor
        told = f"{now:.1f} {actor.name} {pause.when} {pause.call} {pause.name}"
        if actor.stops and actor.stops[0].is_at(pause):
            told += self._stop(actor, actor.stops[0], pause, now)
        elif plan.kills and chance < 0.03:
            plan.kills -= 1
            self._kill(actor, pause)
            told += ": KILLED"
        elif plan.stalls and chance < 0.07:
            plan.stalls -= 1
            actor.stalled_until = now + self.random.choice((20, 65, 130, 250))
            self._waiting.append(pause)
            told += f": stands still until {actor.stalled_until:.1f}"
        elif (error := self._failure(pause, chance, now)) is not None:
            pause.go_on.set_exception(error)
            told += f": {type(error).__name__}"
        else:
            pause.go_on.set_result(None)
        self.log.append(told)

    def _stop(self, actor: Actor, stop: Stop, pause: _Pause, now: float) -> str:
        if stop.stands_still_s is None:
            self._kill(actor, pause)
            return ": KILLED"
        actor.stops, actor.stalled_until = actor.stops[1:], now + stop.stands_still_s
        self._waiting.append(pause)
        return f": stands still until {actor.stalled_until:.1f}"

    def _failure(self, pause: _Pause, chance: float, now: float) -> RotationError | None:
        if pause.call in NEVER_FAILS:
            return None
        limit = CALL_LIMITS_S.get(pause.call)
        if limit is not None and now - pause.since > limit:
            return Unreachable("no answer within the call's limit")
        if pause.when == "before" and self.plan.refusals and chance < 0.12:
            self.plan.refusals -= 1
            return Throttled("429", retry_after_s=1) if self.random.random() < 0.5 else Unreachable("5xx")
        if pause.when == "after" and self.plan.lost_answers and chance < 0.15:
            self.plan.lost_answers -= 1
            return Unreachable("the answer is lost")
        return None

    def _kill(self, actor: Actor, pause: _Pause) -> None:
        actor.dead = True
        for one in [pause, *(one for one in self._waiting if one.actor is actor)]:
            one.go_on.set_exception(Killed())
        self._waiting = [one for one in self._waiting if one.actor is not actor]

    def _weather(self, now: float) -> None:
        if self._outage_until is not None and now >= self._outage_until:
            self._outage_until = None
            self.outage(False)
        elif self._outage_until is None and self.plan.outages and self.random.random() < 0.05:
            self.plan.outages -= 1
            self._outage_until = now + self.random.choice((1, 20, 90))
            self.log.append(f"{now:.1f} the provider is {self.outage(True)}")


async def _alive(actor: Actor) -> None:
    with contextlib.suppress(Killed, RotationError):  # the owner's own calls fail as everybody's do
        await actor.work()


async def _idle() -> None:
    """Return once nothing but the caller could run."""
    loop: Any = asyncio.get_running_loop()
    # What CPython's loops keep it in; there is no public way to ask.
    while loop._ready:  # noqa: ASYNC110  no event tells that nothing is left to do
        await asyncio.sleep(0)
