"""The acts, in their order: of several stacks all but one wait most of the time, and so they run side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from local.stack import Stack
from tests.e2e.deployment import opened
from tests.e2e.leaks import leaks, places, values_of
from tests.real_host import answers, figures
from tests.real_host.bad_calls import BadCalls
from tests.real_host.checks import Checks
from tests.real_host.host import RealHost
from tests.real_host.kills import TIME_OUT_S, Kills, lock_out
from tests.real_host.main_job import MainJob
from tests.real_host.seen import Seen, seen
from tests.real_host.stage import RealStack
from tests.real_host.webhook import Webhook

STACKS = ("main", "killed", "kills", "ours")
REAL, OURS = "real", "python"


class Lane:
    """On one folder; `executable` is the real host's."""

    def __init__(self, data: Path, executable: Path, checks: Checks) -> None:
        self._data = data
        self._executable = executable
        self._checks = checks
        self._answers: list[str] = []
        self._hosts: list[RealHost] = []

    async def run(self) -> None:
        """All acts. A killed host's message comes back after ten minutes: its stack begins first, and is waited for."""
        killed = asyncio.Event()
        begun = [asyncio.create_task(self._killed(killed))]
        await killed.wait()
        killed.clear()
        begun.append(asyncio.create_task(self._ours(killed)))
        await killed.wait()
        begun.append(asyncio.create_task(self._kills()))
        begun.append(asyncio.create_task(self._checks.act("both hosts asked the same", self._compared)))
        await self._main()
        await asyncio.gather(*begun)
        values: list[str] = []
        texts = [(answer[:60], answer.encode()) for answer in self._answers]
        for folder in (self._data / name for name in STACKS):
            values += values_of(folder)
            texts += [(f"{folder.name}/{path.name}", path.read_bytes()) for path in _searched(folder)]
        self._checks.holds("there were values to look for", len(values) > figures.BULK)
        self._checks.equal("no value stands in a log, a ledger, a queue or an answer", leaks(values, texts), [])
        keys = {key for host in self._hosts for key in (host.keys.master, host.keys.function, host.keys.system)}
        self._checks.equal("no key of a host stands there", leaks(keys, texts), [])

    @asynccontextmanager
    async def _stack(self, name: str, **host_json: str) -> AsyncIterator[Seen]:
        stack = RealStack(self._data / name, self._executable, host_json=host_json)
        try:
            await asyncio.to_thread(stack.start)
            self._hosts.append(stack.host)
            async with seen(stack, self._answers) as app:
                yield app
        finally:
            await asyncio.to_thread(stack.stop)

    async def _main(self) -> None:
        """All that needs no kill."""
        checks = self._checks
        async with self._stack("main") as app:
            job, hook, calls = MainJob(app, checks), Webhook(app, checks), BadCalls(app, checks)
            await checks.act("the first call", lambda: figures.first_call(app, checks, REAL))
            await checks.act("warm", lambda: figures.warm(app, checks, REAL))
            for act in (job.indexed, job.events, job.calls, job.sweep, job.put_back, job.odd_messages):
                await checks.act(act.__name__.replace("_", " "), act)
            for act in (hook.keys, hook.handshakes, hook.bodies, hook.batch):
                await checks.act(f"webhook, {act.__name__}", act)
            for act in (calls.keys, calls.routes, calls.headers, calls.wishes):
                await checks.act(f"bad calls, {act.__name__}", act)
            await checks.act("bulk", lambda: figures.bulk(app, checks, REAL))
            await checks.act("drained", job.drained)
            await checks.act("restart", job.restart)

    async def _compared(self) -> None:
        """One list, played to the real host and to ours; what the real one did stands in the tree, and still holds."""
        checks, wanted = self._checks, answers.kept()
        real, ours = await asyncio.gather(
            answers.of_the_real_host(self._data / "asked-real", self._executable),
            answers.of_ours(self._data / "asked-ours"),
        )
        for name, found in real.items():
            checks.holds(f"the real host, {name}: as it is kept", found == wanted[name], f"{found}, not {wanted[name]}")
        unlike = {name for name, found in ours.items() if found != real[name]}
        for name in ours:
            listed = name in answers.DIFFERENCES
            checks.equal(f"our host, {name}: {'otherwise' if listed else 'alike'}", name in unlike, listed)
        checks.told(f"asked of both hosts: {len(real)}; alike: {len(real) - len(unlike)}; otherwise, for a reason:")
        for name in sorted(unlike):
            checks.told(f"  {name}: {answers.DIFFERENCES.get(name, 'NOT LISTED')}")

    async def _killed(self, killed: asyncio.Event) -> None:
        """The host with its worker."""
        try:
            async with self._stack("killed") as app:
                host = app.stack.host

                async def back() -> None:
                    await asyncio.to_thread(host.start)
                    killed.set()

                await self._checks.act(
                    "the host killed",
                    lambda: lock_out(app, self._checks, REAL, lambda: asyncio.to_thread(host.kill), back),
                )
        finally:
            killed.set()

    async def _kills(self) -> None:
        """The worker alone."""
        async with self._stack("kills", functionTimeout=f"00:00:{TIME_OUT_S:02.0f}") as app:
            kills = Kills(app, self._checks)
            for act in (kills.worker, kills.time_out, kills.raises):
                await self._checks.act(act.__name__.replace("_", " "), act)

    async def _ours(self, killed: asyncio.Event) -> None:
        """The same figures on the host of `make demo`."""
        checks, stack = self._checks, Stack(self._data / "ours")
        try:
            await asyncio.to_thread(stack.start)
            async with opened(stack, self._answers) as app:
                await checks.act("our host: the first call", lambda: figures.first_call(app, checks, OURS))
                await checks.act("our host: warm", lambda: figures.warm(app, checks, OURS))
                await checks.act("our host: bulk", lambda: figures.bulk(app, checks, OURS))

                async def back() -> None:
                    began = time.monotonic()
                    await asyncio.to_thread(stack.revive)
                    checks.measured("cold start", OURS, time.monotonic() - began)
                    killed.set()

                await checks.act(
                    "our host: killed",
                    lambda: lock_out(app, checks, OURS, lambda: asyncio.to_thread(stack.kill, "host"), back),
                )
        finally:
            killed.set()
            await asyncio.to_thread(stack.stop)


def _searched(folder: Path) -> Iterator[Path]:
    """Of one stack: logs, ledger, queues. The host's own keys stand in a folder of theirs."""
    yield from (path for path in places(folder) if path.parent.name != "keys")
    yield from (path for path in (folder / "azurite").rglob("*") if path.is_file())
