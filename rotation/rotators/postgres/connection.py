"""One connection to one PostgreSQL server, over libpq's asynchronous interface.

`psycopg.pq` is used, and not `psycopg.AsyncConnection`, for two things that the latter can't do. A failed login has
no SQLSTATE there, only the server's words in the server's language; libpq puts the code in front of them on request
(see "PQsetErrorVerbosity" in the PostgreSQL documentation). And when it is cancelled, it spends up to ten more seconds
on asking the server to cancel; the engine's write fence needs a call to be over when its time is.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from rotation.errors import Unreachable
from rotation.model import SecretValue
from rotation.rotators.databases.database import Endpoint
from rotation.rotators.postgres.refusals import statement_error

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

ANSWER_S = 10.0  # for one statement; a setting makes the server give up before


Row = tuple[str | None, ...]


class Connection:
    """Logged in. Its opener closes it."""

    def __init__(self, pgconn: PGconn, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._pgconn = pgconn
        self._pgconn.nonblocking = 1

    def close(self) -> None:
        """Without another word to the server."""
        self._pgconn.finish()

    @property
    def backend_pid(self) -> int:
        """The server process, as the server or pooler that answered our login called it."""
        return self._pgconn.backend_pid

    @property
    def server_version(self) -> int:
        """The version that it said at login, such as 160004; 0 where it said none that is known."""
        return self._pgconn.server_version

    @property
    def is_standby(self) -> bool:
        """Whether the server said at login that it is a standby; before version 14 it never says so."""
        return self._pgconn.parameter_status(b"in_hot_standby") == b"on"

    def verifier(self, password: SecretValue, user: str) -> str:
        """What a server keeps of a password (RFC 5803), salted anew; made here, so that it never sees the password."""
        made = self._pgconn.encrypt_password(password.reveal().encode(), user.encode(), b"scram-sha-256")
        return made.decode()

    async def query(self, sql: str) -> list[Row]:
        """The last statement's rows, as text.

        Raises:
            StatementRefused: nothing changed. Unreachable: not now; or no answer, and it may have happened.
        """
        from psycopg import OperationalError  # noqa: PLC0415  imported when used

        try:
            async with asyncio.timeout(ANSWER_S):
                result = await self._run(sql)
        except (OperationalError, TimeoutError):
            # The next question on this connection would read the answer to this one.
            self.close()
            raise Unreachable(f"{self.endpoint} did not answer; what was asked may have happened") from None
        return [
            tuple(_text(result.get_value(row, column)) for column in range(result.nfields))
            for row in range(result.ntuples)
        ]

    async def _run(self, sql: str) -> PGresult:
        from psycopg.pq import ExecStatus  # noqa: PLC0415  imported when used

        self._pgconn.send_query(sql.encode())
        while self._pgconn.flush():
            await ready(self._pgconn.socket, to_write=True)
        last: PGresult | None = None
        while True:
            while self._pgconn.is_busy():
                await ready(self._pgconn.socket)
                self._pgconn.consume_input()
            result = self._pgconn.get_result()
            if result is None:
                break
            if result.status not in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
                error = statement_error(result, str(self.endpoint))
                await self._drain()
                raise error
            last = result
        assert last is not None, "libpq answers every statement"  # noqa: S101  for the type checker
        return last

    async def _drain(self) -> None:
        """Up to the end of an answer that began with an error, so that the next statement may be sent."""
        from psycopg import OperationalError  # noqa: PLC0415  imported when used

        with contextlib.suppress(OperationalError):  # the error ended the connection
            while True:
                while self._pgconn.is_busy():
                    await ready(self._pgconn.socket)
                    self._pgconn.consume_input()
                if self._pgconn.get_result() is None:
                    return


async def ready(fd: int, *, to_write: bool = False) -> None:
    """Return when a socket can be read from, or written to."""
    loop = asyncio.get_running_loop()
    is_ready = asyncio.Event()
    watch, forget = (loop.add_writer, loop.remove_writer) if to_write else (loop.add_reader, loop.remove_reader)
    watch(fd, is_ready.set)
    try:
        await is_ready.wait()
    finally:
        forget(fd)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
