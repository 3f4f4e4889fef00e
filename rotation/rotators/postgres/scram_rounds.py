"""How many rounds of hashing a server asks for, looked at before libpq does them.

SCRAM lets the server say how often the client hashes its password (RFC 5802, the attribute `i`), and libpq does it at
once, in the thread that asked, as often as it says: twenty million rounds, the work of thirteen seconds, stopped
every other rotation of the process. libpq has no limit and no callback, so what the server sent is peeked at, in the
socket or in the TLS layer, and libpq reads it only afterwards. It then reads the very same bytes: nothing precedes
them in libpq's buffer. A server that sent a message's beginning before the client's nonce was known, so that the rest
would be misread here, shows a rest that is no whole message, since a nonce (base64) can't begin like one.
"""

from __future__ import annotations

import asyncio
import ctypes
import re
import socket
from functools import cache
from typing import Any

from rotation.errors import Refused, Unreachable
from rotation.rotators.postgres.connection import ready

MAX_ROUNDS = 1_000_000  # a server's default is 4,096; this takes half a second
QUICK_ROUNDS = 50_000  # thirty milliseconds: more is not done in the event loop's thread
LOOKS_AGAIN_S = 0.002

# "Message Formats" in the PostgreSQL documentation: type, length (itself included), for R what kind of request.
_ERROR, _AUTHENTICATION, _SASL_CONTINUE = b"E", b"R", 11
_HEADER, _KIND_ENDS = 5, 9
_LONGEST = 30_000  # as in libpq
_SERVER_FIRST = re.compile(rb"r=[^,]*,s=[^,]*,i=([0-9]{1,18})(?:,.*)?", re.DOTALL)
_WANTS_READ, _WANTS_WRITE = 2, 3  # SSL_ERROR_WANT_READ and SSL_ERROR_WANT_WRITE in ssl.h


class Watch:
    """Of one login. over: nothing that comes now can make libpq hash."""

    def __init__(self, pgconn: Any, endpoint: str) -> None:
        self._pgconn = pgconn
        self._endpoint = endpoint
        self._hashing: asyncio.Future[int] | None = None
        self.over = False

    async def poll(self, rounds: int) -> int:
        """`PQconnectPoll`, in another thread where it takes long; Python's lock is let go during the call."""
        if rounds <= QUICK_ROUNDS:
            return int(self._pgconn.connect_poll())
        loop, call = asyncio.get_running_loop(), libpq().PQconnectPoll
        self._hashing = loop.run_in_executor(None, call, self._pgconn.pgconn_ptr)
        return await asyncio.shield(self._hashing)

    def close(self) -> None:
        """End the connection; a thread that still works on it can't be stopped, and must not lose it."""
        if self._hashing is None or self._hashing.done():
            self._pgconn.finish()
        else:
            self._hashing.add_done_callback(lambda _done: self._pgconn.finish())

    async def next_message(self) -> int:
        """Wait until libpq can read a whole message -> the rounds of hashing that it asks for; 0: none.

        Raises:
            Refused: too many. Unreachable: it is no message that belongs here.
        """
        while (seen := peek(self._pgconn)) is not None:
            if not seen:
                await ready(self._pgconn.socket)
                continue
            if len(seen) >= _HEADER and self._is_whole(seen):
                return self._rounds(seen)
            # There is something to read already, so that waiting for it would not wait.
            await asyncio.sleep(LOOKS_AGAIN_S)
        self.over = True  # the connection has ended, which libpq finds out by itself
        return 0

    def _is_whole(self, seen: bytes) -> bool:
        kind, length = seen[:1], int.from_bytes(seen[1:_HEADER])
        if kind not in {_ERROR, _AUTHENTICATION} or not _HEADER <= length <= _LONGEST:
            # A server that can't fork says so in the words of another century, which begin with E too.
            raise Unreachable(f"{self._endpoint} does not answer a login as PostgreSQL does")
        self.over = kind == _ERROR  # the login's end; however long it is, it is libpq's to read
        return self.over or len(seen) > length

    def _rounds(self, seen: bytes) -> int:
        if self.over or int.from_bytes(seen[_HEADER:_KIND_ENDS]) != _SASL_CONTINUE:
            return 0
        self.over = True  # it can be asked once in a login
        length = int.from_bytes(seen[1:_HEADER])
        found = _SERVER_FIRST.fullmatch(seen[_KIND_ENDS : length + 1])
        if found is None:
            raise Unreachable(f"{self._endpoint} does not answer a login as PostgreSQL does")
        rounds = int(found[1])
        if rounds > MAX_ROUNDS:
            raise Refused(
                f"{self._endpoint} asks for more than {MAX_ROUNDS:,} rounds of hashing, which would stop this app: "
                "set scram_iterations there to less, and the role's password anew"
            )
        return rounds


def peek(pgconn: Any) -> bytes | None:
    """What libpq would read next, left where it is. Empty: nothing yet. None: nothing will come."""
    tls = libpq().PQsslStruct(pgconn.pgconn_ptr, b"OpenSSL")
    if tls:
        return _peek_tls(tls)
    peeked = socket.socket(fileno=pgconn.socket)
    try:
        return peeked.recv(_LONGEST, socket.MSG_PEEK | socket.MSG_DONTWAIT) or None
    except BlockingIOError:
        return b""
    except OSError:
        return None
    finally:
        peeked.detach()


def _peek_tls(tls: int) -> bytes | None:
    library, buffer = libpq(), ctypes.create_string_buffer(_LONGEST)
    library.ERR_clear_error()  # else an old error would be taken for this call's: see SSL_get_error(3)
    count = library.SSL_peek(tls, buffer, _LONGEST)
    if count > 0:
        return buffer.raw[:count]
    waits = library.SSL_get_error(tls, count) in {_WANTS_READ, _WANTS_WRITE}
    library.ERR_clear_error()
    return b"" if waits else None


@cache
def libpq() -> ctypes.CDLL:
    """The very libpq that psycopg uses, and its OpenSSL: a symbol is looked up in all that a module is linked to."""
    import psycopg  # noqa: F401, PLC0415  psycopg_binary wants it imported first
    from psycopg_binary import _psycopg  # noqa: PLC0415  imported when used

    library = ctypes.CDLL(_psycopg.__file__)
    library.PQsetErrorVerbosity.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.PQconnectPoll.argtypes = (ctypes.c_void_p,)
    library.PQsslStruct.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    library.PQsslStruct.restype = ctypes.c_void_p
    library.SSL_peek.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
    library.SSL_get_error.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return library
