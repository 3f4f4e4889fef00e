"""How long consumers of a role in place are locked out by a kill between the change and the new version, in real time.

The queue keeps what the killed host had in hand out of sight for ten minutes, as on Azure. Nobody but the app does
anything: no sweep falls into the time, and what was called by HTTP is not called again.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from local.stack import Stack
from rotation.model import SecretValue
from tests.e2e.deployment import Deployment, logs_in, opened

POLICY = Path(__file__).parent / "policy.toml"
BACK_S = 10.0  # after its kill the host serves again
LONGEST_S = 90.0
LOOKS_EVERY_S = 0.2
NEVER_MS = 3_600_000
NO_SWEEP = {"ROTATION_SWEEP_SCHEDULE": "0 0 0 1 1 *"}
REFUSED_WITHIN_S = 10.0  # an attempt at a publication lasts fifteen


@dataclass(frozen=True, slots=True)
class LockOut:
    """One role's: how its rotation was asked for, and for how long its consumers were refused. None: to the end."""

    name: str
    seconds: float | None

    @property
    def holds(self) -> bool:
        return self.seconds is not None and self.seconds < LONGEST_S


async def lockouts(data: Path, *, each: int = 2, back_s: float = BACK_S) -> list[LockOut]:
    """`each` roles of four sorts: by itself or by an administrator, asked for by the queue or by HTTP."""
    async with _stack(data) as app:
        names = [
            f"{how}-{number}{by}" for how in ("queue", "http") for by in ("", "-by-admin") for number in range(each)
        ]
        for name in names:
            await app.put(name, await app.role(name), {"rotator": "postgres"})
        await _rotated_once(app, names)
        for name in names:
            app.stack.vault_control.post(
                "faults", {"kind": "latency", "ms": NEVER_MS, "operation": "set", "name": name, "method": "PUT"}
            )
        looks = [asyncio.create_task(_locked_out(app, name)) for name in names]
        queued = [name for name in names if name.startswith("queue")]
        assert (await app.call("POST", "/api/rotations", json={"names": queued, "force": "grace"})).status == 202
        calls = [asyncio.create_task(_called(app, name)) for name in names if name not in queued]
        async with asyncio.timeout(REFUSED_WITHIN_S):
            while await _any_works(app, names):  # noqa: ASYNC110  no event tells
                await asyncio.sleep(LOOKS_EVERY_S)
        app.stack.kill("host")
        app.stack.vault_control.delete("faults")
        await asyncio.gather(*calls)
        await asyncio.sleep(back_s)
        await asyncio.to_thread(app.stack.revive)
        return list(await asyncio.gather(*looks))


async def stopped(data: Path, *, publication_s: float = 3.0) -> tuple[list[LockOut], int]:
    """A host that is asked to end (SIGTERM) between a change and its publication; calls come while it ends.

    -> what consumers saw, and how much was left undone when the next host had worked for a while.
    """
    async with _stack(data) as app:
        names = [f"role-{number}" for number in range(3)]
        for name in names:
            await app.put(name, await app.role(name), {"rotator": "postgres"})
        await _rotated_once(app, names)
        before = {name: (await app.get(name)).properties.version for name in names}
        slow = {"kind": "latency", "ms": round(publication_s * 1000), "operation": "set", "method": "PUT"}
        app.stack.vault_control.post("faults", slow | {"name": names[0]})
        look = asyncio.create_task(_locked_out(app, names[0]))
        assert (await app.call("POST", "/api/rotations", json={"names": names[:1], "force": "grace"})).status == 202
        while await _any_works(app, names[:1]):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(LOOKS_EVERY_S / 4)
        stopping = asyncio.create_task(asyncio.to_thread(app.stack.stop_host))
        await asyncio.sleep(0.3)
        answers = [(await app.rotate(name, force="grace")).status for name in names[1:]]
        assert answers == [503, 503], answers
        await stopping
        first = await look
        await asyncio.to_thread(app.stack.revive)
        await app.idle()
        new = (await app.get(names[0])).properties.version
        undone = int(new == before[names[0]]) + int((await app.queue())["count"])
        return [first], undone


@asynccontextmanager
async def _stack(data: Path) -> AsyncIterator[Deployment]:
    stack = Stack(data, policy=POLICY, settings=NO_SWEEP, durable=False)
    with stack:
        async with opened(stack, []) as app:
            await app.put("pg-admin", app.admin)
            yield app


async def _rotated_once(app: Deployment, names: list[str]) -> None:
    """The first rotation of a secret proves whose its role is, which takes more steps."""
    for name in names:
        answer = await app.rotate(name)
        assert answer.status == 200, answer.text


async def _called(app: Deployment, name: str) -> None:
    try:
        await app.rotate(name, force="grace")
    except aiohttp.ClientError:
        return  # the host was killed
    raise AssertionError("the call came to an end")


async def _any_works(app: Deployment, names: list[str]) -> bool:
    return any(await asyncio.gather(*(_works(app, name) for name in names)))


async def _works(app: Deployment, name: str) -> bool:
    """Whether a consumer who reads the vault gets in."""
    return await logs_in(SecretValue((await app.get(name)).value or ""))


async def _locked_out(app: Deployment, name: str) -> LockOut:
    """From the first refusal to the first login after it, as a consumer sees it who tries again and again."""
    while await _works(app, name):  # noqa: ASYNC110  no event tells
        await asyncio.sleep(LOOKS_EVERY_S)
    since = time.monotonic()
    while time.monotonic() < since + 2 * LONGEST_S:
        if await _works(app, name):
            return LockOut(name, time.monotonic() - since + LOOKS_EVERY_S)
        await asyncio.sleep(LOOKS_EVERY_S)
    return LockOut(name, None)


def measured(each: int = 2) -> list[LockOut]:
    """A stack of its own, to its end; in a process of its own where others run beside it."""
    with tempfile.TemporaryDirectory() as data:
        return asyncio.run(lockouts(Path(data), each=each))
