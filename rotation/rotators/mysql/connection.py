"""One connection to one server, over PyMySQL, whose calls wait in a thread.

PyMySQL blocks. Whoever is cancelled here ends the connection from outside, so that the thread is free at once, and
nothing more is sent for the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from rotation.errors import Unreachable
from rotation.model import Tls
from rotation.rotators.databases.database import Account, Endpoint
from rotation.rotators.mysql.refusals import statement_error

ANSWER_S = 10.0  # for one statement; the server gives up a wait before
THREADS = 64  # each waits for one server; as many as runs and their servers could ever be

Row = tuple[Any, ...]
_Answer = TypeVar("_Answer")


class Connection:
    """Logged in. Its opener closes it. account: by which login; tls: how it was secured."""

    def __init__(self, raw: Any, line: socket.socket, endpoint: Endpoint, account: Account, tls: Tls) -> None:
        self.endpoint = endpoint
        self.account = account
        self.tls = tls
        self._raw = raw
        self._line = line

    def close(self) -> None:
        """Without another word to the server."""
        hang_up(self._line)

    @property
    def greeted_as(self) -> int:
        """The connection's number, as the server or pooler that answered our login called it: 32 bits."""
        number: int = self._raw.thread_id()
        return number

    async def query(self, sql: str) -> list[Row]:
        """The statement's rows.

        Raises:
            StatementRefused, Rejected: nothing changed. Unreachable: not now; or no answer, and it may have happened.
        """
        from pymysql.err import Error  # noqa: PLC0415  imported when used

        try:
            async with asyncio.timeout(ANSWER_S):
                return await in_thread(lambda: _run(self._raw, sql), self._line)
        except Error as error:
            failed = statement_error(error, str(self.endpoint), self.account.user)
        except (TimeoutError, OSError):
            failed = Unreachable(f"{self.endpoint} did not answer; what was asked may have happened")
        except (ValueError, LookupError, RuntimeError, AssertionError):  # PyMySQL, of what is no answer at all
            failed = Unreachable(f"{self.endpoint} does not answer as MySQL does; what was asked may have happened")
        if isinstance(failed, Unreachable):
            # The next question on this connection would read the answer to this one.
            self.close()
        raise failed


def _run(raw: Any, sql: str) -> list[Row]:
    with raw.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


async def in_thread(call: Callable[[], _Answer], line: socket.socket) -> _Answer:
    """What a call that blocks gives. Cancelled, it ends the connection, by which the call ends too."""
    waiting = asyncio.get_running_loop().run_in_executor(_threads(), call)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        hang_up(line)
        waiting.cancel()  # if no thread has begun it, none will
        waiting.add_done_callback(_forget)
        raise


def hang_up(line: socket.socket) -> None:
    """End a connection, whatever a thread does with it. line: a duplicate of its socket."""
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()


def _forget(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="mysql")
