"""What a killed worker, a killed host and a function time-out do to an in-place role, at the two worst points.

At one the new password is staged and nothing changed; at the other the server has the new one and the vault the old
one: consumers are locked out until somebody publishes. The vault holds each call for as long as nobody ends it.
"""

# ruff: noqa: ASYNC110  all of it is seen from outside only

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rotation.model import SecretValue
from tests.e2e.deployment import Deployment, logs_in, steps
from tests.real_host.checks import Checks
from tests.real_host.main_job import managed
from tests.real_host.seen import Seen

MAX_LOCKED_OUT_S = 90.0  # of an in-place role whose host was killed, and is back within ten seconds
COMES_AGAIN_S = 60.0  # a message that failed: host.json's visibilityTimeout
TIME_OUT_S = 10.0
LATE_S = 60.0  # a loaded machine's
HELD_MS = 3_600_000  # until the lane ends: it must not be done after all
HELD_WITHIN_S = 60.0
LOOKS_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Held:
    """A secret whose rotation stands still. changed: the server has the new password already."""

    name: str
    old: SecretValue
    changed: bool


async def held(app: Deployment, name: str, *, changed: bool) -> Held:
    """Begin a rotation by an event, and return when it stands where it shall."""
    old, version = await managed(app, name)
    # Held is the vault's answer to the staged value, or its taking of the new version.
    where = {"kind": "latency", "name": name} if changed else {"kind": "slow_answer", "name": f"{name}--staged"}
    fault = app.stack.vault_control.post("faults", where | {"operation": "set", "ms": HELD_MS})["id"]
    await app.near_expiry(name, version)
    async with asyncio.timeout(HELD_WITHIN_S):
        while not _struck(app, fault):
            await asyncio.sleep(0.02)
        while changed and await logs_in(old):
            await asyncio.sleep(0.02)
    return Held(name, old, changed)


def _struck(app: Deployment, fault: int) -> int:
    return int(next(one["struck"] for one in app.stack.vault_control.get("faults") if one["id"] == fault))


async def published(app: Deployment, one: Held, within_s: float) -> float:
    """Wait until the vault's latest value logs in and is a new one -> seconds."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while len(await app.versions(one.name)) < 2 or not await logs_in(await app.value(one.name)):
            await asyncio.sleep(LOOKS_EVERY_S)
    return time.monotonic() - began


async def lock_out(
    app: Deployment,
    checks: Checks,
    whose: str,
    kill: Callable[[], Awaitable[None]],
    back: Callable[[], Awaitable[None]],
) -> None:
    """A host with its worker is killed between change and publication, one just before the change; it is back at once.

    Measured: from the kill until what the vault holds logs in again.
    """
    before = await held(app, "killed-before", changed=False)
    between = await held(app, "killed-between", changed=True)
    checks.holds(
        f"{whose}: killed between, what the vault holds is refused", not await logs_in(await app.value(between.name))
    )
    killed = time.monotonic()
    await kill()
    app.stack.vault_control.delete("faults")
    checks.holds(f"{whose}: killed before the change, the old password still logs in", await logs_in(before.old))
    await back()
    was_back = time.monotonic() - killed
    await published(app, between, MAX_LOCKED_OUT_S + LATE_S)
    locked_out = time.monotonic() - killed
    checks.measured("back after a kill", whose, was_back)
    checks.measured("lock-out after a kill", whose, locked_out)
    checks.holds(
        f"{whose}: locked out for at most {MAX_LOCKED_OUT_S:.0f} s",
        locked_out <= MAX_LOCKED_OUT_S,
        f"{locked_out:.0f} s",
    )
    await published(app, before, MAX_LOCKED_OUT_S + LATE_S)
    await _ended_well(app, checks, f"{whose}, killed", before, between)


async def _ended_well(app: Deployment, checks: Checks, how: str, *ones: Held) -> None:
    for one in ones:
        point = "between change and publication" if one.changed else "before the change"
        checks.holds(f"{how} {point}: what the vault holds logs in", await logs_in(await app.value(one.name)))
        checks.holds(f"{how} {point}: the old password is refused", not await logs_in(one.old))
        checks.equal(f"{how} {point}: one new version", len(await app.versions(one.name)), 2)
        told = steps(await app.read(one.name))
        checks.holds(f"{how} {point}: the history ends well", told[-1] in {"rotated", "verified", "repaired"}, told)


class Kills:
    """On one app whose functionTimeout is `TIME_OUT_S`."""

    def __init__(self, app: Seen, checks: Checks) -> None:
        self._app = app
        self._checks = checks

    async def worker(self) -> None:
        """SIGKILL to the worker process: the host starts another one, and what it had comes again after a minute."""
        ones = [await held(self._app, f"worker-{changed}".lower(), changed=changed) for changed in (False, True)]
        before = self._app.stack.host.workers()
        self._app.stack.host.kill_worker()
        self._app.stack.vault_control.delete("faults")
        await self._come_again("the worker killed", ones)
        after = self._app.stack.host.workers()
        self._checks.holds("the host has another worker", after and not set(before) & set(after), f"{before}, {after}")

    async def time_out(self) -> None:
        """A function that takes too long: the host ends the worker with all that runs in it."""
        before = self._app.stack.host.workers()
        ones = [await held(self._app, f"late-{changed}".lower(), changed=changed) for changed in (False, True)]
        log = len(self._app.stack.host.log)
        await asyncio.sleep(TIME_OUT_S + 2)
        self._app.stack.vault_control.delete("faults")
        await self._come_again("timed out", ones)
        told = re.search(
            r"Timeout value of 00:00:10 exceeded by function 'Functions\.rotate'", self._app.stack.host.log[log:]
        )
        self._checks.holds("the host tells of the time-out", told)
        after = self._app.stack.host.workers()
        self._checks.holds(
            "it ended the worker, and started another", after and not set(before) & set(after), f"{before}, {after}"
        )

    async def raises(self) -> None:
        """A function that raises: its message comes again after a minute, as one that was tried once."""
        app = self._app
        old, version = await managed(app, "raising")
        app.stack.vault_control.post("faults", {"kind": "status", "status": 500, "operation": "get", "name": "raising"})
        log = len(app.stack.host.log)
        await app.near_expiry("raising", version)
        async with asyncio.timeout(HELD_WITHIN_S):
            while "Executed 'Functions.rotate' (Failed" not in app.stack.host.log[log:]:
                await asyncio.sleep(0.1)
        app.stack.vault_control.delete("faults")
        began = time.monotonic()
        took = await published(app, Held("raising", old, changed=False), COMES_AGAIN_S + LATE_S)
        self._checks.holds(
            "a message whose function raised comes again after a minute",
            COMES_AGAIN_S - 5 <= time.monotonic() - began <= COMES_AGAIN_S + LATE_S, f"{took:.0f} s",
        )  # fmt: skip
        self._checks.holds("and is done then", not await logs_in(old))

    async def _come_again(self, how: str, ones: list[Held]) -> None:
        began = time.monotonic()
        for one in ones:
            await published(self._app, one, COMES_AGAIN_S + LATE_S)
        took = time.monotonic() - began
        self._checks.holds(f"{how}: all came again within two minutes", took <= COMES_AGAIN_S + LATE_S, f"{took:.0f} s")
        self._checks.measured(f"{how}, until it works again", "real", took)
        await _ended_well(self._app, self._checks, how, *ones)
