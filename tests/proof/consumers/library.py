"""Rotations under applications that use the library: none of their operations may fail, however long the gap is."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from local.stack import Stack
from rotation.model import SecretRef
from tests.proof.consumers.asked import rotated
from tests.proof.consumers.trial import GRACE_HOURS, LIFE, POLICY, VAULTS
from tests.proof.load.owner import Owner, owning, side_by_side

ROOT = Path(__file__).parents[3]
READS_EACH = 4  # of an application, for one rotation in place, where the vault is as quick as it is here
IN_PLACE, IN_TURN = 4, 4  # secrets
STARTS_WITHIN_S = ENDS_WITHIN_S = 60
SETTLES_S = 3.0  # so that the last rotation is met, too


@dataclass(frozen=True, slots=True)
class Part:
    """in_place, in_turn: rotations, of all secrets together. gap_ms: how much longer a write of the vault takes."""

    name: str
    in_place: int = 0
    in_turn: int = 0
    gap_ms: int = 0
    kinds: tuple[str, ...] = ("threads", "asyncio")


@dataclass(slots=True)
class Met:
    """What the applications of one part saw. reads: of the one that read most, for one rotation."""

    part: Part
    rotations: int = 0
    operations: int = 0
    failed: int = 0
    longest_s: float = 0.0
    reads: float = 0.0
    broken: list[str] = field(default_factory=list)


def rotate_under_applications(data: Path, parts: Sequence[Part]) -> list[Met]:
    """One stack; the parts one after the other, each with applications of its own."""
    stack = Stack(data, policy=POLICY, vaults=VAULTS, settings={"ROTATION_SWEEP_SCHEDULE": "0 0 0 1 1 *"})
    with stack:
        stack.vault_control.post("event-endpoint", {"url": None})
        return asyncio.run(_Trial(stack).run(parts))


class _Trial:
    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._in_place = [SecretRef(VAULTS[n % 2], f"in-place-{n}") for n in range(IN_PLACE)]
        self._in_turn = [SecretRef(VAULTS[n % 2], f"in-turn-{n}") for n in range(IN_TURN)]

    async def run(self, parts: Sequence[Part]) -> list[Met]:
        async with owning(self._stack) as owner, aiohttp.ClientSession() as app:
            await self._prepare(owner)
            return [await self._part(app, part) for part in parts]

    async def _prepare(self, owner: Owner) -> None:
        roles = [ref.name for ref in self._in_place]
        await owner.make([*roles, *(f"{ref.name}-{slot}" for ref in self._in_turn for slot in "ab")])
        for ref in self._in_place:
            await owner.put(ref.vault, ref.name, owner.url(ref.name), {"rotator": "postgres"}, LIFE)
        for ref in self._in_turn:
            slots = (f"{ref.name}-a", f"{ref.name}-b")
            tags = {
                "rotator": "postgres-alternating", "slots": ",".join(slots), "grace-hours": str(GRACE_HOURS),
            }  # fmt: skip
            for slot in reversed(slots):
                await owner.put(ref.vault, ref.name, owner.url(slot), tags, LIFE)

    async def _part(self, app: aiohttp.ClientSession, part: Part) -> Met:
        met = Met(part)
        refs = [*(self._in_place if part.in_place else ()), *(self._in_turn if part.in_turn else ())]
        if part.gap_ms:
            slow = {"kind": "latency", "operation": "set", "ms": part.gap_ms}
            await asyncio.to_thread(self._stack.vault_control.post, "faults", slow)
        async with self._applications(part, refs, met):
            for _ in range(part.in_place // len(self._in_place)):
                await self._round(app, self._in_place, met)
            for _ in range(part.in_turn // len(self._in_turn)):
                await self._round(app, self._in_turn, met)
                # Whoever still has the version before the last one is locked out after that; the library notices.
                shift = {"shift_s": GRACE_HOURS * 3600 + 1}
                await asyncio.to_thread(self._stack.vault_control.post, "clock", shift)
            await asyncio.sleep(SETTLES_S)
        await asyncio.to_thread(self._stack.vault_control.delete, "faults")
        return met

    async def _round(self, app: aiohttp.ClientSession, refs: Sequence[SecretRef], met: Met) -> None:
        for told in await side_by_side([rotated(app, self._stack, ref) for ref in refs], len(refs)):
            if told.version is None:
                met.broken.append(f"{told.ref}: {told.words}")
            else:
                met.rotations += 1

    @asynccontextmanager
    async def _applications(self, part: Part, refs: Sequence[SecretRef], met: Met) -> AsyncIterator[None]:
        vaults = self._stack.ready["vaults"]
        references = [f"{vaults[ref.vault]}/secrets/{ref.name}" for ref in refs]
        environment = {**os.environ, **self._stack.ready["env"]}
        started: list[Process] = []
        for kind in part.kinds:
            command = [sys.executable, "-m", "tests.proof.consumers.application", kind, *references]
            started.append(
                await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=environment, cwd=ROOT)
            )
        try:
            for process in started:
                assert process.stdout is not None
                await asyncio.wait_for(process.stdout.readline(), STARTS_WITHIN_S)
            yield
            told = await asyncio.gather(
                *(asyncio.wait_for(process.communicate(b""), ENDS_WITHIN_S) for process in started)
            )
        finally:
            for process in started:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        for kind, (printed, _) in zip(part.kinds, told, strict=True):
            seen = json.loads(printed)
            met.operations += seen["operations"]
            met.failed += sum(seen["failed"].values())
            met.longest_s = max(met.longest_s, seen["longest_s"])
            met.reads = max(met.reads, (seen["reads"] - len(refs)) / max(1, met.rotations))
            met.broken += [f"{part.name}, {kind}: {count} times {words}" for words, count in seen["failed"].items()]
