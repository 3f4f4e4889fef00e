"""How long consumers are locked out by a kill, in simulated time: at each call of a rotation, of each kind.

The app's own handler, engine, policy and rotators. The queue is that of `tests.timed_queue`: what a killed host had in
hand is out of sight for ten minutes. The host is back after ten seconds.
"""

import asyncio
import random
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from app.messages import to_text
from app.shutdown import Shutdown
from handlers import rotate as handler
from rotation.engine.engine import Engine, EngineDependencies
from rotation.engine.run import Run
from rotation.errors import RotationError
from rotation.model import Outcome, Reason, RotationRequest
from tests.proof.rows import Row
from tests.proof.simulation.scheduler import Killed
from tests.proof.simulation.setting import KINDS, REF, Setting
from tests.timed_queue import POLLED_EVERY_S, Message, TimedQueue

IN_PLACE = ("postgres", "postgres+admin")
HOST_BACK_S = 10.0
WORKER_BACK_S = 3.0
TIMED_OUT_S = 10.0  # `functionTimeout`, as short as a test may set it; it ends the worker
LONGEST_S = 90.0
CALL_S = (0.0, 0.02, 0.1)  # half of one
STALLS_S = {"login": 26.0, "change": 26.0}  # within what a call of the provider's may take; others:
STALL_S = 10.0


class How(StrEnum):
    """What is killed."""

    HOST = "host"
    WORKER = "worker"
    TIME_OUT = "time-out"


@dataclass(frozen=True, slots=True)
class Told:
    """What one trial came to.

    locked_out_s: the longest time for which the latest version did not work. calls: how many there were. messages: that
    the queue handed out. lost: it never rotated, or does not work in the end.
    """

    locked_out_s: float
    calls: int
    messages: int
    lost: bool
    poison: int


@dataclass
class Trial:
    """One rotation, and what it takes to end it.

    kills: at which of all calls. stall: which one is slow. called: by HTTP, so that no message brings it back.
    """

    kind: str
    how: How
    kills: tuple[int, ...]
    seed: int = 0
    stall: int | None = None
    called: bool = False
    _count: int = 0
    _dead: bool = False
    _refused_since: float | None = None
    _longest: float = 0.0
    _messages: int = 0
    _back_at: float = 0.0

    async def run(self) -> Told:
        # What a dead process had under way ends with nobody who looks.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _what: None)
        self.rng = rng = random.Random(self.seed)
        self.world = Setting(self.kind, rng, timedelta(), None, lambda _staged: None)
        self.time = self.world.time
        self.queue = TimedQueue(self.time)
        with self.world.provider.simulated():
            await self.world.start()
            before = self.world.latest.version
            self.world.listen(self._called)
            self.queue.hook = self._called
            wish = self.queue.put(to_text(RotationRequest(REF, before, Reason.OPERATOR, "owner", demanded=True)))
            if self.called:
                self.queue.messages.remove(wish)
                await self._handle(wish)
            while self.queue.messages:
                await self._next()
                self._look()
        latest = self.world.latest
        lost = not self.world.works(latest) or (latest.version == before and not self.called)
        return Told(self._longest, self._count, self._messages, lost, len(self.queue.poison))

    async def _next(self) -> None:
        """The host's next message, whenever that is."""
        visible = min(message.visible_at for message in self.queue.messages)
        at = max(visible, self._back_at)
        now = self.time.monotonic()
        if at > now:
            self.time.ahead(seconds=at - now + self.rng.uniform(0.0, POLLED_EVERY_S))
            self._look()
        message = self.queue.take()
        if message is not None:
            self._messages += 1
            await self._handle(message)

    async def _handle(self, message: Message) -> None:
        began, world = self.time.monotonic(), self.world
        parts = EngineDependencies(
            world.vaults, world.ledger, world.policy, world._built, self.time.clock, self.rng, reminders=self.queue
        )
        app: Any = SimpleNamespace(
            engine=Engine(parts), notifier=SimpleNamespace(tell=_tell), request_queue=self.queue, shutdown=Shutdown()
        )
        try:
            await handler.rotate(app, message.text)
        except RotationError:
            self._brought_back(message)
            return
        except Killed:
            await _drained()  # with all that it had under way
        else:
            if message in self.queue.messages:
                self.queue.done(message)
            return
        self._dead = False
        match self.how:
            case How.HOST:
                self._back_at = self.time.monotonic() + HOST_BACK_S
                return
            case How.TIME_OUT:
                self.time.ahead(seconds=max(0.0, began + TIMED_OUT_S - self.time.monotonic()))
        self._brought_back(message)
        self._back_at = self.time.monotonic() + WORKER_BACK_S

    def _brought_back(self, message: Message) -> None:
        if message in self.queue.messages:
            self.queue.failed(message)

    async def _called(self, when: str, call: str, _name: str) -> None:
        if self._dead:
            raise Killed
        self._count += 1
        self.time.ahead(seconds=self.rng.choice(CALL_S))
        if self._count == self.stall:
            self.time.ahead(seconds=STALLS_S.get(call, STALL_S))
        self._look()
        if self._count in self.kills:
            self._dead = True
            raise Killed

    def _look(self) -> None:
        """A consumer's, who reads the latest version."""
        now = self.time.monotonic()
        if self.world.works(self.world.latest):
            self._refused_since = None
            return
        self._refused_since = now if self._refused_since is None else self._refused_since
        self._longest = max(self._longest, now - self._refused_since)


async def _tell(_outcome: Outcome) -> None:
    """Nobody listens."""


async def _drained() -> None:
    """Until every task of a killed process has met its end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


def calls_of(kind: str) -> int:
    """How many there are in a rotation that nothing disturbs."""
    return asyncio.run(Trial(kind, How.HOST, ()).run()).calls


def told(kind: str, how: How, kills: tuple[int, ...], **more: Any) -> Told:
    """One trial; more: as in `Trial`."""
    return asyncio.run(Trial(kind, how, kills, **more).run())


def at_each_call(kind: str, how: How, seeds: Iterable[int]) -> list[Told]:
    """One kill before and after every call of a rotation. Of four seeds one has a slow call, one is by HTTP."""
    return [
        told(
            kind, how, (at,), seed=seed, called=seed % 4 == 2,
            stall=random.Random(f"{at} {seed}").randint(1, at) if seed % 4 == 1 else None,
        )
        for seed in seeds
        for at in range(1, calls_of(kind) + 1)
    ]  # fmt: skip


def broken(kind: str, tolds: Iterable[Told]) -> list[Told]:
    """In place consumers wait for less than `LONGEST_S`, and nowhere else do they wait at all."""
    most = LONGEST_S if kind in IN_PLACE else 0.0
    return [one for one in tolds if one.lost or one.poison or one.locked_out_s > most]


def rows(pool: Executor, seeds: int = 4) -> list[Row]:
    """Each kind and each end of a process."""
    asked = [(kind, how) for kind in KINDS for how in How]
    found = dict(
        zip(asked, pool.map(at_each_call, *zip(*asked, strict=True), [range(seeds)] * len(asked)), strict=True)
    )
    bad = [(kind, how, one) for (kind, how), tolds in found.items() for one in broken(kind, tolds)]
    for kind, how, one in bad:
        sys.stdout.write(f"{kind}, {how} killed: {one}\n")
    most = {how: max(one.locked_out_s for kind in IN_PLACE for one in found[kind, how]) for how in How}
    longest = ", ".join(f"{how} {seconds:.0f} s" for how, seconds in most.items())
    promise = f"killed at any call: in place usable in {LONGEST_S:.0f} s, else nobody is locked out"
    return [Row(promise, sum(map(len, found.values())), len(bad), f"at most: {longest}")]


# Bugs on purpose: each must make consumers wait.

Switch = Callable[[], AbstractContextManager[Any]]


async def _called_off(run: Run) -> None:
    run._reminder.over()
    await run._reminder.called_off()


async def _dropped(_queue: TimedQueue, _request: RotationRequest, _seconds: int) -> None:
    """Instead of `put_back`."""


BUGS: dict[str, Switch] = {
    "no reminder": lambda: patch.object(Run, "remind", lambda _run, _version: None),
    "the reminder called off before the change": lambda: patch.object(Run, "reminded", _called_off),
    "a reminder that comes while the dead run's lease lasts is dropped": lambda: patch.object(
        TimedQueue, "put_back", _dropped
    ),
}
