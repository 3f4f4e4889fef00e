"""Real servers with roles that were made for one test, and jobs for the rotators that change them."""

import asyncio
import contextlib
import itertools
import random
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg import sql

from local.certificates import Certificates
from local.postgres import LocalPostgres
from local.postgres_binaries import installed
from rotation.model import Credential, Endpoints, Job, Login, LoginSource, SecretValue, Spec, Tls
from rotation.ports import Connections, Rotator, RotatorDependencies, TokenProvider
from tests.contract.secrets_at_hand import make_secret, make_spec

ASKS_FOR_CLEAR_TEXT, ASKS_FOR_MD5, TRUSTED, SHUT_OUT = "asks_for_clear_text", "asks_for_md5", "trusted", "shut_out"
HBA = (
    f"host all +{ASKS_FOR_CLEAR_TEXT} all password",
    f"host all +{ASKS_FOR_MD5} all md5",
    f"host all +{TRUSTED} all trust",
    f"host all +{SHUT_OUT} all reject",
)
NOISY = {
    "log_statement": "all",
    "log_connections": "on",
    "log_min_messages": "debug1",
    "log_error_verbosity": "verbose",
}


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    password: SecretValue


class Owner:
    """Who owns a server: makes roles and looks at what no role may see."""

    def __init__(self, server: LocalPostgres) -> None:
        self.server = server
        self._numbers = itertools.count()

    def sql(self, statement: sql.Composed | str, *parameters: object) -> list[tuple[Any, ...]]:
        server = self.server
        with psycopg.connect(
            host=server.host,
            port=server.port,
            user=server.admin_user,
            password=server.admin_password.reveal(),
            dbname="postgres",
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def role(self, name: str | None = None, attributes: str = "LOGIN") -> Role:
        role = Role(
            name or f"role_{next(self._numbers)}_{secrets.token_hex(3)}", SecretValue(secrets.token_urlsafe(12))
        )
        statement = sql.SQL("CREATE ROLE {} {} PASSWORD {}").format(
            sql.Identifier(role.name),
            sql.SQL(attributes),
            sql.Literal(role.password.reveal()),
        )
        self.sql(statement)
        return role

    def kept(self, role: Role) -> tuple[Any, ...]:
        """What changes with each ALTER ROLE: the row's version and the verifier in it."""
        [row] = self.sql("SELECT xmin::text, rolpassword FROM pg_authid WHERE rolname = %s", role.name)
        return row

    def value(self, role: Role, *, port: int | None = None, host: str | None = None, query: str = "") -> str:
        url = self.server.url("postgres", role.name, role.password).reveal()
        place = f"@{self.server.host}:{self.server.port}/"
        return url.replace(place, f"@{host or self.server.host}:{port or self.server.port}/") + query

    def works(self, user: str, password: SecretValue, **more: Any) -> bool:
        """Found out without the rotators."""
        where: dict[str, Any] = {"host": self.server.host, "port": self.server.port, "dbname": "postgres", **more}
        try:
            psycopg.connect(user=user, password=password.reveal(), **where).close()
        except psycopg.OperationalError:
            return False
        return True


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Where a server's own user gets to, which is not so below pytest's folders when root runs them."""
    with tempfile.TemporaryDirectory(prefix="keyturn-postgres-test-") as name:
        path = Path(name)
        path.chmod(0o711)
        yield path


@contextlib.contextmanager
def running(**options: Any) -> Iterator[Owner]:
    """A server that logs all it can, and has the groups that `HBA` treats in their own ways."""
    with folder() as data:
        settings = {**NOISY, **options.pop("settings", {})}
        hba = (*options.pop("hba", ()), *HBA)
        with LocalPostgres(data, durable=False, settings=settings, hba=hba, **options) as server:
            owner = Owner(server)
            for group in (ASKS_FOR_CLEAR_TEXT, ASKS_FOR_MD5, TRUSTED, SHUT_OUT):
                owner.sql(f"CREATE ROLE {group}")
            yield owner


@contextlib.contextmanager
def running_with_tls(certificates: Certificates, **options: Any) -> Iterator[Owner]:
    """The system's own server."""
    binaries = installed()
    if binaries is None:
        pytest.skip("no PostgreSQL with TLS on this machine: apt-get install postgresql")
    with running(binaries=binaries, tls=certificates, **options) as owner:
        yield owner


async def until(holds: Callable[[], object]) -> None:
    """Return when it does; what is waited for happens in another process, which tells nobody."""
    while not holds():  # noqa: ASYNC110  there is no event to wait for
        await asyncio.sleep(0.01)


@dataclass(slots=True)
class Tokens:
    """Gives the one token of the app's identity."""

    text: str = ""
    scopes: list[str] = field(default_factory=list)

    async def token(self, scope: str) -> SecretValue:
        self.scopes.append(scope)
        return SecretValue(self.text)


def make_services(
    tokens: TokenProvider | None = None, endpoints: Endpoints | None = None, connections: int = 8
) -> RotatorDependencies:
    async def no_sleep(_seconds: float) -> None:
        pytest.fail("no rotator here sleeps")

    return RotatorDependencies(
        tokens or Tokens(),
        endpoints or Endpoints(),
        lambda: datetime.now(UTC),
        no_sleep,
        random.SystemRandom(),
        Connections(connections),
    )


@dataclass(slots=True)
class Offered:
    """Logins for a job; `taken` are those that were asked for."""

    logins: tuple[Login, ...]
    taken: list[Login] = field(default_factory=list)

    def __call__(self, _slot: str) -> AsyncIterator[Login]:
        async def one_by_one() -> AsyncIterator[Login]:
            for login in self.logins:
                self.taken.append(login)
                yield login

        return one_by_one()


def version(value: str, user: str | None = None) -> Login:
    return Login(LoginSource.VERSION, SecretValue(value), user)


def by_admin(owner: Owner) -> Login:
    """The superuser, by a secret that leads nowhere: only user and password of it are used."""
    server = owner.server
    value = server.url("nowhere", server.admin_user, server.admin_password).reveal()
    elsewhere = value.replace(f"@{server.host}:{server.port}", "@elsewhere.invalid:1")
    return Login(LoginSource.ADMIN_SECRET, SecretValue(elsewhere), None)


def job_of(
    rotator: Rotator, value: str, *, logins: Iterable[Login] | None = None, spec: Spec | None = None, **changes: Any
) -> Job:
    """To rotate a secret with this value; the login that is offered is the value itself, unless others are given."""
    spec = spec or make_spec("postgres")
    secret = make_secret(value)
    access = rotator.requested_access(spec, secret)
    slot = access.current_slot or access.slots[0]
    job = Job(
        operation_id="0123456789abcdef01234567",
        ref=secret.ref,
        spec=spec,
        access=access,
        current=Credential(secret.value, slot),
        tls=Tls.DISABLE,
        logins=Offered(tuple(logins) if logins is not None else (version(value, slot),)),
    )
    return replace(job, **changes)


class Proxy:
    """Stands between a client and a server. sent: all that clients sent; `cut_after`: bytes at whose sight it hangs up.

    What is cut off has reached the server; its answer does not come back. disguised: as poolers do, it tells clients
    another process id than the server's.
    """

    def __init__(self, port: int) -> None:
        self.sent = bytearray()
        self.connections = 0
        self.cut_after: bytes | None = None
        self.silent = False
        self.disguised = False
        self.port = 0
        self._to = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        await asyncio.sleep(0)  # a connection that was accepted a moment ago gets its task
        await asyncio.gather(*self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        cut, answered = asyncio.Event(), asyncio.Event()

        async def pass_back() -> None:
            while data := await there_reader.read(65536):
                if cut.is_set():
                    answered.set()
                    continue
                writer.write(_another_pid(data) if self.disguised else data)
            writer.close()

        back = asyncio.create_task(pass_back())
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                self.sent += data
                if self.cut_after is not None and self.cut_after in data:
                    cut.set()
                there_writer.write(data)
                if cut.is_set() and not self.silent:
                    await answered.wait()
                    break
        back.cancel()
        for end in (writer, there_writer):
            end.close()
            with contextlib.suppress(ConnectionError):
                await end.wait_closed()


def _another_pid(data: bytes) -> bytes:
    """BackendKeyData with 1 as the process; see "Message Formats" in the PostgreSQL documentation."""
    before, found, after = data.partition(b"K\x00\x00\x00\x0c")
    return before + found + (b"\x00\x00\x00\x01" + after[4:] if found else b"")
