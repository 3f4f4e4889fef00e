"""SQLAlchemy: an engine whose logins a rotation does not break. `pip install "keyturn[sqlalchemy]"`, and a driver.

    engine = create_engine("postgresql+psycopg://")
    log_in_with(engine, orders_db)

By the event `do_connect`, of this engine alone:
https://docs.sqlalchemy.org/en/20/core/events.html#sqlalchemy.events.DialectEvents.do_connect
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

from sqlalchemy import Dialect, Engine, event, make_url
from sqlalchemy.exc import ArgumentError

from keyturn.held import Held
from keyturn.logins import may_be_bare, not_usable, refused_by_postgres, uri_of
from keyturn.secret import RotatingSecret
from keyturn.secret_async import AsyncRotatingSecret

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_BY_URI = frozenset({"psycopg2", "asyncpg"})  # `connect` takes a URI first; what is given by name counts before it
_LOGIN = frozenset({"user", "password"})


@overload
def log_in_with(engine: Engine, secret: RotatingSecret) -> None: ...
@overload
def log_in_with(engine: AsyncEngine, secret: AsyncRotatingSecret) -> None: ...
def log_in_with(engine: Engine | AsyncEngine, secret: RotatingSecret | AsyncRotatingSecret) -> None:
    """From now on each connection of this engine logs in with what the secret holds.

    Its value is a PostgreSQL URI (for psycopg also `host=… password=…`); what the engine's URL names counts before it,
    but for the user and the password. Or the value is a password alone: then the engine's URL has the rest.

    Raises:
        TypeError: an asynchronous engine goes with an AsyncRotatingSecret, and another one with a RotatingSecret.
        NotUsable: the engine is not for PostgreSQL; and, when it connects, the value is none of the above.
    """
    if isinstance(engine, Engine) and isinstance(secret, RotatingSecret):
        _check(engine.dialect, secret.reference)
        _listen(engine, secret)
    elif not isinstance(engine, Engine) and isinstance(secret, AsyncRotatingSecret):
        _check(engine.dialect, secret.reference)
        _listen_async(engine, secret)
    else:
        raise TypeError("an AsyncEngine goes with an AsyncRotatingSecret, and an Engine with a RotatingSecret")


def _listen(engine: Engine, secret: RotatingSecret) -> None:
    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, _record: object, cargs: list[Any], cparams: dict[str, Any]) -> Any:
        def log_in(value: str) -> Any:
            held = Held(value)
            del value  # no frame of ours shows it
            return _connected(dialect, cargs, cparams, held, secret.reference)

        return secret.log_in(log_in, refused_by_postgres)


def _listen_async(engine: AsyncEngine, secret: AsyncRotatingSecret) -> None:
    from sqlalchemy.util import await_only, greenlet_spawn  # noqa: PLC0415  they want greenlet, which is an extra

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(dialect: Dialect, _record: object, cargs: list[Any], cparams: dict[str, Any]) -> Any:
        async def log_in(value: str) -> Any:
            held = Held(value)
            del value
            return await greenlet_spawn(_connected, dialect, cargs, cparams, held, secret.reference)

        return await_only(secret.log_in(log_in, refused_by_postgres))


def _check(dialect: Dialect, secret: str) -> None:
    if dialect.name != "postgresql":
        raise not_usable(secret, f"an engine for {dialect.name}", "Keyturn rotates logins of PostgreSQL")


def _connected(dialect: Dialect, cargs: list[Any], cparams: Mapping[str, Any], value: Held, secret: str) -> Any:
    """A connection of the driver."""
    rest = {name: it for name, it in cparams.items() if name not in _LOGIN}
    if dialect.driver in {"psycopg", "psycopg_async"}:
        from keyturn.psycopg import arguments  # noqa: PLC0415  its driver is not everybody's

        given = {name: it for name, it in cparams.items() if name != "password"}
        return dialect.connect(*cargs, **arguments(value, given, secret))
    uri = uri_of(value)
    if uri is None:
        if not may_be_bare(value) or "user" not in cparams:
            raise not_usable(secret, dialect.driver, "write a PostgreSQL URI, or a password and the rest in the engine")
        return dialect.connect(*cargs, **rest, user=cparams["user"], password=value.reveal())
    if dialect.driver not in _BY_URI or cargs:
        raise not_usable(secret, dialect.driver, "write the password alone, and the rest in the engine's URL")
    if not _has_password(uri):
        raise not_usable(secret, dialect.driver, "write a PostgreSQL URI with a user and a password")
    return dialect.connect(uri.reveal(), **rest)


def _has_password(uri: Held) -> bool:
    """Looked at here: drivers show the URI, or a part of it, where they can't read it."""
    try:
        url = make_url(uri.reveal())
    except (ArgumentError, ValueError):
        return False
    return bool(url.password and url.username)
