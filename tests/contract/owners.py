"""What the suites of who owns a credential share."""

from datetime import UTC, datetime

from rotation.ledger.bindings import Binding, credential_key
from rotation.model import SecretRef
from rotation.ports import Ledger
from tests.contract.ledgers import REF

REALM, SLOT = "7312345678901234567", 'orders "app"'
KEY = credential_key(REALM, SLOT)
OTHER = SecretRef("kv-other", "orders-db-copy")


def binding(owner: SecretRef = REF, how: str = "proof") -> Binding:
    at = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    return Binding(at, owner, REALM, SLOT, ("db.example:5432", "ünï\ud800\n.example"), how, "event-grid")


async def bind(ledger: Ledger, *bindings: Binding) -> None:
    for one in bindings:
        await ledger.bind(KEY, (await ledger.bindings(KEY)).position, one)


async def owner(ledger: Ledger) -> SecretRef | None:
    return (await ledger.bindings(KEY)).owner
