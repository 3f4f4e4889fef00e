"""Between the app and PostgreSQL: the wire, message by message; then the server itself."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import psycopg

from rotation.model import SecretValue
from tests.e2e.deployment import Deployment
from tests.wire.proxy import Fault, Plan, Proxy, proxied
from tests.wire.trial import HONEST, Trial, mended, tried

MESSAGES: Mapping[str, bytes] = {"the greeting": b"keyturn", "the login": b"SCRAM-SHA-256", "the change": b"ALTER ROLE"}
KINDS = ("in place", "in place, by the administrator", "in turn", "in turn, by the administrator")
AT_ONCE = 24
REFUSED = "host all /^w[0-9]+[ab]$ 127.0.0.1/32 reject\n"


@dataclass(frozen=True, slots=True)
class Role:
    """A secret whose server is reached through `proxy`. old: its value before anything happened."""

    secret: str
    proxy: Proxy
    old: SecretValue


class Database:
    """Makes secrets of every kind of role, each behind a proxy of its own."""

    def __init__(self, app: Deployment) -> None:
        self._app = app
        self._proxies = AsyncExitStack()
        self._made = 0

    async def __aenter__(self) -> "Database":
        await self._app.put("pg-admin", self._app.admin)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._proxies.aclose()

    async def role(self, kind: str) -> Role:
        self._made = number = self._made + 1
        suffix = "-by-admin" if "administrator" in kind else ""
        server = self._app.stack.postgres
        proxy = await self._proxies.enter_async_context(proxied(server.port))
        names = [f"w{number}{letter}" for letter in "ab"]
        values = []
        for name in names:
            value = (await self._app.role(name)).reveal()
            values.append(SecretValue(value.replace(f":{server.port}/", f":{proxy.port}/")))
        secret = f"wire-{number}{suffix}"
        if "in place" in kind:
            await self._app.put(secret, values[0], {"rotator": "postgres"})
        else:
            tags = {"rotator": "postgres-alternating", "slots": ",".join(names)}
            await self._app.put(secret, values[1], tags)
            await self._app.put(secret, values[0], tags)
        return Role(secret, proxy, values[0])

    async def wire_trials(self, faults: tuple[Fault, ...] = tuple(Fault)) -> list[Trial]:
        """Each fault at each message of each kind of role."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(kind: str, message: str, fault: Fault) -> Trial:
            async with gate:
                role = await self.role(kind)
                role.proxy.plan = plan = Plan(fault, at=MESSAGES[message])
                return await tried(self._app, f"{kind}: {message} {fault}", role.secret, lambda: plan.struck)

        wanted = [(kind, message, fault) for kind in KINDS for message in MESSAGES for fault in faults]
        return list(await asyncio.gather(*(one(*each) for each in wanted)))

    async def server_trials(self) -> list[Trial]:
        """Each state of the server that a rotation can meet, with each kind of role."""
        trials = []
        for title, state in (
            ("restarted meanwhile", self._restarted),
            ("promoted to read-only", self._read_only),
            ("out of connections", self._full),
            ("pg_hba without the roles", self._closed),
        ):
            roles = {kind: await self.role(kind) for kind in KINDS}
            async with state():
                answers = await asyncio.gather(*(self._app.rotate(role.secret) for role in roles.values()))
                forced = await asyncio.gather(*(self._app.rotate(role.secret, force="true") for role in roles.values()))
            for (kind, role), first, answer in zip(roles.items(), answers, forced, strict=True):
                name = f"{kind}: {title}"
                honest = first.status in HONEST and answer.status in HONEST
                broken = None if honest else f"{name}: answered {answer.status} {answer.text[:300]}"
                trials.append(Trial(name, True, answer.status, broken or await mended(self._app, name, role.secret)))
        return trials

    @asynccontextmanager
    async def _restarted(self) -> AsyncIterator[None]:
        restart = asyncio.create_task(asyncio.to_thread(self._app.stack.postgres.restart))
        yield
        await restart

    @asynccontextmanager
    async def _read_only(self) -> AsyncIterator[None]:
        await self._administer("ALTER SYSTEM SET default_transaction_read_only = on")
        yield
        await self._administer(
            "SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only"
        )

    @asynccontextmanager
    async def _full(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as held:
            role = (await self._app.role(f"crowd{self._made}")).reveal()
            try:
                while True:
                    await held.enter_async_context(await psycopg.AsyncConnection.connect(role))
            except psycopg.OperationalError:
                pass
            yield

    @asynccontextmanager
    async def _closed(self) -> AsyncIterator[None]:
        path = self._app.stack.postgres.cluster / "pg_hba.conf"
        text = path.read_text()
        path.write_text(REFUSED + text)
        await self._administer()
        try:
            yield
        finally:
            path.write_text(text)
            await self._administer()

    async def _administer(self, *statements: str) -> None:
        connection = await psycopg.AsyncConnection.connect(self._app.admin.reveal(), autocommit=True)
        async with connection:
            for statement in (*statements, "SELECT pg_reload_conf()"):
                await connection.execute(statement.encode())
        await asyncio.sleep(0.3)  # the postmaster rereads when it gets the signal
