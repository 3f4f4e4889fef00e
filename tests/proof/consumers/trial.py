"""Rounds of rotations, in place and of two roles in turn, while clients go on.

Between rounds the vault's clock is put forward by the grace period, but not before every client works with what it read
after the round: a grace period that consumers outlive is what its name promises.
"""

import asyncio
import statistics
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from local.stack import Stack
from rotation.model import SecretRef
from tests.proof.consumers.asked import OK, rotated
from tests.proof.consumers.clients import Clients
from tests.proof.consumers.gaps import Gap, broken_in_place, changes_in, gaps_of
from tests.proof.load.owner import Owner, owning, side_by_side

POLICY = Path(__file__).parents[1] / "load" / "policy.toml"
VAULTS = ("kv-load-0", "kv-load-1")
GRACE_HOURS = 1
ROTATED_AT_ONCE = 4
WRITES_EVERY_S = 0.5
LIFE = timedelta(days=60)


@dataclass(slots=True)
class Seen:
    """What came of a trial. logins and refused: (in place, in turn). broken, broken_in_turn: a line each."""

    rotations: int = 0
    logins: tuple[int, int] = (0, 0)
    refused: tuple[int, int] = (0, 0)
    gaps_ms: list[float] = field(default_factory=list)
    write_ms: float = 0.0
    broken: list[str] = field(default_factory=list)
    broken_in_turn: list[str] = field(default_factory=list)


def rotate_under_clients(data: Path, *, clients: int, secrets: int, rounds: int) -> Seen:
    """`secrets` of each kind, each rotated `rounds` times."""
    stack = Stack(data, policy=POLICY, vaults=VAULTS, settings={"ROTATION_SWEEP_SCHEDULE": "0 0 0 1 1 *"})
    stack.postgres.settings |= {"log_min_duration_statement": "0"}
    with stack:
        stack.vault_control.post("event-endpoint", {"url": None})
        return asyncio.run(_Trial(stack, secrets).run(clients, rounds))


class _Trial:
    def __init__(self, stack: Stack, secrets: int) -> None:
        self._stack = stack
        self._in_place = [SecretRef(VAULTS[n % 2], f"in-place-{n}") for n in range(secrets)]
        self._in_turn = [SecretRef(VAULTS[n % 2], f"in-turn-{n}") for n in range(secrets)]
        self._versions: dict[SecretRef, list[str]] = {}
        self._seen = Seen()

    async def run(self, clients: int, rounds: int) -> Seen:
        async with owning(self._stack) as owner, aiohttp.ClientSession() as app:
            await self._prepare(owner)
            self._stack.vault_control.delete("calls")
            consumers = Clients(owner, [*self._in_place, *self._in_turn], clients)
            running = asyncio.create_task(consumers.run())
            writes: list[float] = []
            writing = asyncio.create_task(_write_now_and_then(owner, writes))
            for _ in range(rounds):
                refs = [*self._in_place, *self._in_turn]
                await side_by_side([self._rotate(app, ref) for ref in refs], ROTATED_AT_ONCE)
                await consumers.all_began_anew()
                shift = {"shift_s": GRACE_HOURS * 3600 + 1}
                await asyncio.to_thread(self._stack.vault_control.post, "clock", shift)
            for task in (running, writing):
                if task.done():
                    await task  # it does not end by itself: whatever stopped it is told
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._seen.write_ms = statistics.median(writes)
        self._look(consumers, self._stack.vault_control.get("calls"))
        return self._seen

    async def _prepare(self, owner: Owner) -> None:
        roles = [ref.name for ref in self._in_place]
        roles += [f"{ref.name}-{slot}" for ref in self._in_turn for slot in "ab"]
        await owner.make(roles)
        for ref in self._in_place:
            version = await owner.put(ref.vault, ref.name, owner.url(ref.name), {"rotator": "postgres"}, LIFE)
            self._versions[ref] = [version]
        for ref in self._in_turn:
            names = (f"{ref.name}-a", f"{ref.name}-b")
            tags = {
                "rotator": "postgres-alternating", "slots": ",".join(names), "grace-hours": str(GRACE_HOURS),
            }  # fmt: skip
            await owner.put(ref.vault, ref.name, owner.url(names[1]), tags, LIFE)
            self._versions[ref] = [await owner.put(ref.vault, ref.name, owner.url(names[0]), tags, LIFE)]

    async def _rotate(self, app: aiohttp.ClientSession, ref: SecretRef) -> None:
        told = await rotated(app, self._stack, ref)
        if told.version is not None:
            self._versions[ref].append(told.version)
            self._seen.rotations += 1
        else:
            self._seen.broken.append(f"{ref}: {told.words}")

    def _look(self, consumers: Clients, calls: list[Mapping[str, Any]]) -> None:
        seen, attempts = self._seen, consumers.attempts
        gaps = self._gaps(calls)
        seen.gaps_ms = sorted(gap.ms for found in gaps.values() for gap in found)
        in_place = [attempt for attempt in attempts if attempt.ref in gaps]
        in_turn = [attempt for attempt in attempts if attempt.ref not in gaps]
        seen.broken += broken_in_place(in_place, gaps)
        seen.broken_in_turn = [
            f"{attempt.ref}: {attempt.version} was refused" for attempt in in_turn if not attempt.let_in
        ]
        seen.logins = len(in_place), len(in_turn)
        seen.refused = sum(not attempt.let_in for attempt in in_place), len(seen.broken_in_turn)

    def _gaps(self, calls: list[Mapping[str, Any]]) -> dict[SecretRef, list[Gap]]:
        changes = changes_in(self._stack.postgres.log_path.read_text(errors="replace"))
        there: dict[SecretRef, list[float]] = {}
        for call in calls:
            if call["operation"] == "set" and call["status"] == OK:
                answered = datetime.fromisoformat(call["at"]).timestamp() + call["duration_ms"] / 1000
                there.setdefault(SecretRef(call["vault"], call["name"]), []).append(answered)
        return {
            ref: gaps_of(self._versions[ref], changes.get(ref.name, []), there.get(ref, []))
            for ref in self._in_place
        }  # fmt: skip


async def _write_now_and_then(owner: Owner, took_ms: list[float]) -> None:
    """A vault write of somebody else's, to compare with, on the same machine at the same time."""
    while True:
        began = time.perf_counter()
        await owner.put(VAULTS[0], "something-else", owner.url("nobody"), {})
        took_ms.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(WRITES_EVERY_S)
