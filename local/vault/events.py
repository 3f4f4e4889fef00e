"""Raises events as they fall due and delivers them as Event Grid would.

"Event Grid message delivery and retry": a delivery is good when it is answered 2xx within 30 seconds; 400, 403 and
413 end it; everything else is tried again, later each time. The first waits are shorter here than the service's ten
seconds, since nobody on one machine wants to wait for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import Callable

import aiohttp

from local.vault.clock import Clock
from local.vault.outbox import Outbox

ANSWER_WITHIN_S = 30.0
FINAL = frozenset({400, 403, 413})
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 60.0
TICK_S = 0.25
AT_ONCE = 32


class Publisher:
    """A task that looks every quarter of a second for what is due and what is undelivered.

    `endpoint` may be set at any time; until then events wait in the database. `upkeep` is called with each look.
    """

    def __init__(self, outbox: Outbox, clock: Clock, *, endpoint: str | None, upkeep: Callable[[], None]) -> None:
        self._outbox = outbox
        self._clock = clock
        self._endpoint = endpoint
        self._upkeep = upkeep
        self._retry_at: dict[str, float] = {}  # by event id; monotonic, so a restart tries at once
        self._waits: dict[str, float] = {}
        self._deliveries: dict[str, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.Task[None] | None = None

    @property
    def endpoint(self) -> str | None:
        """Where events are posted; None: nowhere yet."""
        return self._endpoint

    @endpoint.setter
    def endpoint(self, url: str | None) -> None:
        self._endpoint = url
        self._retry_at.clear()

    async def start(self) -> None:
        """Begin."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S))
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End. A delivery under way is given up; it is made again after the next start."""
        tasks = [task for task in (self._loop, *self._deliveries.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _run(self) -> None:
        while True:
            self._deliveries = {key: task for key, task in self._deliveries.items() if not task.done()}
            try:
                self._upkeep()
                self._outbox.raise_due(self._clock.now())
                if self._endpoint is not None:
                    self._deliver(self._endpoint)
            except sqlite3.Error as error:  # a full disk, say: events wait until it is mended, and somebody must know
                print(f"vault: events can't be raised now: {error}", file=sys.stderr)
            if len(self._deliveries) < AT_ONCE:
                await asyncio.sleep(TICK_S)
            else:  # there is more to deliver than fits at once: go on as soon as these are done
                await asyncio.wait(self._deliveries.values(), timeout=TICK_S)

    def _deliver(self, endpoint: str) -> None:
        now = asyncio.get_running_loop().time()
        for event_id in self._outbox.pending():
            if len(self._deliveries) >= AT_ONCE:
                return
            if event_id not in self._deliveries and self._retry_at.get(event_id, now) <= now:
                self._deliveries[event_id] = asyncio.create_task(self._post(endpoint, event_id))

    async def _post(self, endpoint: str, event_id: str) -> None:
        self._outbox.attempted(event_id)
        status = 0
        if self._session is not None:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.post(
                    endpoint, json=[self._outbox.body(event_id)], headers={"aeg-event-type": "Notification"}
                ) as answer:
                    status = answer.status
        if status // 100 == 2:  # noqa: PLR2004  any 2xx
            self._outbox.settle(event_id, "delivered")
        elif status in FINAL:
            self._outbox.settle(event_id, "refused")
        else:
            wait = self._waits.get(event_id, FIRST_RETRY_S)
            self._waits[event_id] = min(wait * 2, LONGEST_RETRY_S)
            self._retry_at[event_id] = asyncio.get_running_loop().time() + wait
            return
        self._waits.pop(event_id, None)
        self._retry_at.pop(event_id, None)
