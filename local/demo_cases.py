"""What the demo rotates: how each credential comes to be, and how it is shown that the new one works.

The proofs are made here with the drivers that consumers use, and not with Keyturn's own code.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin

import psycopg
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.blob.aio import BlobServiceClient
from psycopg import sql

from local.stack import Stack
from rotation.model import SecretValue

ACCOUNT = "stdemo"
ACCOUNT_ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-local"
    f"/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody tried, and whether it came out as it must."""

    text: str
    holds: bool


class Case(Protocol):
    """One secret of the demo."""

    name: str
    title: str
    tags: Mapping[str, str]

    async def earlier(self) -> SecretValue | None:
        """A version from before, which the vault holds when the demo begins."""
        ...

    async def value(self) -> SecretValue:
        """Prepare the credential -> what stands in the vault."""
        ...

    async def proofs(self, old: SecretValue, new: SecretValue) -> Sequence[Proof]:
        """Try both, as a consumer would."""
        ...


class Server:
    """Roles of the local PostgreSQL."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    async def role(self, name: str) -> SecretValue:
        """Make a role that can log in -> its connection string."""
        password = secrets.token_urlsafe(24)
        admin = self._stack.postgres.url("postgres", "postgres", self._stack.postgres.admin_password)
        async with await psycopg.AsyncConnection.connect(admin.reveal(), autocommit=True) as connection:
            verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
            statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier))
            await connection.execute(statement)
        return self._stack.postgres.url("postgres", name, SecretValue(password))


async def login(value: SecretValue) -> str | None:
    """Who PostgreSQL says one is with this connection string; None where it refuses the password."""
    try:
        async with await psycopg.AsyncConnection.connect(value.reveal(), connect_timeout=10) as connection:
            row = await (await connection.execute("SELECT current_user")).fetchone()
            return str(row[0]) if row else None
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            return None
        raise


class InPlace:
    """One role, whose password is changed."""

    name = "orders-db"
    title = "one PostgreSQL role, in place"
    tags: Mapping[str, str] = {"rotator": "postgres"}

    def __init__(self, stack: Stack) -> None:
        self._server = Server(stack)

    async def earlier(self) -> SecretValue | None:
        return None

    async def value(self) -> SecretValue:
        return await self._server.role("orders_app")

    async def proofs(self, old: SecretValue, new: SecretValue) -> Sequence[Proof]:
        refused, user = await login(old) is None, await login(new)
        return (
            Proof("PostgreSQL refuses the old password", refused),
            Proof(f"PostgreSQL accepts the new one: current_user is {user}", user == "orders_app"),
        )


class TwoRoles:
    """Two roles in turn: whoever still holds the old value goes on working."""

    name = "billing-db"
    title = "two PostgreSQL roles in turn"
    tags: Mapping[str, str] = {"rotator": "postgres-alternating", "slots": "billing_a,billing_b"}

    def __init__(self, stack: Stack) -> None:
        self._server = Server(stack)

    async def earlier(self) -> SecretValue | None:
        return await self._server.role("billing_b")

    async def value(self) -> SecretValue:
        return await self._server.role("billing_a")

    async def proofs(self, old: SecretValue, new: SecretValue) -> Sequence[Proof]:
        before, after = await login(old), await login(new)
        return (
            Proof(f"the new version logs in: current_user is {after}", after == "billing_b"),
            Proof(f"who still holds the old one is not cut off: current_user is {before}", before == "billing_a"),
        )


class StorageKey:
    """Two keys of a storage account in turn."""

    name = "reports-storage"
    title = "a storage account's key"
    tags: Mapping[str, str] = {"rotator": "storage-key", "target": ACCOUNT_ID, "slot": "key1"}

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    async def earlier(self) -> SecretValue | None:
        return None

    async def value(self) -> SecretValue:
        keys = self._stack.azure_control.post("accounts", {"id": ACCOUNT_ID})["keys"]
        return SecretValue(keys["key1"])

    async def proofs(self, old: SecretValue, new: SecretValue) -> Sequence[Proof]:
        return (
            Proof("a request signed with the new key is answered", await self._signs(new)),
            Proof("the old key lives on until the grace period is over", await self._signs(old)),
            Proof("a key that is neither is refused", not await self._signs(SecretValue("AAAA" * 22))),
        )

    async def _signs(self, key: SecretValue) -> bool:
        url = urljoin(self._stack.planes["arm"], f"/blob/{ACCOUNT}")
        credential = {"account_name": ACCOUNT, "account_key": key.reveal()}
        ca = self._stack.ready["env"]["SSL_CERT_FILE"]
        async with BlobServiceClient(url, credential=credential, connection_verify=ca) as client:
            try:
                await client.get_service_properties()
            except ClientAuthenticationError:
                return False
        return True


class Generated:
    """A key that only the vault's readers know."""

    name = "webhook-signing-key"
    title = "a signing key, made here"
    tags: Mapping[str, str] = {"rotator": "generated", "format": "signing-key-256"}

    def __init__(self, _stack: Stack) -> None:
        pass

    async def earlier(self) -> SecretValue | None:
        return None

    async def value(self) -> SecretValue:
        return SecretValue(secrets.token_hex(32))

    async def proofs(self, old: SecretValue, new: SecretValue) -> Sequence[Proof]:
        return (Proof("the new key is another one, of 256 bits in base64", old != new and len(new.reveal()) == 44),)  # noqa: PLR2004  4 characters for 3 bytes


CASES = (InPlace, TwoRoles, StorageKey, Generated)
