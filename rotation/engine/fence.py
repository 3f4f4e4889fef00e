"""The write fence.

Vault and provider know nothing of our lease, so a write to either starts only while the lease outlives the longest that
this write can take. A run that stalled past its lease therefore stops instead of writing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from rotation.errors import LeaseLost, Unreachable
from rotation.ports import Lease

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds.

    `vault_call`, `ledger_call` and `provider_call` bound one call with all its retries; `margin` is what a request that
    we gave up on may still need to arrive. `function_timeout` is host.json's: no run of ours is older.
    """

    vault_call: float = 15.0
    ledger_call: float = 15.0
    provider_call: float = 30.0
    margin: float = 5.0
    function_timeout: float = 600.0


class Fence:
    """Runs calls inside their time limits, and writes inside the lease as well."""

    def __init__(self, lease: Lease, limits: Limits) -> None:
        self._lease = lease
        self.limits = limits

    async def vault_write(self, call: Callable[[], Awaitable[T]]) -> T:
        """A write to the vault.

        Raises:
            LeaseLost: not enough of the lease is left, and it can't be renewed; the call was not started.
            Unreachable: no answer in time; it may have happened.
        """
        return await self._write(call, self.limits.vault_call, "the vault")

    async def provider_write(self, call: Callable[[], Awaitable[T]]) -> T:
        """A change at the provider; errors as `vault_write`."""
        return await self._write(call, self.limits.provider_call, "the provider")

    async def ledger_write(self, call: Callable[[], Awaitable[T]], others: Iterable[Lease] = ()) -> T:
        """A write to the ledger that the lease does not guard; errors as `vault_write`.

        others: leases of other secrets that it must not outlive either.
        """
        return await self._write(call, self.limits.ledger_call, "the ledger", others)

    async def _write(
        self, call: Callable[[], Awaitable[T]], limit: float, whom: str, others: Iterable[Lease] = ()
    ) -> T:
        leases = (self._lease, *others)
        for lease in leases:
            if lease.remaining() <= limit + self.limits.margin:
                await lease.renew()
        # No await is between this look and the start of the call.
        if any(lease.remaining() <= limit + self.limits.margin for lease in leases):
            raise LeaseLost("the lease ran out before a write could start; the next run goes on from here")
        return await within(limit, whom, call())


async def within(limit: float, whom: str, call: Awaitable[T]) -> T:
    """`call`, or Unreachable after `limit` seconds."""
    try:
        async with asyncio.timeout(limit):
            return await call
    except TimeoutError:
        pass
    raise Unreachable(f"{whom} did not answer within {limit:.0f} s; it is asked again later")
