"""Rounds of rotations of two roles in turn and in place, with a program under `keyturn run` for each secret.

Between rounds the vault's clock is put forward by the grace period, but not before each program logs in with what the
round made: a grace period that programs outlive is what its name promises.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp

from local.children import ROOT
from local.stack import Stack
from rotation.model import SecretRef
from tests.proof.keyturn_run.logins import Login, outages_s, read
from tests.proof.load.owner import Owner, owning, side_by_side

POLICY = Path(__file__).parents[1] / "load" / "policy.toml"
PROGRAM = Path(__file__).with_name("program.py")
VAULT = "kv-load-0"
GRACE_HOURS = 1
LIFE = timedelta(days=60)
OK = 200
WAITS_S = 120.0
BY_SIGNAL = ("--signal", "SIGHUP")
BY_RESTART = ("--restart", "--jitter", "0", "--restart-every", "0")


@dataclass(slots=True)
class Seen:
    """What came of a trial. outages_s: in place, by "signal" and "restart".

    locked_out: programs that were refused at the end. broken: a line each.
    """

    rotations: dict[str, int] = field(default_factory=lambda: {"in turn": 0, "signal": 0, "restart": 0})
    logins: dict[str, int] = field(default_factory=lambda: {"in turn": 0, "signal": 0, "restart": 0})
    refused: dict[str, int] = field(default_factory=lambda: {"in turn": 0, "signal": 0, "restart": 0})
    outages_s: dict[str, list[float]] = field(default_factory=lambda: {"signal": [], "restart": []})
    locked_out: dict[str, int] = field(default_factory=lambda: {"signal": 0, "restart": 0})
    broken: list[str] = field(default_factory=list)
    busy: float = 0.0  # the load of the machine, for each processor


@dataclass(slots=True)
class Subject:
    """One secret with its program. way: "in turn", "signal" or "restart"."""

    ref: SecretRef
    way: str
    report: Path
    process: subprocess.Popen[bytes] | None = None

    def logins(self) -> list[Login]:
        """Of its program, so far."""
        return read(self.report)


def rotate_under_programs(data: Path, *, secrets: int, rounds: int, poll_s: float) -> Seen:
    """`secrets` of two roles in turn, as many in place; of those, half get a signal, half are restarted."""
    stack = Stack(data, policy=POLICY, vaults=(VAULT,), settings={"ROTATION_SWEEP_SCHEDULE": "0 0 0 1 1 *"})
    with stack:
        stack.vault_control.post("event-endpoint", {"url": None})
        return asyncio.run(_Trial(stack, secrets, poll_s).run(rounds))


class _Trial:
    def __init__(self, stack: Stack, secrets: int, poll_s: float) -> None:
        self._stack, self._poll_s = stack, poll_s
        ways = ["in turn"] * secrets + ["signal", "restart"] * ((secrets + 1) // 2)
        self._subjects = [
            Subject(SecretRef(VAULT, f"{way.replace(' ', '-')}-{n}"), way, stack.data / f"logins-{n}.txt")
            for n, way in enumerate(ways)
        ]
        self._seen = Seen()

    async def run(self, rounds: int) -> Seen:
        seen = self._seen
        async with owning(self._stack) as owner, aiohttp.ClientSession() as app:
            await self._prepare(owner)
            try:
                for one in self._subjects:
                    self._start(one)
                await self._until(lambda one: bool(one.logins()), self._subjects)
                for _ in range(rounds):
                    before = {id(one): len(one.logins()) for one in self._subjects}
                    await side_by_side([self._rotate(app, one) for one in self._subjects], len(self._subjects))
                    await self._all_work_with_the_new_one(owner, before)
                    shift = {"shift_s": GRACE_HOURS * 3600 + 1}
                    await asyncio.to_thread(self._stack.vault_control.post, "clock", shift)
                seen.busy = os.getloadavg()[0] / (os.cpu_count() or 1)
            finally:
                await asyncio.to_thread(self._stop)
        for one in self._subjects:
            logins = one.logins()
            seen.logins[one.way] += len(logins)
            seen.refused[one.way] += sum(not login.let_in for login in logins)
            if one.way in seen.outages_s:
                seen.outages_s[one.way] += outages_s(logins)
                seen.locked_out[one.way] += not logins[-1].let_in
        return seen

    async def _prepare(self, owner: Owner) -> None:
        slots = {one.ref.name: [f"{one.ref.name}-a", f"{one.ref.name}-b"] for one in self._subjects}
        await owner.make([name for found in slots.values() for name in found])
        for one in self._subjects:
            names = slots[one.ref.name]
            tags = {"rotator": "postgres"}
            if one.way == "in turn":
                tags = {
                    "rotator": "postgres-alternating", "slots": ",".join(names), "grace-hours": str(GRACE_HOURS),
                }  # fmt: skip
                await owner.put(VAULT, one.ref.name, owner.url(names[1]), tags, LIFE)
            await owner.put(VAULT, one.ref.name, owner.url(names[0]), tags, LIFE)

    def _start(self, one: Subject) -> None:
        reference = f"{self._stack.ready['vaults'][VAULT]}/secrets/{one.ref.name}"
        way = BY_RESTART if one.way == "restart" else BY_SIGNAL
        given = ("--env", f"CONNINFO={reference}") if one.way == "restart" else ("--file", f"conninfo={reference}")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE", "IDENTITY_"))}
        with (self._stack.data / f"{one.ref.name}.log").open("ab") as log:
            one.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "keyturn", "run", *given, *way, "--poll", str(self._poll_s)),
                    *("--", sys.executable, str(PROGRAM)),
                ],
                cwd=ROOT, env={**kept, **self._stack.ready["env"], "REPORT": str(one.report)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    async def _rotate(self, app: aiohttp.ClientSession, one: Subject) -> None:
        url = f"{self._stack.ready['functions']}/api/vaults/{VAULT}/secrets/{one.ref.name}/rotate"
        headers = {"x-functions-key": self._stack.ready["function_key"]}
        async with app.post(url, params={"force": "true"}, headers=headers) as answer:
            told = await answer.json()
        if answer.status == OK and told["outcome"] == "rotated":
            self._seen.rotations[one.way] += 1
        else:
            self._seen.broken.append(f"{one.ref}: {told.get('outcome')}: {told.get('detail')}")

    async def _all_work_with_the_new_one(self, owner: Owner, before: dict[int, int]) -> None:
        in_turn = [one for one in self._subjects if one.way == "in turn"]
        roles = {id(one): (await owner.get(VAULT, one.ref.name))[1] for one in in_turn}
        users = {key: value.reveal().partition("//")[2].partition(":")[0] for key, value in roles.items()}
        await self._until(lambda one: one.logins()[-1].user == users[id(one)], in_turn)
        others = [one for one in self._subjects if one.way != "in turn"]
        # The old password is dead by now: who was let in after a refusal works with the new one. A program that was
        # quicker than its own next login was never refused, and is seen working for a while instead.
        calm_s = self._poll_s * 1.2 + 2.0
        now = time.monotonic()

        def works(one: Subject) -> bool:
            new = one.logins()[before[id(one)] :]
            refused = any(not login.let_in for login in new)
            return bool(new) and new[-1].let_in and (refused or new[-1].at > now + calm_s)

        await self._until(works, others)

    async def _until(self, holds: Callable[[Subject], bool], subjects: Sequence[Subject]) -> None:
        async with asyncio.timeout(WAITS_S):
            for one in subjects:
                while not holds(one):
                    if one.process is None or one.process.poll() is not None:
                        raise RuntimeError(f"{one.ref}: keyturn run ended: see its log in {self._stack.data}")
                    await asyncio.sleep(0.05)

    def _stop(self) -> None:
        running = [one.process for one in self._subjects if one.process is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(30)
