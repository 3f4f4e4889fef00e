"""Calls to blob storage: what its answers mean to the ledger.

Sources: Microsoft Learn, "Blob service error codes", "Put Blob", "Append Block" (Storage REST reference).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rotation.errors import Busy, LeaseLost, Refused, RotationError, Unreachable

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob.aio import BlobClient

_NOT_FOUND, _CONFLICT, _LOST, _SERVER = 404, 409, 412, 500


class NoBlobError(RotationError):
    """There is no such blob."""


async def create_missing(blob: BlobClient) -> None:
    """Create an append blob where there is none."""
    from azure.core import MatchConditions  # noqa: PLC0415  600 ms: an app with its ledger elsewhere does not pay

    try:
        with translated():
            await blob.create_append_blob(match_condition=MatchConditions.IfMissing)
    except Busy:
        return  # another was quicker


@contextmanager
def translated() -> Iterator[None]:
    """Raises errors of ours instead of the library's; `NoBlobError` is for the stores alone."""
    from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415  lazy, as above

    try:
        yield
    except HttpResponseError as error:
        refusal = _refusal(error)
    except AzureError:
        refusal = Unreachable("the ledger's storage does not answer; what was written may be there")
    else:
        return
    raise refusal


def _refusal(error: HttpResponseError) -> RotationError:
    code = str(getattr(error, "error_code", "") or "")
    status = error.status_code or 0
    if code == "ContainerNotFound":
        return Refused(
            "the ledger's container is not there: create it, or set ROTATION_LEDGER", field="ROTATION_LEDGER"
        )
    if status == _NOT_FOUND:
        return NoBlobError("there is no such blob")
    if code in {"LeaseAlreadyPresent", "BlobAlreadyExists", "LeaseIsBreakingAndCannotBeAcquired"}:
        return Busy("another run works on this secret: try again in a moment", retry_after_s=30)
    if status in {_CONFLICT, _LOST}:
        return LeaseLost("the lease is no longer ours; nothing was written, and the next run goes on from here")
    if status >= _SERVER or status == 0:
        return Unreachable("the ledger's storage failed; what was written may be there")
    return Refused("the ledger's storage refuses: the app's identity needs the role Storage Blob Data Contributor")
