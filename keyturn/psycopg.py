"""psycopg 3 and its pool: connections whose login a rotation does not break. `pip install "keyturn[psycopg]"`.

    OrdersDb = connection_class(orders_db)
    with OrdersDb.connect() as connection: ...
    pool = psycopg_pool.ConnectionPool(connection_class=OrdersDb)

The pool makes each of its connections by `connection_class.connect(conninfo, **kwargs)`; there a refused login can be
answered. A callable as `conninfo` (psycopg_pool 3.3, https://www.psycopg.org/psycopg3/docs/api/pool.html) is asked
before each login, and never hears that one was refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from psycopg import AsyncConnection, Connection, ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from keyturn.held import Held
from keyturn.logins import may_be_bare, not_usable, refused_by_postgres, uri_of
from keyturn.secret import RotatingSecret
from keyturn.secret_async import AsyncRotatingSecret

_LOGIN = ("user", "password")


def connection_class(secret: RotatingSecret) -> type[Connection[TupleRow]]:
    """A class like `psycopg.Connection`, whose `connect` logs in with what the secret holds.

    Its value is a connection string of libpq (a URI, or `host=… password=…`); what `connect` is given beside it counts
    before it, but for the user and the password. Or the value is a password alone: then `connect` is given the rest.

    Raises, from `connect`: NotUsable: the value is neither. Else as `psycopg.Connection.connect`.
    """

    class Rotating(Connection[TupleRow]):
        @classmethod
        def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
            given = _given(conninfo, kwargs)
            plain = super().connect

            def log_in(value: str) -> Any:
                held = Held(value)
                del value  # no frame of ours shows it
                return plain("", **arguments(held, given, secret.reference))

            connected: Self = secret.log_in(log_in, refused_by_postgres)
            return connected

    return Rotating


def async_connection_class(secret: AsyncRotatingSecret) -> type[AsyncConnection[TupleRow]]:
    """A class like `psycopg.AsyncConnection`; see `connection_class`."""

    class AsyncRotating(AsyncConnection[TupleRow]):
        @classmethod
        async def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
            given = _given(conninfo, kwargs)
            plain = super().connect

            async def log_in(value: str) -> Any:
                held = Held(value)
                del value
                return await plain("", **arguments(held, given, secret.reference))

            connected: Self = await secret.log_in(log_in, refused_by_postgres)
            return connected

    return AsyncRotating


def arguments(value: Held, given: Mapping[str, Any], secret: str) -> dict[str, Any]:
    """What to connect with: the value, and what is given beside it. Of both, the user and password are the value's.

    Raises:
        NotUsable: the value is no connection string with a password, nor a password for which a user is given.
    """
    uri = uri_of(value)
    try:
        found: Mapping[str, Any] = conninfo_to_dict((uri or value).reveal())
    except ProgrammingError:
        found = {}
    if "password" in found:
        return {**found, **given, **{name: found[name] for name in _LOGIN if name in found}}
    if found or uri is not None or not may_be_bare(value):
        raise not_usable(secret, "psycopg", "write a PostgreSQL URI with a password, host=… password=…, or a password")
    if "user" not in given:
        raise not_usable(secret, "psycopg", 'it may be a password alone: then give the rest, "host=… user=… dbname=…"')
    return {**given, "password": value.reveal()}


def _given(conninfo: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {name: it for name, it in {**conninfo_to_dict(conninfo), **more}.items() if name != "password"}
