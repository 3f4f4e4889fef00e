"""psycopg, its pool and SQLAlchemy at a real server, with a password that is changed under them."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg_pool import AsyncNullConnectionPool, ConnectionPool, NullConnectionPool
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

import keyturn
from keyturn import AsyncRotatingSecret, NotUsable, RotatingSecret
from keyturn.psycopg import async_connection_class, connection_class
from keyturn.sqlalchemy import log_in_with
from tests.integration.postgres_fixtures import Owner, running
from tests.keyturn.played import AsyncPlayedVault, PlayedVault, Time
from tests.keyturn.turning import ADDRESS, Turning

PACKAGE = Path(keyturn.__file__).parent
ASK = "SELECT current_user"
Asks = Callable[[], Awaitable[str]]


@pytest.fixture(scope="module")
def owner() -> Iterator[Owner]:
    with running() as owner:
        yield owner


@pytest.fixture
def turning(owner: Owner) -> Turning:
    return Turning(owner)


def rest(owner: Owner) -> str:
    return f"host={owner.server.host} port={owner.server.port} dbname=postgres"


def by_psycopg(turning: Turning) -> Asks:
    kind = connection_class(turning.secret)

    def ask() -> str:
        with kind.connect() as connection:
            [user] = connection.execute(ASK).fetchone() or [""]
        return str(user)

    return lambda: asyncio.to_thread(ask)


def by_psycopg_async(turning: Turning) -> Asks:
    kind = async_connection_class(turning.async_secret)

    async def ask() -> str:
        async with await kind.connect() as connection:
            [user] = await (await connection.execute(ASK)).fetchone() or [""]
        return str(user)

    return ask


def by_pool(turning: Turning) -> Asks:
    """A pool that logs in for each client."""
    pool = NullConnectionPool(connection_class=connection_class(turning.secret), max_size=32, open=True)
    ended(pool.close)

    def ask() -> str:
        with pool.connection() as connection:
            [user] = connection.execute(ASK).fetchone() or [""]
        return str(user)

    return lambda: asyncio.to_thread(ask)


def by_pool_async(turning: Turning) -> Asks:
    async def ask() -> str:
        kind = async_connection_class(turning.async_secret)
        async with (
            AsyncNullConnectionPool(connection_class=kind, max_size=2, open=False) as pool,
            pool.connection() as connection,
        ):
            [user] = await (await connection.execute(ASK)).fetchone() or [""]
        return str(user)

    return ask


def by_engine(turning: Turning) -> Asks:
    engine = create_engine("postgresql+psycopg://", poolclass=NullPool)
    log_in_with(engine, turning.secret)

    def ask() -> str:
        with engine.connect() as connection:
            return str(connection.execute(text(ASK)).scalar_one())

    return lambda: asyncio.to_thread(ask)


def by_async_engine(driver: str) -> Callable[[Turning], Asks]:
    def made(turning: Turning) -> Asks:
        engine = create_async_engine(f"postgresql+{driver}://", poolclass=NullPool)
        log_in_with(engine, turning.async_secret)

        async def ask() -> str:
            async with engine.connect() as connection:
                return str((await connection.execute(text(ASK))).scalar_one())

        return ask

    return made


_ENDING: list[Callable[[], object]] = []


def ended(end: Callable[[], object]) -> None:
    _ENDING.append(end)


@pytest.fixture(autouse=True)
def _end_all() -> Iterator[None]:
    yield
    while _ENDING:
        _ENDING.pop()()


CLIENTS = {
    "psycopg": by_psycopg, "psycopg-async": by_psycopg_async, "pool": by_pool, "pool-async": by_pool_async,
    "sqlalchemy": by_engine, "sqlalchemy-psycopg-async": by_async_engine("psycopg"),
    "sqlalchemy-asyncpg": by_async_engine("asyncpg"),
}  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS)
async def test_of_many_that_log_in_while_the_password_is_changed_none_is_refused(client: str, turning: Turning) -> None:
    ask = CLIENTS[client](turning)
    assert await ask() == turning.role.name
    for _ in range(2):
        before = len(turning.vault.reads)
        await asyncio.to_thread(turning.rotate)
        assert set(await asyncio.gather(*(ask() for _ in range(12)))) == {turning.role.name}
        assert 1 <= len(turning.vault.reads) - before <= 5, "one reads for all"


# A pool goes on trying in its own thread, and logs why.
@pytest.mark.parametrize("client", [name for name in CLIENTS if not name.startswith("pool")])
async def test_without_another_version_the_drivers_own_error_comes_with_a_note_and_shows_no_value(
    client: str, owner: Owner
) -> None:
    turning = Turning(owner)
    turning.secret._known._wait_s = turning.async_secret._known._wait_s = 0.1
    ask = CLIENTS[client](turning)
    await ask()
    old = turning.role.password.reveal()
    await asyncio.to_thread(turning.rotate, 60.0)
    with pytest.raises(Exception, match="password authentication failed") as refused:
        await ask()
    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):
            timer.cancel()
    shown = "".join(traceback.format_exception(refused.value))
    assert "the vault has no other version" in shown
    assert old not in shown
    frames = "".join(traceback.TracebackException.from_exception(refused.value, capture_locals=True).format())
    ours = [frame for frame in frames.split("  File ") if "/keyturn/keyturn/" in frame or "/library/keyturn/" in frame]
    assert not [frame for frame in ours if old in frame]


async def test_a_password_alone_goes_with_the_rest_from_the_code(owner: Owner) -> None:
    turning = Turning(owner, lambda role: role.password.reveal())
    where = f"{rest(owner)} user={turning.role.name}"
    kind, kind_async = connection_class(turning.secret), async_connection_class(turning.async_secret)
    url = f"postgresql+%s://{turning.role.name}@{owner.server.host}:{owner.server.port}/postgres"
    engine = create_engine(url % "psycopg", poolclass=NullPool)
    log_in_with(engine, turning.secret)
    by_asyncpg = create_async_engine(url % "asyncpg", poolclass=NullPool)
    log_in_with(by_asyncpg, turning.async_secret)
    for _ in range(2):
        await asyncio.to_thread(lambda: kind.connect(where, application_name="orders").close())
        await (await kind_async.connect(where)).close()
        await asyncio.to_thread(lambda: engine.connect().close())
        async with by_asyncpg.connect():
            pass
        await asyncio.to_thread(turning.rotate)
    with ConnectionPool(where, connection_class=kind, min_size=1, open=True) as pool:
        await asyncio.to_thread(pool.wait, 10)


def test_libpqs_own_form_and_sqlalchemys_are_understood(owner: Owner) -> None:
    for turning in (
        Turning(owner, lambda role: f"{rest(owner)} user={role.name} password={role.password.reveal()}"),
        Turning(owner, lambda role: owner.value(role).replace("postgresql://", "postgresql+psycopg://", 1)),
    ):
        engine = create_engine("postgresql+psycopg://", poolclass=NullPool)
        log_in_with(engine, turning.secret)
        connection_class(turning.secret).connect().close()
        turning.rotate()
        with engine.connect() as connection:
            assert connection.execute(text(ASK)).scalar_one() == turning.role.name


def test_what_the_code_gives_counts_before_the_value_but_for_the_login(turning: Turning) -> None:
    with connection_class(turning.secret).connect("application_name=orders user=nobody password=x") as connection:
        assert (connection.info.user, connection.info.get_parameters()["application_name"]) == (
            turning.role.name,
            "orders",
        )


def test_a_pool_takes_a_callable_as_conninfo_too(turning: Turning) -> None:
    kind = connection_class(turning.secret)
    with ConnectionPool(lambda: turning.secret.value, connection_class=kind, min_size=1, open=True) as pool:
        pool.wait(10)
        turning.rotate()
        pool.drain()
        with pool.connection() as connection:
            assert connection.execute(ASK).fetchone() == (turning.role.name,)


def test_a_statement_is_never_run_again(turning: Turning, owner: Owner) -> None:
    owner.sql("CREATE SEQUENCE IF NOT EXISTS runs")
    owner.sql("GRANT USAGE ON SEQUENCE runs TO PUBLIC")
    fails = (
        "DO $$ BEGIN PERFORM nextval('runs'); RAISE 'password authentication failed' USING ERRCODE = '28P01'; END $$"
    )
    engine = create_engine("postgresql+psycopg://", poolclass=NullPool)
    log_in_with(engine, turning.secret)
    with engine.connect() as connection, pytest.raises((OperationalError, ProgrammingError)):
        connection.execute(text(fails))
    with connection_class(turning.secret).connect() as plain, pytest.raises(psycopg.OperationalError):
        plain.execute(fails)
    assert owner.sql("SELECT last_value FROM runs") == [(2,)]
    assert len(turning.vault.reads) == 1


UNUSABLE = {
    "jdbc": "jdbc:postgresql://db/orders?user=u&password=canary-5h1ft",
    "dotnet": "Host=db;Username=u;Password=canary-5h1ft",
    "json": '{"password": "canary-5h1ft"}',
    "mysql": "mysql://u:canary-5h1ft@db/orders",
    "no password": "postgresql://u@db/orders",
    "percent": "postgresql://u:canary-5h1ft%zz@db/orders",
    "empty": "",
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_value_that_psycopg_can_not_log_in_with_is_one_clear_line(kind: str) -> None:
    vault = PlayedVault(Time(), UNUSABLE[kind])
    with pytest.raises(NotUsable) as unusable:
        connection_class(RotatingSecret(ADDRESS, reader=lambda: vault)).connect("host=127.0.0.1 port=1 user=u")
    assert_clear(unusable.value)


@pytest.mark.parametrize(
    ("driver", "kind"),
    [
        *(("psycopg", kind) for kind in UNUSABLE),
        *(("asyncpg", kind) for kind in UNUSABLE if kind != "percent"),  # which it reads as it is written
        ("asyncpg", "a wrong port"),
    ],
)
async def test_a_value_that_an_engine_can_not_log_in_with_is_one_clear_line(driver: str, kind: str) -> None:
    value = {**UNUSABLE, "a wrong port": "postgresql://u:canary-5h1ft@db:port/orders"}[kind]
    vault = AsyncPlayedVault(PlayedVault(Time(), value))
    engine = create_async_engine(f"postgresql+{driver}://u@127.0.0.1:1/postgres", poolclass=NullPool)
    log_in_with(engine, AsyncRotatingSecret(ADDRESS, reader=lambda: vault))
    with pytest.raises(NotUsable) as unusable:
        await engine.connect()
    assert_clear(unusable.value)


async def test_a_password_alone_wants_a_user_from_the_code() -> None:
    vault = PlayedVault(Time(), "canary-5h1ft")
    with pytest.raises(NotUsable, match="give the rest") as unusable:
        connection_class(RotatingSecret(ADDRESS, reader=lambda: vault)).connect("host=127.0.0.1 port=1")
    assert_clear(unusable.value)
    engine = create_async_engine("postgresql+asyncpg://127.0.0.1:1/postgres", poolclass=NullPool)
    log_in_with(engine, AsyncRotatingSecret(ADDRESS, reader=lambda: AsyncPlayedVault(vault)))
    with pytest.raises(NotUsable, match="the rest in the engine"):
        await engine.connect()


def assert_clear(error: NotUsable) -> None:
    assert str(error).startswith(ADDRESS)
    assert "\n" not in str(error)
    assert "5h1ft" not in "".join(traceback.format_exception(error))


def test_an_engine_of_another_kind_is_refused_at_once(turning: Turning) -> None:
    with pytest.raises(NotUsable, match="sqlite"):
        log_in_with(create_engine("sqlite://"), turning.secret)
    with pytest.raises(TypeError):
        log_in_with(create_engine("postgresql+psycopg://"), turning.async_secret)  # type: ignore[call-overload]
