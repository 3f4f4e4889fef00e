"""One stack, killed and started again and again: after each time every credential must work as the vault says."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from local.stack import Stack
from rotation.model import SecretValue
from tests.e2e.deployment import NOT_SOON, Deployment, opened
from tests.e2e.leaks import leaks, places, values_of
from tests.kills.credentials import Managed, every_kind

POLICY = Path(__file__).parent / "policy.toml"
ALL = ("host", "vault", "postgres")
VICTIMS = (("host",), ("host",), ("vault",), ("postgres",), ("host", "postgres"), ("vault", "postgres"), ALL)
ASKED_AT_ONCE = 8


@dataclass(slots=True)
class Tally:
    """What a lane saw. broken: a line each."""

    kills: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    rotated: int = 0
    resumed: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    values: int = 0
    broken: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)


class Lane:
    """Kills one stack `times` times. The random numbers decide when and whom; the machine decides the rest."""

    def __init__(self, data: Path, seed: int, *, each: int = 2) -> None:
        self._stack = Stack(data, policy=POLICY, log_statement="all")
        self._data = data
        self._dice = random.Random(seed)
        self._each = each
        self._answers: list[str] = []
        self._managed: list[Managed] = []
        self.tally = Tally()

    async def run(self, times: int) -> Tally:
        """Prepare, kill, look, and search all that was written for values."""
        with self._stack:
            async with opened(self._stack, self._answers) as app:
                await self._prepare(app)
                for _ in range(times):
                    await self._ask(app)
                    await self._kill()
                    await self._mended(app)
                await self._count(app)
        self._search()
        return self.tally

    async def _prepare(self, app: Deployment) -> None:
        self._stack.vault_control.post("event-endpoint", {"url": None})  # nothing is asked but what is asked here
        await app.put("pg-admin", app.admin)
        async for managed in every_kind(app, self._each):
            if managed.earlier is not None:
                await app.put(managed.name, managed.earlier, managed.tags, life=NOT_SOON)
            await app.put(managed.name, managed.value, managed.tags, life=NOT_SOON)
            self._managed.append(managed)

    async def _ask(self, app: Deployment) -> None:
        """Wishes for some secrets, in any order, and nobody waits for their end."""
        names = [managed.name for managed in self._dice.sample(self._managed, ASKED_AT_ONCE)]
        self.tally.asked.update(names)
        answer = await app.call("POST", "/api/rotations", json={"names": names, "force": "grace"})
        assert answer.status == 202, answer.text

    async def _kill(self) -> None:
        """SIGKILL one part or several; the others work on for a moment, and meet the dead one."""
        await asyncio.sleep(self._dice.uniform(0.0, 0.5))
        victims = self._dice.choice(VICTIMS)
        for name in victims:
            os.kill(self._stack.ready["pids"][name], signal.SIGKILL)
        self.tally.kills["+".join(victims)] += 1
        await asyncio.sleep(self._dice.uniform(0.0, 0.2) if victims != ALL else 0.0)
        await asyncio.to_thread(self._stack.stop)
        await asyncio.to_thread(self._stack.start)
        self._stack.vault_control.post("event-endpoint", {"url": None})

    async def _mended(self, app: Deployment) -> None:
        """Nobody but the app's own sweep does anything; then each value in the vault is tried."""
        await app.idle()
        await app.sweep()
        found = await asyncio.gather(*(self._works(app, managed) for managed in self._managed))
        self.tally.checked += len(found)
        self.tally.broken += [line for line in found if line]

    async def _works(self, app: Deployment, managed: Managed) -> str | None:
        latest = await app.get(managed.name)
        with suppress(OSError):
            if await managed.works(SecretValue(latest.value or "")):
                return None
        last = (await app.read(managed.name))["history"][-3:]
        return (
            f"{managed.name}: {latest.properties.version} does not work after {self.tally.kills.total()} kills: {last}"
        )

    async def _count(self, app: Deployment) -> None:
        """No version that nobody asked for: what was written beyond the wishes was a repair."""
        for managed in self._managed:
            history = (await app.read(managed.name))["history"]
            steps = Counter(record["step"] for record in history)
            self.tally.steps.update(steps)
            rotated = len({record["operation_id"] for record in history if record["step"] == "published"})
            self.tally.rotated += rotated
            begun = Counter(record["operation_id"] for record in history if record["step"] == "applying")
            self.tally.resumed += sum(times > 1 for times in begun.values())
            if rotated > self.tally.asked[managed.name] + steps["repaired"]:
                self.tally.unasked.append(
                    f"{managed.name}: {rotated} rotations, {self.tally.asked[managed.name]} asked"
                )

    def _search(self) -> None:
        texts: Sequence[tuple[str, bytes]] = [(path.name, path.read_bytes()) for path in places(self._data)]
        values = {*values_of(self._data), self._stack.postgres.admin_password.reveal()}
        self.tally.values = len(values)
        answers = "\n".join(self._answers).encode()
        self.tally.leaked = leaks(values, [*texts, ("HTTP answers", answers)])


def kill(data: Path, seed: int, times: int, each: int = 2) -> Tally:
    """One lane, to its end; in a process of its own where others run beside it."""
    return asyncio.run(Lane(data, seed, each=each).run(times))
