"""One writer of a secret at a time: the service refuses the second, it does not let it wait.

azure-sdk-for-net#51761: "the AKV service itself does not support parallel write operations on the same secret".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from local.vault import errors
from local.vault.operations import Operation

WRITES = frozenset({Operation.SET, Operation.UPDATE, Operation.DELETE, Operation.RECOVER, Operation.PURGE})
A_WRITE_TAKES_S = 0.002  # much less than the service's; enough that two who write together meet


class Writers:
    """Who writes what just now, in one vault."""

    def __init__(self) -> None:
        self._writing: set[str] = set()

    @asynccontextmanager
    async def only(self, operation: Operation, name: str | None) -> AsyncIterator[None]:
        """Keeps others from writing this secret meanwhile; a read, and what has no name in its path, passes.

        Raises:
            ServiceError: 409, another writes it.
        """
        if operation not in WRITES or name is None:
            yield
            return
        key = name.lower()
        if key in self._writing:
            raise errors.another_writer(name)
        self._writing.add(key)
        try:
            await asyncio.sleep(A_WRITE_TAKES_S)
            yield
        finally:
            self._writing.remove(key)
