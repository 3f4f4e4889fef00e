"""The ledger in blob storage: an append blob for each secret, whose lease is the secret's lease.

`<vault>/<secret>.jsonl` holds the first 45,000 appends and, for ever, the lease; `<secret>.1.jsonl` and so on hold what
came after (a blob takes 50,000 blocks). All appends are made while the first blob's lease is held: those to it carry
the lease's id, which the service checks; those to a later blob are preceded by a renewal, which it checks as well.
Sources: Microsoft Learn, "Lease Blob", "Append Block" (Storage REST reference).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from rotation.errors import LeaseLost, RotationError
from rotation.ledger.bindings import FOLDER, Binding, Bindings, vault_folder
from rotation.ledger.records import Record, parse_lines
from rotation.model import SecretRef
from rotation.ports import LEASE_S, LedgerEntry
from rotation.stores import blob_bindings
from rotation.stores.blob_calls import NoBlobError, create_missing, translated

if TYPE_CHECKING:
    from azure.core.credentials import AzureNamedKeyCredential
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.storage.blob.aio import BlobClient

MAX_BLOCKS = 45_000
_CALL_S = 10


class BlobLedger:
    """See `rotation.ports.Ledger`. `lease_s` is between 15 and 60 seconds, as the service grants them."""

    def __init__(
        self,
        container_url: str,
        credential: AsyncTokenCredential | AzureNamedKeyCredential,
        *,
        lease_s: float = LEASE_S,
        monotonic: Callable[[], float] = time.monotonic,
        most_blocks: int = MAX_BLOCKS,
        retries: int = 2,
    ) -> None:
        # 600 ms to import: an app with its ledger elsewhere does not pay.
        from azure.storage.blob.aio import ContainerClient  # noqa: PLC0415

        self._container = ContainerClient.from_container_url(
            container_url, credential, retry_total=retries, connection_timeout=5, read_timeout=_CALL_S
        )
        self._lease_s = lease_s
        self._monotonic = monotonic
        self._most_blocks = most_blocks

    async def acquire(self, ref: SecretRef, *, create: bool) -> BlobLease | None:
        blob = self._blob(ref)
        while True:
            asked = self._monotonic()
            try:
                with translated():
                    held = await blob.acquire_lease(lease_duration=round(self._lease_s))
                break
            except NoBlobError:
                if not create:
                    return None
                await create_missing(blob)
        lease = BlobLease(self, ref, held, asked + self._lease_s)
        try:
            await lease.load()
        except RotationError:
            await lease.release()
            raise
        return lease

    async def read(self, ref: SecretRef) -> Sequence[Record]:
        return parse_lines("".join([text async for text, _ in self.parts(ref)]))

    async def entries(self, vault: str) -> AsyncIterator[LedgerEntry]:
        found = self._container.list_blobs(name_starts_with=f"{vault_folder(vault)}/")
        while True:
            try:
                with translated():
                    blob = await anext(found)
            except StopAsyncIteration:
                return
            name = blob.name.partition("/")[2].removesuffix(".jsonl")
            if "." not in name:  # a later part's appends change the first part's lease, and so its etag
                yield LedgerEntry(name, str(blob.etag), blob.lease.state in {"expired", "broken"})

    async def bindings(self, credential: str) -> Bindings:
        return await blob_bindings.read(self._owners(credential))

    async def bind(self, credential: str, position: int, binding: Binding) -> None:
        await blob_bindings.append(self._owners(credential), position, binding)

    async def parts(self, ref: SecretRef) -> AsyncIterator[tuple[str, int]]:
        """(text, blocks) of each of a secret's blobs, in order."""
        part = 0
        while True:
            try:
                with translated():
                    stream = await self._blob(ref, part).download_blob(encoding="utf-8")
                    text = await stream.readall()
            except NoBlobError:
                return
            blocks = stream.properties.append_blob_committed_block_count or 0
            yield text, blocks
            if blocks < self._most_blocks:
                return
            part += 1

    async def append(self, ref: SecretRef, part: int, data: bytes, lease: Any, position: int) -> None:
        """One block, at `position` and nowhere else: sent again after a lost answer, it can't be there twice."""
        blob = self._blob(ref, part)
        if part and position == 0:
            await create_missing(blob)
        with translated():
            await blob.append_block(data, lease=lease if part == 0 else None, appendpos_condition=position)

    def monotonic(self) -> float:
        """The clock that leases are counted by."""
        return self._monotonic()

    @property
    def lease_s(self) -> float:
        return self._lease_s

    @property
    def most_blocks(self) -> int:
        return self._most_blocks

    async def close(self) -> None:
        """Close the connections."""
        await self._container.close()

    def _blob(self, ref: SecretRef, part: int = 0) -> BlobClient:
        suffix = f".{part}" if part else ""
        return self._container.get_blob_client(f"{vault_folder(ref.vault)}/{ref.name.lower()}{suffix}.jsonl")

    def _owners(self, credential: str) -> BlobClient:
        return self._container.get_blob_client(f"{FOLDER}/{credential}.jsonl")


class BlobLease:
    """See `rotation.ports.Lease`."""

    def __init__(self, ledger: BlobLedger, ref: SecretRef, held: Any, until: float) -> None:
        self._ledger = ledger
        self._ref = ref
        self._held = held
        self._until = until
        self._records: list[Record] = []
        self._part = 0
        self._blocks = 0
        self._bytes = 0

    @property
    def records(self) -> Sequence[Record]:
        return self._records

    async def load(self) -> None:
        """Read the history; to be done once, right after the lease was taken."""
        texts: list[str] = []
        async for text, blocks in self._ledger.parts(self._ref):
            self._part, self._blocks, self._bytes = len(texts), blocks, len(text.encode())
            texts.append(text)
        self._records = list(parse_lines("".join(texts)))

    def remaining(self) -> float:
        return self._until - self._ledger.monotonic()

    async def renew(self) -> None:
        asked = self._ledger.monotonic()
        with translated():
            await self._held.renew()
        self._until = asked + self._ledger.lease_s

    async def append(self, *records: Record) -> None:
        if self.remaining() <= 0:
            raise LeaseLost("the lease ran out; nothing was written, and the next run goes on from here")
        if self._blocks >= self._ledger.most_blocks:
            self._part, self._blocks, self._bytes = self._part + 1, 0, 0
        if self._part:
            await self.renew()
        data = "".join(record.to_line() for record in records).encode()
        await self._ledger.append(self._ref, self._part, data, self._held, self._bytes)
        self._bytes += len(data)
        self._blocks += 1
        self._records.extend(records)

    async def release(self) -> None:
        if self._held.id is None:
            return  # the SDK forgets the id of a lease that it gave back
        try:
            with translated():
                await self._held.release()
        except RotationError:
            return
