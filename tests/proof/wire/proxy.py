"""A TCP proxy that passes everything on, until it is told what to do to a connection or to a message on it.

Where the app talks TLS the proxy ends it and opens its own to the server, so that a fault can be meant for one request.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from local.certificates import Certificates, ensure

CHUNK = 65_536
LONGEST_REQUEST = 1_048_576  # bytes of its head
STALL_S = 10.0
SLOW_S = 0.002  # between two bytes
NOT_THE_PROTOCOL = b"220 mail.example.com ESMTP\r\n"  # neither HTTP nor TLS nor PostgreSQL's
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: the end of a connection is a reset


class Fault(StrEnum):
    """What happens to a message of a client."""

    CUT_WITHIN = "cut in the middle of it"
    CUT_AFTER = "cut after it, before the answer"
    HALF_OPEN = "sent, and no answer ever comes"
    STALL = "held for 10 s"
    SLOW = "answered a byte at a time"
    GARBAGE = "answered by what is not the protocol"
    HELD = "held until told"


class Handshake(StrEnum):
    """What happens to every new connection, before the first message."""

    RESET = "reset at once"
    GARBAGE = "answered by what is not TLS"
    FOREIGN = "TLS with another authority's certificate"
    MUTE = "taken, and never a word"


@dataclass(slots=True, eq=False)
class Plan:
    """One fault, which strikes once. at: texts that the message holds, all of them; nth: of such messages, from 1.

    met: set when it struck. go_on: lets a HELD message go. answer: for GARBAGE.
    """

    fault: Fault
    at: tuple[bytes, ...]
    nth: int = 1
    answer: bytes = NOT_THE_PROTOCOL
    met: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: int = 0

    def strikes(self, message: bytes) -> bool:
        """Whether it strikes this message of a client."""
        if self.met.is_set() or not all(text in message for text in self.at):
            return False
        self._seen += 1
        if self._seen == self.nth:
            self.met.set()
        return self.met.is_set()


@dataclass(frozen=True, slots=True)
class TlsEnds:
    """near: towards the app; foreign: of an authority that the app does not trust; far: towards the server."""

    near: ssl.SSLContext
    foreign: ssl.SSLContext
    far: ssl.SSLContext

    @classmethod
    def of(cls, certificates: Certificates, folder: Path) -> "TlsEnds":
        """folder: where the foreign certificate is made."""
        return cls(_served(certificates), _served(ensure(folder)), ssl.create_default_context(cafile=certificates.ca))


def _served(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.cert, certificates.key)
    return context


class Proxy:
    """Listens on `port` of this machine; connects to port `upstream`. Messages are requests of HTTP where it has TLS.

    plans: for messages, each of which the first that fits strikes. handshake: for connections, while it is set.
    """

    def __init__(self, upstream: int = 0, tls: TlsEnds | None = None) -> None:
        self.upstream = upstream
        self.plans: list[Plan] = []
        self.handshake: Handshake | None = None
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def plan(self, fault: Fault, *at: bytes, nth: int = 1, answer: bytes = NOT_THE_PROTOCOL) -> Plan:
        """Add a plan."""
        self.plans.append(Plan(fault, at, nth, answer))
        return self.plans[-1]

    def hang_up(self) -> None:
        """End all connections, so that the next message needs a new one."""
        for line in self._lines:
            line.abort()

    async def serve(self) -> None:
        """Accept connections until cancelled."""
        loop = asyncio.get_running_loop()
        # Not `loop.sock_accept`: two that come at once can answer one call of it, and one of them is lost.
        loop.add_reader(self._listener, self._accept)
        try:
            await asyncio.Event().wait()
        finally:
            loop.remove_reader(self._listener)
            self._listener.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            client, _ = self._listener.accept()
            client.setblocking(False)
            task = asyncio.create_task(self._connected(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connected(self, client: socket.socket) -> None:
        handshake = self.handshake
        with suppress(OSError):
            if handshake is not None and handshake is not Handshake.FOREIGN:
                await _spoil(client, handshake)
                return
            tls = self._tls
            near_tls = None if tls is None else tls.foreign if handshake is Handshake.FOREIGN else tls.near
            near_reader, near = await _accepted(client, near_tls)
            try:
                far_reader, far = await asyncio.open_connection(
                    "localhost" if tls else "127.0.0.1", self.upstream, ssl=tls.far if tls else None
                )
            except OSError:
                near.transport.abort()
                return
            line = _Line(self, near, far)
            self._lines.add(line)
            try:
                await line.run(near_reader, far_reader, requests if tls else chunks)
            finally:
                self._lines.discard(line)
                line.abort()


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """What came in one piece; a client of PostgreSQL sends a message so."""
    while message := await reader.read(CHUNK):
        yield message


async def requests(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Whole requests of HTTP/1.1, head and body."""
    with suppress(asyncio.IncompleteReadError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            length = int(lengths[0].partition(b":")[2]) if lengths else 0
            yield head + (await reader.readexactly(length) if length else b"")


class _Line:
    """One connection of a client and its other half to the server."""

    def __init__(self, proxy: Proxy, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._near = near
        self._far = far
        self._fault: Fault | None = None

    def abort(self) -> None:
        """End both halves, without a word."""
        self._near.transport.abort()
        self._far.transport.abort()

    async def run(
        self,
        near: asyncio.StreamReader,
        far: asyncio.StreamReader,
        messages: Callable[[asyncio.StreamReader], AsyncIterator[bytes]],
    ) -> None:
        """Pass on until either end goes away, which the other is told by `abort`."""
        with suppress(OSError):
            halves = [asyncio.create_task(self._up(messages(near))), asyncio.create_task(self._down(far))]
            try:
                await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for half in halves:
                    half.cancel()
                await asyncio.gather(*halves, return_exceptions=True)

    async def _up(self, messages: AsyncIterator[bytes]) -> None:
        async for message in messages:
            plan = next((plan for plan in self._proxy.plans if plan.strikes(message)), None)
            if plan is None:
                if self._fault in {Fault.SLOW, Fault.STALL, Fault.HELD}:
                    self._fault = None  # it was meant for one message
            elif not await self._struck(plan, message):
                return
            self._far.write(message)
            await self._far.drain()

    async def _struck(self, plan: Plan, message: bytes) -> bool:
        """Whether the message is passed on."""
        self._fault = plan.fault
        match plan.fault:
            case Fault.CUT_WITHIN:
                self._far.write(message[: len(message) // 2])
                await self._far.drain()
                return False
            case Fault.GARBAGE:
                self._near.write(plan.answer)
                await self._near.drain()
                self._near.close()  # in order, so that it arrives
                with suppress(OSError):
                    await self._near.wait_closed()
                return False
            case Fault.STALL:
                await asyncio.sleep(STALL_S)
            case Fault.HELD:
                await plan.go_on.wait()
        return True

    async def _down(self, reader: asyncio.StreamReader) -> None:
        while answer := await reader.read(CHUNK):
            if self._fault is Fault.CUT_AFTER:
                return  # the server has done it: here is its answer, which nobody gets
            if self._fault is Fault.HALF_OPEN:
                continue
            if self._fault is not Fault.SLOW:
                self._near.write(answer)
                await self._near.drain()
                continue
            for index in range(len(answer)):
                self._near.write(answer[index : index + 1])
                await self._near.drain()
                await asyncio.sleep(SLOW_S)


async def _accepted(
    client: socket.socket, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_REQUEST)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, client, ssl=tls)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _spoil(client: socket.socket, handshake: Handshake) -> None:
    loop = asyncio.get_running_loop()
    client.setblocking(False)
    try:
        if handshake is Handshake.RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        await loop.sock_recv(client, CHUNK)
        if handshake is Handshake.GARBAGE:
            await loop.sock_sendall(client, NOT_THE_PROTOCOL)
            return
        while await loop.sock_recv(client, CHUNK):
            pass
    finally:
        client.close()


@asynccontextmanager
async def serving(*proxies: Proxy) -> AsyncIterator[None]:
    """These proxies work meanwhile."""
    tasks = [asyncio.create_task(proxy.serve()) for proxy in proxies]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
