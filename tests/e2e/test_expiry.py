"""The events that the vault raises by itself: thirty days before the end, and at once for a shorter life."""

import asyncio
from datetime import timedelta
from typing import Any

from tests.e2e.deployment import VAULT, WITHIN_S, Deployment

TAGS = {"rotator": "generated", "format": "hex"}


async def raised(app: Deployment, name: str) -> list[Any]:
    """The events that the vault raised about a secret, delivered or not."""
    events = await asyncio.to_thread(app.stack.vault_control.get, "events")
    return [event for event in events if name in str(event)]


async def test_the_ordinary_event_of_thirty_days_before_the_end_rotates(app: Deployment) -> None:
    await app.put("ordinary", "0" * 64, TAGS, life=timedelta(days=30, seconds=3))
    async with asyncio.timeout(WITHIN_S):
        while len(await app.versions("ordinary")) < 2:  # noqa: ASYNC110  the vault tells nobody but the app
            await asyncio.sleep(0.1)
    await app.idle()
    told = await app.read("ordinary")
    assert told["last"]["reason"] == "near-expiry"
    assert len(await app.versions("ordinary")) == 2


async def test_the_event_that_a_short_life_raises_at_once_does_not_loop(app: Deployment) -> None:
    await app.put("short", "0" * 64, {**TAGS, "validity-days": "7"})
    assert (await app.rotate("short")).json["outcome"] == "rotated"
    async with asyncio.timeout(WITHIN_S):
        while not await raised(app, "short"):  # noqa: ASYNC110  as above
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)  # the delivery follows
    await app.idle()
    assert len(await app.versions("short")) == 2
    assert VAULT in str(await raised(app, "short"))
