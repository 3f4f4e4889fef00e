"""The whole app as it is used from outside: over HTTP, by events, and through the vault."""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from unittest.mock import patch

import aiohttp
import psycopg
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets import KeyVaultSecret
from azure.keyvault.secrets.aio import SecretClient
from psycopg import sql
from yarl import URL

from local.stack import Stack
from rotation.model import SecretValue

VAULT = "kv-demo"
WITHIN_S = 30.0
NOT_SOON = timedelta(days=60)  # no event of its own


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Deployment:
    """What an operator, Event Grid and a consumer can do. `answers` keeps each HTTP answer for the search for leaks."""

    def __init__(
        self, stack: Stack, session: aiohttp.ClientSession, clients: Mapping[str, SecretClient], answers: list[str]
    ) -> None:
        self.stack = stack
        self._session = session
        self._clients = clients
        self._answers = answers
        self.seen: list[tuple[str, str, Answer]] = []  # method, path, answer

    # as an operator

    async def call(self, method: str, path: str, *, key: str | None = "", **options: Any) -> Answer:
        """key: None sends none. A path with a query goes as it is encoded."""
        url = URL(self.stack.ready["functions"] + path, encoded="?" in path)
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["x-functions-key"] = key or self.stack.ready["function_key"]
        async with self._session.request(method, url, headers=headers, **options) as got:
            answer = Answer(got.status, await got.text(), dict(got.headers))
        self._answers.append(f"{method} {path} {answer.headers} {answer.text}")
        self.seen.append((method, path, answer))
        return answer

    async def rotate(self, name: str, *, vault: str = VAULT, **query: str) -> Answer:
        return await self.call("POST", f"/api/vaults/{vault}/secrets/{name}/rotate", params=query)

    async def read(self, name: str, *, vault: str = VAULT) -> Any:
        answer = await self.call("GET", f"/api/vaults/{vault}/secrets/{name}")
        assert answer.status == 200, answer.text
        return answer.json

    async def sweep(self) -> None:
        answer = await self.call("POST", "/admin/functions/sweep", json={})
        assert answer.status == 202
        await self.idle()

    # as Event Grid

    async def event(self, body: Any, **headers: str) -> Answer:
        """What is posted to the webhook; a text goes as it is."""
        text = body if isinstance(body, str) else json.dumps(body)
        told = {"aeg-event-type": "Notification", **{name.replace("_", "-"): value for name, value in headers.items()}}
        path = "/runtime/webhooks/eventgrid?functionName=near_expiry"
        return await self.call("POST", path, data=text, headers=told)

    async def near_expiry(self, name: str, version: str, *, kind: str = "SecretNearExpiry") -> Answer:
        return await self.event([event_of(name, version, kind=kind)])

    async def queue(self) -> Mapping[str, int]:
        """How many messages there are: `count`, of them `delayed`, and `poison`."""
        return dict((await self.call("GET", "/admin/queues/rotation-requests")).json)

    async def idle(self) -> None:
        """Return once no message is to be worked on now; those put back for later may be there."""
        async with asyncio.timeout(WITHIN_S):
            while (told := await self.queue())["count"] != told["delayed"]:  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.05)

    # as the owner of the vault and the database

    async def put(
        self,
        name: str,
        value: SecretValue | str,
        tags: Mapping[str, str] | None = None,
        *,
        life: timedelta | None = NOT_SOON,
        vault: str = VAULT,
        content_type: str | None = None,
    ) -> str:
        """Write a version -> its id."""
        text = value if isinstance(value, str) else value.reveal()
        ends = datetime.now(UTC) + life if life is not None else None
        written = await self._clients[vault].set_secret(
            name, text, tags=dict(tags or {}), expires_on=ends, content_type=content_type
        )
        return str(written.properties.version)

    async def get(self, name: str, version: str = "", *, vault: str = VAULT) -> KeyVaultSecret:
        return await self._clients[vault].get_secret(name, version)

    async def value(self, name: str) -> SecretValue:
        return SecretValue((await self.get(name)).value or "")

    async def versions(self, name: str, *, vault: str = VAULT) -> list[str]:
        found = self._clients[vault].list_properties_of_secret_versions(name)
        return [str(one.version) async for one in found]

    def client(self, vault: str = VAULT) -> SecretClient:
        return self._clients[vault]

    async def role(self, name: str, password: str | None = None, *, options: str = "LOGIN") -> SecretValue:
        """Make a role -> its connection string."""
        chosen = password or secrets.token_urlsafe(24)
        await self.set_password(name, chosen, statement="CREATE ROLE {} " + options + " PASSWORD {}")
        return self.stack.postgres.url("postgres", name, SecretValue(chosen))

    async def set_password(
        self, name: str, password: str, *, statement: str = "ALTER ROLE {} PASSWORD {}"
    ) -> SecretValue:
        """By hand, as somebody with the administrator's rights does -> the connection string that now works."""
        async with await psycopg.AsyncConnection.connect(self.admin.reveal(), autocommit=True) as connection:
            verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
            await connection.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Literal(verifier)))
        return self.stack.postgres.url("postgres", name, SecretValue(password))

    @property
    def admin(self) -> SecretValue:
        server = self.stack.postgres
        return server.url("postgres", server.admin_user, server.admin_password)


_Seen = TypeVar("_Seen", bound=Deployment)


@asynccontextmanager
async def opened(stack: Stack, answers: list[str]) -> AsyncIterator[Deployment]:
    """A running stack as it is seen from outside, with an identity that may do everything in its vaults."""
    async with opened_as(Deployment, stack, answers) as deployment:
        yield deployment


@asynccontextmanager
async def opened_as(kind: type[_Seen], stack: Stack, answers: list[str]) -> AsyncIterator[_Seen]:
    """As `opened`, for who sees the stack otherwise."""
    ca = stack.ready["env"]["SSL_CERT_FILE"]
    async with AsyncExitStack() as closing:
        closing.enter_context(patch.dict(os.environ, stack.ready["env"]))
        identity = await closing.enter_async_context(ManagedIdentityCredential())
        clients = {}
        for name, url in stack.ready["vaults"].items():
            client = SecretClient(url, identity, verify_challenge_resource=False, connection_verify=ca)
            clients[name] = await closing.enter_async_context(client)
        yield kind(stack, await closing.enter_async_context(aiohttp.ClientSession()), clients, answers)


async def logs_in(value: SecretValue) -> bool:
    """Whether a consumer gets in."""
    try:
        async with await psycopg.AsyncConnection.connect(value.reveal(), connect_timeout=10):
            return True
    except psycopg.OperationalError as error:
        assert "password authentication failed" in str(error), "another refusal than the password's"
        return False


def event_of(name: str, version: str, *, kind: str = "SecretNearExpiry", vault: str = VAULT) -> dict[str, Any]:
    """An event of the Event Grid schema."""
    return {
        "id": secrets.token_hex(8),
        "topic": f"/subscriptions/0/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/{vault}",
        "subject": name,
        "eventType": f"Microsoft.KeyVault.{kind}",
        "eventTime": datetime.now(UTC).isoformat(),
        "data": {
            "Id": f"https://{vault}.vault.azure.net/secrets/{name}/{version}",
            "VaultName": vault,
            "ObjectType": "Secret",
            "ObjectName": name,
            "Version": version,
            "NBF": None,
            "EXP": int(datetime.now(UTC).timestamp()) + 86_400,
        },
        "dataVersion": "1",
        "metadataVersion": "1",
    }


def steps(told: Mapping[str, Any]) -> Sequence[str]:
    """The steps of a history, oldest first."""
    return [record["step"] for record in told["history"]]
