"""One connection to one PostgreSQL server, over libpq's asynchronous interface.

`psycopg.pq` is used, and not `psycopg.AsyncConnection`, for two things that the latter can't do. A failed login tells
no SQLSTATE there, only the server's words in the server's language; libpq can be told to put the code in front of them
(see "PQsetErrorVerbosity" in the PostgreSQL documentation). And when it is cancelled, it spends up to ten more seconds
on asking the server to cancel; the engine's write fence needs a call to be over when its time is.

Nothing of a vault's value reaches libpq but host, port, database, user and password, each as a parameter of its own.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import socket
import ssl
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rotation.errors import Refused, Rejected, RotationError, Unreachable
from rotation.model import SecretValue, Tls

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

CONNECT_S = 5.0  # to one address, TLS and login included
ANSWER_S = 10.0  # for one statement; the server is told to give up before
PEER_IS_DEAD_MS = 10_000

_VERBOSE = 2  # PQERRORS_VERBOSE in libpq-fe.h: with the SQLSTATE
# libpq's words, the severity (in the server's language), the code, the server's words. Without a code all is libpq's.
_FROM_SERVER = re.compile(r"failed: [^:\n]*:  (?P<code>[0-9A-Z]{5}): (?P<words>.*)")
# PgBouncer before 1.19 had one code for everything; it speaks English only.
_ANY_POOLER_ERROR, _POOLER_REJECTS = "08P01", re.compile("auth(?:entication)? failed|no such user")
_NOT_NOW = ("08", "40", "53", "55P03", "57", "58", "XX")  # classes of SQLSTATE that say nothing about us
# Read by libpq straight from the environment; no parameter overrides them.
_ENVIRONMENT_ONLY = ("PGSERVICE", "PGDATESTYLE", "PGTZ", "PGGEQO")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's address. host: a name or an IP address, in lower case, without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Account:
    """Who logs in, and where to. by_token: the password is an Entra token, which the server must read in clear."""

    user: str
    password: SecretValue
    dbname: str
    by_token: bool = False


class AsksOtherwise(Refused):
    """The server wants the password in another way than the one that does not show it to the server."""


class StatementRefused(Refused):
    """The server refused a statement, so that nothing changed. `sqlstate` says why."""

    sqlstate = ""


Row = tuple[str | None, ...]


class Session:
    """A logged-in connection; closed at the end of its `async with`, without another word to the server."""

    def __init__(self, pgconn: PGconn, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._pgconn = pgconn
        self._pgconn.nonblocking = 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._pgconn.finish()

    @property
    def backend_pid(self) -> int:
        """The server process, as the one who answered our login called it."""
        return self._pgconn.backend_pid

    @property
    def is_standby(self) -> bool:
        """Whether the server said at login that it is a standby; before version 14 it never says so."""
        return self._pgconn.parameter_status(b"in_hot_standby") == b"on"

    def verifier(self, password: SecretValue, user: str) -> str:
        """What a server keeps of a password (RFC 5803), salted anew; made here, so that it never sees the password."""
        made = self._pgconn.encrypt_password(password.reveal().encode(), user.encode(), b"scram-sha-256")
        return made.decode()

    async def query(self, sql: str, *parameters: str) -> list[Row]:
        """The last statement's rows, as text.

        Raises:
            StatementRefused: nothing changed. Unreachable: not now; or no answer, and it may have happened.
        """
        from psycopg import OperationalError  # noqa: PLC0415  imported when used

        try:
            async with asyncio.timeout(ANSWER_S):
                result = await self._run(sql, parameters)
        except (OperationalError, TimeoutError):
            # Whoever asks next on this connection would read the answer to this.
            self.close()
            raise Unreachable(f"{self.endpoint} did not answer; what was asked may have happened") from None
        return [
            tuple(_text(result.get_value(row, column)) for column in range(result.nfields))
            for row in range(result.ntuples)
        ]

    async def _run(self, sql: str, parameters: tuple[str, ...]) -> PGresult:
        from psycopg.pq import ExecStatus  # noqa: PLC0415  imported when used

        if parameters:
            self._pgconn.send_query_params(sql.encode(), [one.encode() for one in parameters])
        else:
            self._pgconn.send_query(sql.encode())
        while self._pgconn.flush():
            await _ready(self._pgconn.socket, to_write=True)
        last: PGresult | None = None
        while True:
            while self._pgconn.is_busy():
                await _ready(self._pgconn.socket)
                self._pgconn.consume_input()
            result = self._pgconn.get_result()
            if result is None:
                break
            if result.status not in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
                raise _statement_error(result, self.endpoint)
            last = result
        assert last is not None, "libpq answers every statement"  # noqa: S101  for the type checker
        return last


async def connect(endpoint: Endpoint, account: Account, tls: Tls) -> Session:
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
            return Session(await _log_in(_conninfo(endpoint, address, account, tls), endpoint, account), endpoint)
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
    try:
        _tell_codes(pgconn)
        async with asyncio.timeout(CONNECT_S):
            logged_in = await _poll(pgconn)
    except TimeoutError:
        pgconn.finish()
        raise Unreachable(f"{endpoint} did not answer within {CONNECT_S:.0f} s") from None
    except BaseException:
        pgconn.finish()
        raise
    if logged_in:
        return pgconn
    error = _login_error(
        pgconn.error_message.decode(errors="replace"), endpoint, account, password_asked=pgconn.used_password
    )
    pgconn.finish()
    raise error


async def _poll(pgconn: PGconn) -> bool:
    from psycopg.pq import PollingStatus  # noqa: PLC0415  imported when used

    while (status := pgconn.connect_poll()) != PollingStatus.OK:
        if status == PollingStatus.FAILED:
            return False
        await _ready(pgconn.socket, to_write=status == PollingStatus.WRITING)
    return True


def _tell_codes(pgconn: Any) -> None:
    _libpq().PQsetErrorVerbosity(pgconn.pgconn_ptr, _VERBOSE)


@cache
def _libpq() -> ctypes.CDLL:
    """The very libpq that psycopg uses: a symbol is looked up in a module and in what the module is linked to."""
    import psycopg  # noqa: F401, PLC0415  psycopg_binary wants it imported first
    from psycopg_binary import _psycopg  # noqa: PLC0415  imported when used

    library = ctypes.CDLL(_psycopg.__file__)
    library.PQsetErrorVerbosity.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return library


async def _ready(fd: int, *, to_write: bool = False) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    watch, forget = (loop.add_writer, loop.remove_writer) if to_write else (loop.add_reader, loop.remove_reader)
    watch(fd, ready.set)
    try:
        await ready.wait()
    finally:
        forget(fd)


def _login_error(message: str, endpoint: Endpoint, account: Account, *, password_asked: bool) -> RotationError:
    """What a failed login means. The message is looked at, and never passed on."""
    role = f"role {account.user!a} at {endpoint}"
    found = _FROM_SERVER.search(message)
    if found is None:
        return _client_error(message, endpoint)
    code = found["code"]
    if code == _ANY_POOLER_ERROR and _POOLER_REJECTS.search(found["words"]):
        code = "28P01"
    error: RotationError
    match code:
        case "28P01":
            error = Rejected(f"the password of {role} was refused")
        case "28000" if password_asked:
            # The password was proven before the role was looked at.
            error = Rejected(f"{role} may not log in: ALTER ROLE ... LOGIN lets it")
        case "28000":
            error = Refused(
                f"{role} is not let in from here, whatever its password: "
                "add a line for this app to pg_hba.conf, and look whether the server asks for TLS"
            )
        case "3D000":
            error = Refused(f"there is no database {account.dbname!a} at {endpoint}")
        case "42501":
            error = Refused(f"{role} may not connect to the database {account.dbname!a}: GRANT CONNECT lets it")
        case _ if code.startswith(_NOT_NOW):
            error = Unreachable(f"{endpoint} takes no login now (SQLSTATE {code})")
        case _:
            error = Refused(f"{endpoint} refused the login of {account.user!a} (SQLSTATE {code})")
    return error


def _client_error(message: str, endpoint: Endpoint) -> RotationError:
    """What libpq's own words mean; they are English always, since the wheel has no translations."""
    if "authentication method requirement" in message:
        return AsksOtherwise(
            f"{endpoint} does not ask for the password by SCRAM, which alone is answered: let pg_hba.conf say "
            "scram-sha-256, and let an administrator set the password anew where it is stored as MD5"
        )
    if "does not support SSL" in message:
        return Refused(f"{endpoint} has no TLS, and the password is not sent without")
    if "certificate" in message:
        return Refused(
            f"the certificate of {endpoint} is not valid for this name, or its authority is not trusted: "
            "see SSL_CERT_FILE for an authority of your own"
        )
    return Unreachable(f"no connection to {endpoint}: look whether it runs and lets this app's network in")


def _statement_error(result: PGresult, endpoint: Endpoint) -> RotationError:
    from psycopg.pq import DiagnosticField  # noqa: PLC0415  imported when used

    code = (result.error_field(DiagnosticField.SQLSTATE) or b"08006").decode()  # without one, the connection is lost
    if code.startswith(_NOT_NOW):
        return Unreachable(f"{endpoint} could not do it now (SQLSTATE {code})")
    refused = StatementRefused(f"{endpoint} refused it (SQLSTATE {code})")
    refused.sqlstate = code
    return refused


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
