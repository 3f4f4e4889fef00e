"""`python -m bench.counted_host`: `local.host`, which also writes down each call that the app makes to its ledger.

The wrapper stands between the app and the ledger in files, so that the app itself knows nothing of being counted.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from local.host.__main__ import main
from rotation.ledger.bindings import Binding, Bindings
from rotation.ledger.records import Record
from rotation.model import SecretRef
from rotation.ports import Lease, Ledger, LedgerEntry
from rotation.stores import file_ledger
from rotation.stores.file_ledger import FileLedger

CALLS_FILE = "BENCH_LEDGER_CALLS"


def popen(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """For `local.stack.Stack`: starts this in place of the host, and the other parts as they are."""
    return subprocess.Popen([__name__ if part == "local.host" else part for part in command], **options)


class Counted:
    """See `rotation.ports.Ledger`."""

    def __init__(self, ledger: Ledger, calls: Path) -> None:
        self._ledger = ledger
        self._calls = calls

    def note(self, call: str) -> None:
        """Written before it is made, so that one that fails counts too."""
        with self._calls.open("a") as file:
            file.write(f"{call}\n")

    async def acquire(self, ref: SecretRef, *, create: bool) -> CountedLease | None:
        self.note("acquire")
        lease = await self._ledger.acquire(ref, create=create)
        return None if lease is None else CountedLease(lease, self)

    async def read(self, ref: SecretRef) -> Sequence[Record]:
        self.note("read")
        return await self._ledger.read(ref)

    async def entries(self, vault: str) -> AsyncIterator[LedgerEntry]:
        self.note("entries")
        async for entry in self._ledger.entries(vault):
            yield entry

    async def bindings(self, credential: str) -> Bindings:
        self.note("bindings")
        return await self._ledger.bindings(credential)

    async def bind(self, credential: str, position: int, binding: Binding) -> None:
        self.note("bind")
        await self._ledger.bind(credential, position, binding)


class CountedLease:
    """See `rotation.ports.Lease`."""

    def __init__(self, lease: Lease, counted: Counted) -> None:
        self._lease = lease
        self._counted = counted

    @property
    def records(self) -> Sequence[Record]:
        return self._lease.records

    def remaining(self) -> float:
        return self._lease.remaining()

    async def renew(self) -> None:
        self._counted.note("renew")
        await self._lease.renew()

    async def append(self, *records: Record) -> None:
        self._counted.note("append")
        await self._lease.append(*records)

    async def release(self) -> None:
        self._counted.note("release")
        await self._lease.release()


def _counted(directory: Path) -> Counted:
    return Counted(FileLedger(directory), Path(os.environ[CALLS_FILE]))


if __name__ == "__main__":
    # The app's wiring imports the class when it builds the app, and so gets this in its place.
    file_ledger.FileLedger = _counted  # type: ignore[assignment,misc]
    sys.exit(main())
