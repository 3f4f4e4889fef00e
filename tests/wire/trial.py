"""One trial: a rotation that meets a fault, and what must hold once the fault is gone."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from rotation.model import SecretValue
from tests.e2e.deployment import Deployment, logs_in

LOOKS = 60
LOOKS_EVERY_S = 0.5
# A rotation that met a fault and went through all the same; was told to come again; could not be done by anybody.
HONEST = frozenset({200, 409, 502, 503})


@dataclass(frozen=True, slots=True)
class Trial:
    """broken: a line; None where all promises held. answers: the statuses that the operator got."""

    name: str
    struck: bool
    answer: int
    broken: str | None


async def tried(
    app: Deployment,
    name: str,
    secret: str,
    struck: Callable[[], bool],
    works: Callable[[SecretValue], Awaitable[bool]] = logs_in,
) -> Trial:
    """Rotate once by hand, into the fault; afterwards only the app's own sweep acts."""
    answer = await app.rotate(secret, force="true")
    hit, broken = struck(), None
    if answer.status not in HONEST or "Traceback" in answer.text:
        broken = f"{name}: answered {answer.status} {answer.text[:300]}"
    return Trial(name, hit, answer.status, broken or await mended(app, name, secret, works))


async def mended(
    app: Deployment, name: str, secret: str, works: Callable[[SecretValue], Awaitable[bool]] = logs_in
) -> str | None:
    """A line, unless the sweep alone brings the secret to one finished rotation whose version works."""
    for _ in range(LOOKS):
        await app.sweep()
        told = await app.read(secret)
        if told["state"] == "current" and await works(await app.value(secret)):
            return _unasked(name, told)
        await asyncio.sleep(LOOKS_EVERY_S)
    return f"{name}: {told['state']}, last {told['last']}"


def _unasked(name: str, told: Mapping[str, object]) -> str | None:
    history = told["history"]
    assert isinstance(history, list)
    steps = Counter(record["step"] for record in history)
    rotated = {record["operation_id"] for record in history if record["step"] == "published"}
    if len(rotated) > 1 + steps["repaired"]:
        return f"{name}: asked once, rotated {len(rotated)} times: {dict(steps)}"
    return None
