"""A TCP proxy that passes everything on, until it is told what to do to a connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

CHUNK = 65_536
STALL_S = 10.0
SLOW_S = 0.002  # between two bytes
NOT_TLS = b"HTTP/1.0 400 this is no TLS\r\n\r\n"


class Fault(StrEnum):
    """What happens to what a client sends."""

    CUT_WITHIN = "cut in the middle of a message"
    CUT_AFTER = "cut after it, before the answer"
    HALF_OPEN = "sent, and no answer ever comes"
    STALL = "held for 10 s"
    SLOW = "answered a byte at a time"
    GARBAGE = "answered by what is not the protocol"


@dataclass(slots=True)
class Plan:
    """One fault, which strikes once. at: bytes that the struck message holds; nth: or its number, from 1."""

    fault: Fault
    at: bytes = b""
    nth: int = 1
    struck: bool = False
    _seen: int = 0

    def strikes(self, message: bytes) -> bool:
        """Whether it strikes this message of a client."""
        if self.struck or self.at not in message:
            return False
        self._seen += 1
        self.struck = self._seen == self.nth
        return self.struck


class Proxy:
    """Listens on `port` of this machine; connects to `upstream`'s port. plan: of the next messages; None passes all."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self.port = 0
        self.plan: Plan | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, to its end."""
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        line = _Line(self, writer, far_writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(line.up(reader))
                both.create_task(line.down(far_reader))
        except* OSError:
            pass  # either end went away, which the other is told by the abort below
        finally:
            writer.transport.abort()
            far_writer.transport.abort()


class _Line:
    def __init__(self, proxy: Proxy, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._near = near
        self._far = far
        self._fault: Fault | None = None

    async def up(self, reader: asyncio.StreamReader) -> None:
        while message := await reader.read(CHUNK):
            plan = self._proxy.plan
            if plan is not None and plan.strikes(message):
                self._fault = plan.fault
                if self._fault is Fault.CUT_WITHIN:
                    self._far.write(message[: len(message) // 2])
                    await self._far.drain()
                    raise ConnectionResetError
                if self._fault is Fault.GARBAGE:
                    self._near.write(NOT_TLS)
                    await self._near.drain()
                    raise ConnectionResetError
                if self._fault is Fault.STALL:
                    await asyncio.sleep(STALL_S)
            self._far.write(message)
            await self._far.drain()
        raise ConnectionResetError

    async def down(self, reader: asyncio.StreamReader) -> None:
        while message := await reader.read(CHUNK):
            if self._fault is Fault.CUT_AFTER:
                raise ConnectionResetError  # the server has done it: here is its answer, which nobody gets
            if self._fault is Fault.HALF_OPEN:
                continue
            if self._fault is Fault.SLOW:
                for index in range(len(message)):
                    self._near.write(message[index : index + 1])
                    await self._near.drain()
                    await asyncio.sleep(SLOW_S)
                continue
            self._near.write(message)
            await self._near.drain()
        raise ConnectionResetError


@asynccontextmanager
async def proxied(upstream: int) -> AsyncIterator[Proxy]:
    """A proxy in front of a port of this machine."""
    proxy = Proxy(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await server.wait_closed()
