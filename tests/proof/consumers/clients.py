"""Consumers: each reads a secret and logs in with what it read, again and again, and remembers when."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rotation.model import SecretRef
from tests.proof.load.owner import Owner, logs_in


@dataclass(frozen=True, slots=True)
class Attempt:
    """One read and the login that followed. Times are seconds since the epoch."""

    ref: SecretRef
    version: str
    asked_at: float  # before the vault was asked
    ended_at: float  # once the server had answered the login
    let_in: bool


class Clients:
    """Side by side in this process; started by `run`, which goes on until it is cancelled."""

    def __init__(self, owner: Owner, refs: Sequence[SecretRef], count: int) -> None:
        self.attempts: list[Attempt] = []
        self._owner = owner
        self._refs = refs
        self._begun = [0.0] * count

    async def run(self) -> None:
        await asyncio.gather(*(self._go_on(number) for number in range(len(self._begun))))

    async def all_began_anew(self) -> None:
        """Return once nobody works any more with what was read before this call."""
        now = time.time()
        while min(self._begun) <= now:  # noqa: ASYNC110  there is no event for all of them
            await asyncio.sleep(0.01)

    async def _go_on(self, number: int) -> None:
        rng = random.Random(number)
        while True:
            self._begun[number] = asked_at = time.time()
            ref = rng.choice(self._refs)
            version, value = await self._owner.get(ref.vault, ref.name)
            let_in = await logs_in(value)
            self.attempts.append(Attempt(ref, version, asked_at, time.time(), let_in))
