"""The event that the vault raises by itself, thirty days before the end."""

import asyncio
from datetime import timedelta

from tests.e2e.deployment import WITHIN_S, Deployment

TAGS = {"rotator": "generated", "format": "hex"}


async def test_the_ordinary_event_of_thirty_days_before_the_end_rotates(app: Deployment) -> None:
    await app.put("ordinary", "0" * 64, TAGS, life=timedelta(days=30, seconds=3))
    async with asyncio.timeout(WITHIN_S):
        while len(await app.versions("ordinary")) < 2:  # noqa: ASYNC110  the vault tells nobody but the app
            await asyncio.sleep(0.1)
    await app.idle()
    told = await app.read("ordinary")
    assert told["last"]["reason"] == "near-expiry"
    assert len(await app.versions("ordinary")) == 2
