"""Who owns the vaults and the databases of a trial: plain calls, as few and as quick as can be."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import psycopg
from psycopg import sql

from local.stack import Stack
from rotation.model import SecretValue

API = {"api-version": "7.6"}
SOON = timedelta(days=10)  # within the lead of 30 days: due
AT_ONCE = 16
FIRST_PASSWORD = "first-password-of-every-role"  # each is changed before anybody could care


class Owner:
    """Writes and reads secrets, makes roles and databases."""

    def __init__(self, stack: Stack, session: aiohttp.ClientSession, token: str) -> None:
        self._vaults: Mapping[str, str] = stack.ready["vaults"]
        self._server = stack.postgres
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}

    async def put(
        self, vault: str, name: str, value: SecretValue, tags: Mapping[str, str], life: timedelta = SOON
    ) -> str:
        """Write a version -> its id."""
        ends = int((datetime.now(UTC) + life).timestamp())
        body = {"value": value.reveal(), "tags": dict(tags), "attributes": {"exp": ends}}
        return str((await self._call("PUT", vault, name, json=body))["id"].rpartition("/")[2])

    async def get(self, vault: str, name: str) -> tuple[str, SecretValue]:
        """The latest version -> its id and value."""
        found = await self._call("GET", vault, name)
        return found["id"].rpartition("/")[2], SecretValue(found["value"])

    async def _call(self, method: str, vault: str, name: str, **body: Any) -> Any:
        url = f"{self._vaults[vault]}/secrets/{name}"
        async with self._session.request(method, url, params=API, headers=self._headers, **body) as answer:
            answer.raise_for_status()
            return await answer.json()

    def url(self, role: str, dbname: str = "postgres", password: str = FIRST_PASSWORD) -> SecretValue:
        """A role's connection string."""
        return self._server.url(dbname, role, SecretValue(password))

    async def make(self, roles: Sequence[str], databases: Sequence[str] = ()) -> None:
        """Roles that all have the same first password, so that its verifier is made once; and databases."""
        admin = self._server.url("postgres", self._server.admin_user, self._server.admin_password)
        async with await psycopg.AsyncConnection.connect(admin.reveal(), autocommit=True) as connection:
            verifier = connection.pgconn.encrypt_password(FIRST_PASSWORD.encode(), b"", b"scram-sha-256").decode()
            for name in databases:
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            made = [create.format(sql.Identifier(role), sql.Literal(verifier)) for role in roles]
            await connection.execute(sql.SQL("; ").join(made))


@asynccontextmanager
async def owning(stack: Stack) -> AsyncIterator[Owner]:
    """The owner of a running stack."""
    env = stack.ready["env"]
    tls = ssl.create_default_context(cafile=env["SSL_CERT_FILE"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        asked = {"api-version": "2019-08-01", "resource": "https://vault.azure.net"}
        headers = {"X-IDENTITY-HEADER": env["IDENTITY_HEADER"]}
        async with session.get(env["IDENTITY_ENDPOINT"], params=asked, headers=headers) as answer:
            token = (await answer.json())["access_token"]
        yield Owner(stack, session, token)


async def logs_in(value: SecretValue) -> bool:
    """Whether a consumer gets in."""
    try:
        async with await psycopg.AsyncConnection.connect(value.reveal(), connect_timeout=10):
            return True
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        return False


async def side_by_side(calls: Sequence[Any], at_once: int = AT_ONCE) -> list[Any]:
    """Await them all, so many at a time -> their results, in order."""
    gate = asyncio.Semaphore(at_once)

    async def one(call: Any) -> Any:
        async with gate:
            return await call

    return await asyncio.gather(*(one(call) for call in calls))
