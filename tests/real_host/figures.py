"""How long things take, on either host by the same steps."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import TypeVar

from tests.e2e.deployment import Deployment, logs_in
from tests.real_host.checks import Checks
from tests.real_host.main_job import managed, rotated

T = TypeVar("T")
TIMES = 5
BULK = 200
SAMPLED = 20  # of the bulk's old passwords; a refusal is slow by design
BULK_WITHIN_S = 180.0


async def first_call(app: Deployment, checks: Checks, whose: str) -> None:
    """The first rotation of a process by a call; it pays for the engine and all connections."""
    await managed(app, "first-call")
    began = time.monotonic()
    answer = await app.rotate("first-call", force="true")
    checks.measured("call, cold", whose, time.monotonic() - began)
    checks.equal(f"{whose}: the first call rotates", answer.status, 200)


async def warm(app: Deployment, checks: Checks, whose: str) -> None:
    """Medians of calls and of events, one after the other."""
    took = []
    for _ in range(TIMES):
        began = time.monotonic()
        answer = await app.rotate("first-call", force="true")
        took.append(time.monotonic() - began)
        checks.equal(f"{whose}: a call rotates again", answer.status, 200)
    checks.measured("call, warm", whose, statistics.median(took))
    took = []
    for number in range(TIMES):
        name = f"event-{number}"
        _, version = await managed(app, name)
        began = time.monotonic()
        await app.near_expiry(name, version)
        await rotated(app, name)
        took.append(time.monotonic() - began)
    checks.measured("event to version", whose, statistics.median(took))


async def bulk(app: Deployment, checks: Checks, whose: str) -> None:
    """Many secrets by one call."""
    names = [f"bulk-{number:03}" for number in range(BULK)]
    values = [value for value, _ in [await managed(app, name) for name in names]]
    began = time.monotonic()
    answer = await app.call("POST", "/api/rotations", json={"names": ["bulk-*"], "force": "true"})
    checks.equal(f"{whose}: bulk is accepted", (answer.status, answer.json["count"]), (202, BULK))
    async with asyncio.timeout(BULK_WITHIN_S):
        for name in names:
            await rotated(app, name)
    checks.measured(f"{BULK} in bulk", whose, time.monotonic() - began)
    counts = {len(await app.versions(name)) for name in names}
    checks.equal(f"{whose}: each of the bulk was rotated once", counts, {2})
    new = [await logs_in(await app.value(name)) for name in names]
    checks.equal(f"{whose}: each new password logs in", sum(new), BULK)
    old = [await logs_in(value) for value in _some(values)]
    checks.equal(f"{whose}: no old one does", sum(old), 0)


def _some(values: Sequence[T]) -> Sequence[T]:
    return values[:: max(1, len(values) // SAMPLED)]
