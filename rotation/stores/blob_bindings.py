"""Who owns a credential, in blob storage: an append blob for each, `_bindings/<credential>.jsonl`, without a lease.

Each line is a block, written where the blob ended when it was read and nowhere else. Nothing is ever overwritten, so
that an append-only container takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotation.errors import LeaseLost, Overtaken, RotationError, Unreachable
from rotation.ledger.bindings import Binding, Bindings, parse_bindings
from rotation.stores.blob_calls import NoBlobError, create_missing, translated

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient


async def read(blob: BlobClient) -> Bindings:
    """See `rotation.ports.Ledger.bindings`. The position is the blob's length in bytes."""
    data = await _data(blob)
    return Bindings(parse_bindings(data), len(data))


async def append(blob: BlobClient, position: int, binding: Binding) -> None:
    """See `rotation.ports.Ledger.bind`."""
    # What is in a blob can't be cut off: the line feed in front ends a line that somebody left unfinished.
    block = (b"\n" if position else b"") + binding.to_line().encode()
    failed: RotationError
    try:
        await _append(blob, position, block)
    except (LeaseLost, NoBlobError, Unreachable) as error:
        failed = error
    else:
        return
    # The library sends a block again whose answer was lost, and is then refused because of what it wrote itself.
    data = await _data(blob)
    if data[position : position + len(block)] == block:
        return
    if isinstance(failed, Unreachable) and len(data) <= position:
        raise failed  # it may still be under way
    raise Overtaken("another run wrote who owns this credential; nothing was written, and it is looked at anew")


async def _append(blob: BlobClient, position: int, block: bytes) -> None:
    """Append, and create only what is missing: an append-only container refuses a creation that might overwrite."""
    try:
        with translated():
            await blob.append_block(block, appendpos_condition=position)
    except NoBlobError:
        if position:
            raise
    else:
        return
    await create_missing(blob)
    with translated():
        await blob.append_block(block, appendpos_condition=position)


async def _data(blob: BlobClient) -> bytes:
    try:
        with translated():
            stream = await blob.download_blob()
            return await stream.readall()
    except NoBlobError:
        return b""
