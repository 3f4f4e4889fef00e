"""One stack, killed and started again and again: after each time every credential must work as the vault says."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from local.certificates import ensure
from local.host.pump import OUT_OF_SIGHT_S
from local.stack import Stack
from rotation.engine.reminders import AFTER_LEASE_S
from rotation.ledger.records import Step, parse_lines
from rotation.model import SecretValue
from rotation.ports import LEASE_S
from tests.e2e.deployment import NOT_SOON, VAULT, Deployment, opened
from tests.e2e.leaks import leaks, places, values_of
from tests.proof.kills.credentials import Managed, every_kind
from tests.proof.kills.nursery import Nursery
from tests.timed_queue import pass_by

POLICY = Path(__file__).parent / "policy.toml"
ALL = ("host", "vault", "azure", "postgres")
VICTIMS = (*((one,) for one in ALL), ("host",), ("postgres",), ("host", "postgres"), ("vault", "postgres"), ALL)
STRUCK_WITHIN_S = 10.0
RECORDS = 4  # of one rotation: the kill waits for none to three of them, so that each part of the work is struck
LONGEST_STEP_S = 0.03
KILLS_BETWEEN_LOOKS = 3  # each meets rotations of its own, and what the ones before left
DOWN_S = 0.2  # the others work on meanwhile, and meet the dead one
DONE_WITHIN_S = 120.0
# A try that met a dead part comes back soon, and often enough to see it alive again; Azure has the same switches.
RETRIES = {"visibilityTimeout": "00:00:00.3", "maxDequeueCount": "100"}
SETTINGS = {f"AzureFunctionsJobHost__extensions__queues__{name}": value for name, value in RETRIES.items()}


@dataclass(slots=True)
class Tally:
    """What a lane saw.

    struck: kills while rotations were under way; cut: those rotations, by the last step that was written down.
    looked: how often a value in place was tried a minute after the kills, before any sweep; late: those that failed.
    broken, unasked, lost, leaked: a line each.
    """

    kills: Counter[str] = field(default_factory=Counter)
    struck: int = 0
    cut: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    rotated: int = 0
    resumed: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    values: int = 0
    looked: int = 0
    late: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)


class Lane:
    """Kills one stack `times` times. The random numbers decide when and whom; the machine decides the rest."""

    def __init__(self, data: Path, seed: int, nursery: Nursery, *, each: int = 2) -> None:
        # A killed server needs no synced disk, as a killed machine would: what it wrote is the kernel's.
        self._stack = Stack(data, policy=POLICY, settings=SETTINGS, log_statement="all", durable=False, popen=nursery)
        self._data = data
        self._ledger = data / "ledger" / VAULT
        self._queues = data / "host" / "queues.sqlite"
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
                while (left := times - self.tally.kills.total()) > 0:
                    for names in self._batches()[:left]:
                        await self._kill(await self._ask(app, names))
                    await self._mended(app)
                await self._count(app)
        self._search()
        return self.tally

    async def _prepare(self, app: Deployment) -> None:
        await app.put("pg-admin", app.admin)
        async for managed in every_kind(app, self._each):
            if managed.earlier is not None:
                await app.put(managed.name, managed.earlier, managed.tags, life=NOT_SOON)
            await app.put(managed.name, managed.value, managed.tags, life=NOT_SOON)
            self._managed.append(managed)

    def _batches(self) -> list[list[str]]:
        """All secrets, in any order, each once: a second wish would be one with the first while that is open."""
        names = [managed.name for managed in self._managed]
        self._dice.shuffle(names)
        return [names[start::KILLS_BETWEEN_LOOKS] for start in range(KILLS_BETWEEN_LOOKS)]

    async def _ask(self, app: Deployment, names: Sequence[str]) -> list[Path]:
        """A wish for each, and nobody waits for their end -> their histories."""
        self.tally.asked.update(names)
        answer = await app.call("POST", "/api/rotations", json={"names": list(names), "force": "grace"})
        assert answer.status == 202, answer.text
        return [self._ledger / f"{name}.jsonl" for name in names]

    async def _kill(self, histories: Sequence[Path]) -> None:
        """SIGKILL one part or several, at any moment of one of the rotations that were asked for."""
        history = self._dice.choice(histories)
        written = _records(history) + self._dice.randrange(RECORDS)
        until = time.monotonic() + STRUCK_WITHIN_S
        while time.monotonic() < until:
            if _records(history) >= written and _is_held(history.with_suffix(".lease")):
                break
            await asyncio.sleep(0.002)
        await asyncio.sleep(self._dice.uniform(0.0, LONGEST_STEP_S))
        victims = self._dice.choice(VICTIMS)
        cut = self._under_way()
        pids = dict(self._stack.ready["pids"])
        self._stack.kill(*victims)
        self.tally.kills["+".join(victims)] += 1
        self.tally.struck += bool(cut)
        self.tally.cut.update(_last_step(lease.with_suffix(".jsonl")) for lease in cut)
        await asyncio.sleep(self._dice.uniform(0.0, DOWN_S))
        await asyncio.to_thread(self._stack.revive)
        renewed = {part for part, pid in self._stack.ready["pids"].items() if pid != pids[part]}
        if renewed != set(victims) & pids.keys():
            self.tally.broken.append(f"killed {', '.join(victims)}, and others began anew: {sorted(renewed)}")

    def _under_way(self) -> list[Path]:
        """The leases that are held."""
        return [path for path in self._ledger.glob("*.lease") if _is_held(path)]

    async def _mended(self, app: Deployment) -> None:
        """Nobody but the app's own queue and sweep does anything; then each value in the vault is tried.

        The queue's ten minutes, in which it hides what killed hosts had in hand, pass in two steps: after the first of
        them, of a minute, no consumer of a role in place is locked out any more.
        """
        async with asyncio.timeout(DONE_WITHIN_S):
            await app.idle()
            pass_by(self._queues, LEASE_S + AFTER_LEASE_S + 1)
            await app.idle()
            in_place = [managed for managed in self._managed if managed.tags["rotator"] == "postgres"]
            late = await asyncio.gather(*(self._works(app, managed) for managed in in_place))
            self.tally.looked += len(late)
            self.tally.late += [line for line in late if line]
            while (await app.queue())["count"]:
                pass_by(self._queues, OUT_OF_SIGHT_S)
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
        """Each wish was met by one rotation: none without one (but for repairs), and none was forgotten."""
        for managed in self._managed:
            history = (await app.read(managed.name))["history"]
            steps = Counter(record["step"] for record in history)
            self.tally.steps.update(steps)
            rotated = len({record["operation_id"] for record in history if record["step"] == "published"})
            self.tally.rotated += rotated
            begun = Counter(record["operation_id"] for record in history if record["step"] == "applying")
            self.tally.resumed += sum(times > 1 for times in begun.values())
            wishes, told = self.tally.asked[managed.name], f"{managed.name}: {rotated} rotations"
            if rotated > wishes + steps["repaired"]:
                self.tally.unasked.append(f"{told}, {wishes} asked, {steps['repaired']} repaired")
            if rotated + steps["repaired"] < wishes:
                adopted = [record for record in history if record["step"] == "adopted"]
                self.tally.lost.append(f"{told}, {wishes} asked, {dict(steps)}, adopted {adopted}")
        poison = (await app.queue())["poison"]
        if poison:
            self.tally.lost.append(f"{poison} messages in the poison queue")

    def _search(self) -> None:
        texts: Sequence[tuple[str, bytes]] = [(path.name, path.read_bytes()) for path in places(self._data)]
        values = {*values_of(self._data), self._stack.postgres.admin_password.reveal()}
        self.tally.values = len(values)
        answers = "\n".join(self._answers).encode()
        self.tally.leaked = leaks(values, [*texts, ("HTTP answers", answers)])


def _records(history: Path) -> int:
    return history.read_bytes().count(b"\n") if history.exists() else 0


def _is_held(lease: Path) -> bool:
    """An empty file is a lease that was given back."""
    return lease.exists() and lease.stat().st_size > 0


def _last_step(history: Path) -> str:
    """How far the rotation under way had come, as far as it was written down."""
    records = parse_lines(history.read_text(encoding="utf-8")) if history.exists() else ()
    if not records or records[-1].step in {Step.ROTATED, Step.RETIRED, Step.FAILED}:
        return "before its first record or after its last"
    return records[-1].step.value


def kill(data: Path, seed: int, times: int, each: int = 2) -> Tally:
    """One lane, to its end; in a process of its own where others run beside it."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with Nursery(ensure(data / "tls").ca) as nursery:
        return asyncio.run(Lane(data, seed, nursery, each=each).run(times))
