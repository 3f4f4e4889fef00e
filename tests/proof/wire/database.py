"""Between the app and PostgreSQL: the wire, message by message; TLS; then the server itself."""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from local.certificates import ensure
from local.postgres import LocalPostgres
from rotation.model import SecretValue
from tests.e2e.deployment import logs_in
from tests.proof.kills.credentials import Managed
from tests.proof.wire.proxy import NOT_THE_PROTOCOL, Fault, Proxy
from tests.proof.wire.stage import Stage, met
from tests.proof.wire.trial import Trial

PART = "PostgreSQL"
IN_PLACE, IN_TURN, BY_ADMIN = "in place", "in turn", "in turn, by the administrator"
KINDS = (IN_PLACE, IN_TURN, BY_ADMIN)
# What a message holds, and which of several it is: the version's proof, the login for the change, the new one's proof.
MESSAGES: Mapping[str, tuple[bytes, int]] = {
    "the greeting": (b"keyturn", 1),
    "the first login": (b"SCRAM-SHA-256", 1),
    "the login for the change": (b"SCRAM-SHA-256", 2),
    "the change": (b"ALTER ROLE", 1),
    "the proof": (b"SCRAM-SHA-256", 3),
}
AT_A_MESSAGE = tuple(fault for fault in Fault if fault is not Fault.HELD)
SSL_REQUEST = bytes.fromhex("00000008 04d2162f")  # "SSLRequest" in "Message Formats" of the PostgreSQL documentation
CLIENT_HELLO = b"\x16\x03"  # a TLS record that holds a handshake: RFC 8446, section 5.1
FEW_CONNECTIONS = {"max_connections": "30"}
RELOADED_S = 0.5  # the postmaster rereads when it gets the signal
_numbers = itertools.count(1)


class Database:
    """Makes secrets of every kind of role of one server, each behind a proxy of its own.

    administrator: the name of its administrator's secret; the policy lets it change what ends in `-by-` and this name.
    """

    def __init__(
        self, stage: Stage, server: LocalPostgres, host: str = "127.0.0.1", administrator: str = "pg-admin"
    ) -> None:
        self._stage = stage
        self._server = server
        self._host = host
        self.administrator = administrator

    async def managed(self, kind: str, suffix: str = "") -> tuple[Managed, Proxy]:
        """A secret, and the proxy in front of its server."""
        proxy = await self._stage.add(Proxy(self._server.port))
        number = next(_numbers)
        roles = [f"w{number}{letter}" for letter in "ab"]
        first, second = [await self.role(role, proxy.port) for role in roles]
        name = f"role-{number}{suffix}"
        if kind == IN_PLACE:
            return Managed(name, {"rotator": "postgres"}, first, logs_in), proxy
        tags = {"rotator": "postgres-alternating", "slots": ",".join(roles)}
        if kind == IN_TURN:
            return Managed(name, tags, first, logs_in, earlier=second), proxy
        return Managed(f"{name}-by-{self.administrator}", tags, first, logs_in), proxy

    async def role(self, name: str, port: int) -> SecretValue:
        """Make a role -> its connection string, by way of `port`."""
        password = secrets.token_urlsafe(24)
        async with await psycopg.AsyncConnection.connect(self.admin, autocommit=True) as connection:
            verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
            create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            await connection.execute(create.format(sql.Identifier(name), sql.Literal(verifier)))
        return SecretValue(f"postgresql://{name}:{password}@{self._host}:{port}/postgres")

    @property
    def admin(self) -> str:
        """The administrator's connection string."""
        server = self._server
        return server.url("postgres", server.admin_user, server.admin_password).reveal()


async def wire_trials(
    stage: Stage, kinds: Sequence[str] = KINDS, faults: Sequence[Fault] = AT_A_MESSAGE
) -> list[Trial]:
    """Each fault at each message of each kind of role."""
    database = Database(stage, stage.app.stack.postgres)

    async def one(kind: str, message: str, fault: Fault) -> Trial:
        async def make() -> tuple[Managed, Callable[[], bool]]:
            managed, proxy = await database.managed(kind)
            text, nth = MESSAGES[message]
            return managed, met(proxy.plan(fault, text, nth=nth))

        return await stage.tried(PART, f"{kind}: {message} {fault}", make)

    wanted = [(kind, message, fault) for kind in kinds for message in MESSAGES for fault in faults]
    return list(await asyncio.gather(*(one(*each) for each in wanted)))


async def restart_trials(stage: Stage) -> list[Trial]:
    """The server is restarted while the change is on its way to it."""
    server = stage.app.stack.postgres
    database = Database(stage, server)

    @asynccontextmanager
    async def restarted() -> AsyncIterator[None]:
        await asyncio.to_thread(server.restart)
        yield

    made = {}
    for kind in KINDS:
        managed, proxy = await database.managed(kind)
        made[f"{kind}: restarted before the change"] = managed, proxy.plan(Fault.HELD, b"ALTER ROLE")
    return await stage.midway(f"{PART} itself", made, restarted())


async def server_trials(stage: Stage, server: LocalPostgres) -> list[Trial]:
    """Each state of a server that a rotation can meet, with each kind of role."""
    database = Database(stage, server, administrator="own-admin")
    await stage.app.put(database.administrator, database.admin)
    states = {
        "stopped": _stopped(server),
        "a read-only standby": _standby(server, database),
        "out of connections": _full(server, database),
        "pg_hba without the roles": _hba(server, "reject"),
        "pg_hba that asks for the password in clear": _hba(server, "password"),
    }
    trials: list[Trial] = []
    for title, state in states.items():
        made = {f"{kind}: {title}": (await database.managed(kind))[0] for kind in KINDS}
        trials += await stage.under(f"{PART} itself", made, state)
    return trials


@asynccontextmanager
async def _stopped(server: LocalPostgres) -> AsyncIterator[None]:
    await asyncio.to_thread(server.stop)
    yield
    await asyncio.to_thread(server.start)


@asynccontextmanager
async def _standby(server: LocalPostgres, database: Database) -> AsyncIterator[None]:
    """As after a failover to another server: "standby.signal" and "pg_promote" in the PostgreSQL documentation."""
    await asyncio.to_thread(server.stop)
    (server.cluster / "standby.signal").touch()
    await asyncio.to_thread(server.start)
    yield
    async with await psycopg.AsyncConnection.connect(database.admin, autocommit=True) as connection:
        await connection.execute("SELECT pg_promote()")


@asynccontextmanager
async def _full(server: LocalPostgres, database: Database) -> AsyncIterator[None]:
    crowd = (await database.role("crowd", server.port)).reveal()
    async with AsyncExitStack() as held:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                await held.enter_async_context(await psycopg.AsyncConnection.connect(crowd))
        yield


@asynccontextmanager
async def _hba(server: LocalPostgres, method: str) -> AsyncIterator[None]:
    server.hba = (f"host all /^w[0-9]+[ab]$ all {method}",)
    server.reload()
    await asyncio.sleep(RELOADED_S)
    yield
    server.hba = ()
    server.reload()


async def tls_trials(stage: Stage, data: Path, binaries: Path) -> list[Trial]:
    """A server with TLS, and what can go wrong before the password is asked for."""
    part, own = f"{PART} over TLS", stage.app.stack.data / "tls"
    server = LocalPostgres(data, binaries=binaries, tls=ensure(own), durable=False)
    await asyncio.to_thread(server.start)
    try:
        database = Database(stage, server, "localhost")
        faults = [
            ("the request for TLS refused", Fault.GARBAGE, SSL_REQUEST, b"N"),  # then no password may be sent
            *((f"the request for TLS {fault}", fault, SSL_REQUEST, NOT_THE_PROTOCOL) for fault in AT_A_MESSAGE),
            *((f"the handshake {fault}", fault, CLIENT_HELLO, NOT_THE_PROTOCOL) for fault in AT_A_MESSAGE),
        ]

        async def one(title: str, fault: Fault, at: bytes, answer: bytes) -> Trial:
            async def make() -> tuple[Managed, Callable[[], bool]]:
                managed, proxy = await database.managed(IN_PLACE, "-over-tls")
                return managed, met(proxy.plan(fault, at, answer=answer))

            return await stage.tried(part, title, make)

        trials = list(await asyncio.gather(*(one(*each) for each in faults)))
        other = LocalPostgres(data, binaries=binaries, tls=ensure(data / "another-authority"), durable=False)
        made = {"another authority's certificate": (await database.managed(IN_PLACE, "-over-tls"))[0]}
        return trials + await stage.under(part, made, _instead(server, other))
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def _instead(server: LocalPostgres, other: LocalPostgres) -> AsyncIterator[None]:
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(other.start)
    yield
    await asyncio.to_thread(other.stop)
    await asyncio.to_thread(server.start)
