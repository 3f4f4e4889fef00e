"""Logging in over libpq.

Nothing of a vault's value reaches libpq but host, port, database, user and password, each as a parameter of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

from rotation.errors import Refused, Rejected, Unreachable
from rotation.model import Tls
from rotation.rotators.databases.database import Account, Endpoint
from rotation.rotators.postgres.connection import Connection, ready
from rotation.rotators.postgres.refusals import login_error
from rotation.rotators.postgres.scram_rounds import Watch, libpq

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn

CONNECT_S = 5.0  # to one address, TLS and login included
PEER_IS_DEAD_MS = 10_000

_VERBOSE = 2  # PQERRORS_VERBOSE in libpq-fe.h: with the SQLSTATE
# Read by libpq straight from the environment; no parameter overrides them.
_ENVIRONMENT_ONLY = ("PGSERVICE", "PGDATESTYLE", "PGTZ", "PGGEQO")


async def connect(endpoint: Endpoint, account: Account, tls: Tls) -> Connection:
    """Log in.

    Raises:
        Rejected: the server knows no such role and password, or the role may not log in.
        AsksOtherwise: the server would not have the password proven by SCRAM.
        Refused: the password was not looked at, or is not what is wrong. Unreachable: nobody can tell.
    """
    if account.by_token and tls is not Tls.VERIFY_FULL:
        raise Refused(f'a token goes to {endpoint} over verified TLS alone: set tls = "verify-full" in its rule')
    for text in (account.user, account.password.reveal(), account.dbname):
        if "\0" in text:
            raise Rejected(
                f"a user, password or database for {endpoint} holds a NUL, which PostgreSQL takes for its end"
            )
    if not account.password.reveal():
        raise Rejected(f"there is no password of role {account.user!a} for {endpoint}")
    last = Unreachable(f"the host name of {endpoint} has no address")
    for address in await _addresses(endpoint):
        try:
            return Connection(await _log_in(_conninfo(endpoint, address, account, tls), endpoint, account), endpoint)
        except Unreachable as unreachable:
            last = unreachable
    raise last


async def _addresses(endpoint: Endpoint) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_S):
            found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise Unreachable(f"the host name of {endpoint} can't be resolved") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _conninfo(endpoint: Endpoint, address: str, account: Account, tls: Tls) -> bytes:
    """Every parameter that libpq would else take from the environment or a file is set."""
    from psycopg import pq  # noqa: PLC0415  imported when used
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415  imported when used

    for name in _ENVIRONMENT_ONLY:
        os.environ.pop(name, None)
    options = [option for option in pq.Conninfo.get_defaults() if option.envvar and option.keyword != b"service"]
    given = {option.keyword.decode(): (option.compiled or b"").decode() for option in options}
    given |= {
        "host": endpoint.host,
        "hostaddr": address,
        "port": str(endpoint.port),
        "dbname": account.dbname,
        "user": account.user,
        "password": account.password.reveal(),
        "passfile": os.devnull,
        "require_auth": "password" if account.by_token else "scram-sha-256",
        "channel_binding": "prefer",
        "sslmode": tls.value,
        "sslrootcert": _trusted() if tls is Tls.VERIFY_FULL else "",
        "sslcertmode": "disable",
        "gssencmode": "disable",
        "min_protocol_version": "3.0",
        "max_protocol_version": "3.0",  # poolers know no other
        "target_session_attrs": "any",  # which server of several is looked at by us, who can say it by name
        "load_balance_hosts": "disable",
        "client_encoding": "UTF8",
        "application_name": "keyturn",
        "tcp_user_timeout": str(PEER_IS_DEAD_MS),
    }
    return make_conninfo(**given).encode()


def _trusted() -> str:
    """A file of authorities: SSL_CERT_FILE, else the system's, else the one that comes with the app.

    `sslrootcert=system` would be those of the OpenSSL inside psycopg's wheel, which looks where nothing is.
    """
    import certifi  # noqa: PLC0415  imported when used

    return os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or certifi.where()


async def _log_in(conninfo: bytes, endpoint: Endpoint, account: Account) -> PGconn:
    from psycopg.pq import PGconn  # noqa: PLC0415  imported when used

    pgconn = PGconn.connect_start(conninfo)
    watch = Watch(pgconn, str(endpoint))
    try:
        _ask_for_codes(pgconn)
        async with asyncio.timeout(CONNECT_S):
            logged_in = await _poll(pgconn, watch)
    except TimeoutError:
        watch.close()
        raise Unreachable(f"{endpoint} did not answer within {CONNECT_S:.0f} s") from None
    except BaseException:
        watch.close()
        raise
    if logged_in:
        return pgconn
    error = login_error(
        pgconn.error_message.decode(errors="replace"), str(endpoint), account.user, password_asked=pgconn.used_password
    )
    pgconn.finish()
    raise error


def _ask_for_codes(pgconn: Any) -> None:
    libpq().PQsetErrorVerbosity(pgconn.pgconn_ptr, _VERBOSE)


async def _poll(pgconn: PGconn, watch: Watch) -> bool:
    from psycopg.pq import ConnStatus, PollingStatus  # noqa: PLC0415  imported when used

    status, rounds = pgconn.connect_poll(), 0
    while status not in {PollingStatus.OK, PollingStatus.FAILED}:
        if status == PollingStatus.READING and pgconn.status == ConnStatus.AWAITING_RESPONSE and not watch.over:
            rounds = await watch.next_message()
        else:
            await ready(pgconn.socket, to_write=status == PollingStatus.WRITING)
        status, rounds = PollingStatus(await watch.poll(rounds)), 0
    return status == PollingStatus.OK
