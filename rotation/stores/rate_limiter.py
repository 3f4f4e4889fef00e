"""How fast new versions go to one vault, so that its limit is used and not met.

Key Vault takes 300 creations of secrets in ten seconds from all its writers together, and answers 429 beyond ("Azure
Key Vault service limits"). So each caller books its moment beforehand: the next one is due a fixed while after the last
(virtual scheduling, as ITU-T I.371 has it for cells). A caller therefore knows at once how long it would wait, and goes
away where that is too long. Where the vault says 429 all the same, others write too: everybody here stops until the
vault's own time is over, and goes on slower; each quiet second brings some of the speed back. Several instances so
share one vault without knowing of each other. A 429 need not say when that time is over (AzureSignTool#219 shows one
that does not). Then it is guessed: the vault takes new versions again when the oldest of our own creations leaves the
limit's window; an instance that made hardly any knows nothing, and asks again after a second, two, four.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable

from rotation.errors import Throttled

WINDOW_S = 10.0
HARDLY_ANY = 2  # creations in a window: of one rotation
MAX_CONCURRENT = 8  # after a pause: a few rotations need not wait for each other
SLOWER = 0.8
SLOWEST = 0.1  # of the full speed
RECOVERS_IN_S = 30.0  # from nothing to full speed
PATIENCE_S = 10.0  # the limit's own window; a run that would wait longer is better put back
SHORTEST_S = 1.0  # the first wait of "Azure Key Vault throttling guidance"
MOMENT_S = 0.001  # not worth a sleep
APART_S = 0.5  # callers that were stopped together go on over so long


class RateLimiter:
    """One vault's creations, as this process makes them.

    creations: in ten seconds, at full speed (`ROTATION_VAULT_CREATIONS`).
    """

    def __init__(
        self,
        creations: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        # What is allowed at once is taken from the speed, so that no ten seconds hold more than `creations`.
        self._full = max(creations - MAX_CONCURRENT, creations / 2) / WINDOW_S
        self._burst = min(MAX_CONCURRENT, creations / 2)
        self._monotonic = monotonic
        self._sleep = sleep
        self._dice = rng or random.SystemRandom()
        self._rate = self._full
        self._rate_at = monotonic()
        self._booked_until = -math.inf  # when the last booking's time is over
        self._closed_until = -math.inf
        self._is_open = True  # it took one since it last refused
        self._made: deque[float] = deque()  # moments of our creations, of the last window at the least

    async def wait(self, creations: int) -> None:
        """Until so many may be made; 0: until the vault is not closed.

        Raises:
            Throttled: that would take longer than a caller waits. Nothing is booked.
        """
        now = self._monotonic()
        burst_s = self._burst / self._speed(now)
        booked = max(self._booked_until, now) + creations / self._speed(now)
        waits = max(booked - burst_s - now if creations else 0.0, self._closed_until - now, 0.0)
        if waits > PATIENCE_S:
            raise Throttled("the vault takes no more new versions for now", retry_after_s=math.ceil(waits))
        if creations:
            self._booked_until = booked
        while waits > MOMENT_S:
            if self._monotonic() + waits > now + 2 * PATIENCE_S:  # it closed again and again, and leases run out
                raise Throttled("the vault takes no more new versions for now", retry_after_s=math.ceil(waits))
            await self._sleep(waits)
            # Closed meanwhile: runs that wait go on one after the other.
            waits = self._closed_until - self._monotonic()
            waits += self._dice.random() * APART_S if waits > 0 else 0.0

    def made(self) -> None:
        """The vault took one."""
        now = self._monotonic()
        self._is_open = True
        self._made.append(now)
        self._forget(now)

    def refused(self, retry_after_s: float | None, tries: int = 1) -> float:
        """The vault said 429, the caller's so many-th; None: it did not say for how long -> for how long to wait."""
        now = self._monotonic()
        if retry_after_s is None:
            retry_after_s = self._until_the_window_moves(now, tries)
        if now >= self._closed_until and self._is_open:  # the first of those that were under way together
            self._rate = max(self._speed(now) * SLOWER, self._full * SLOWEST)
            self._rate_at = now
        self._is_open = False
        self._closed_until = max(self._closed_until, now + retry_after_s)
        # Nothing was left over while it was closed: no burst follows.
        self._booked_until = max(self._booked_until, self._closed_until + self._burst / self._rate)
        return retry_after_s

    def _until_the_window_moves(self, now: float, tries: int) -> float:
        self._forget(now)
        if len(self._made) <= HARDLY_ANY:
            return float(SHORTEST_S * 2 ** (tries - 1))
        return max(self._made[0] + WINDOW_S - now, SHORTEST_S)

    def _forget(self, now: float) -> None:
        while self._made and self._made[0] <= now - WINDOW_S:
            self._made.popleft()

    def _speed(self, now: float) -> float:
        """A second."""
        return min(self._full, self._rate + self._full * (now - self._rate_at) / RECOVERS_IN_S)
