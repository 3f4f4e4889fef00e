"""What the suites of the ledgers share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from azure.storage.blob import ContainerSasPermissions

from rotation.ledger.records import Record, Step
from rotation.model import SecretRef
from rotation.ports import Lease, Ledger

REF = SecretRef("kv-demo", "orders-db")
SHORTEST_LEASE_S = 15  # that blob storage grants
# What the app may do there, as "Create a service SAS" writes the data actions blobs/read and blobs/write: the emulator
# knows no roles, but it refuses what a signature does not permit.
APP_MAY = ContainerSasPermissions(read=True, list=True, write=True)


def record(step: Step = Step.APPLYING, detail: str | None = None) -> Record:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Record(
        at,
        step,
        "op",
        "near-expiry",
        "event-grid",
        slot='ünï; "x"\n',
        tags={"rotator": "postgres", "half": "\ud800"},
        detail=detail,
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """A ledger, and how its leases run out."""

    ledger: Ledger
    run_out: Callable[[], Awaitable[None]]

    async def lease(self, ref: SecretRef = REF) -> Lease:
        lease = await self.ledger.acquire(ref, create=True)
        assert lease is not None
        return lease
