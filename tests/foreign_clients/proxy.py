"""Leads names of Azure's to this machine: an HTTPS proxy as many networks have one, which connects to loopback alone.

A client that reads HTTPS_PROXY so believes that it talks to `https://kv-demo.vault.azure.net`, and checks the name in
the certificate and in the vault's challenge as it would there.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

_REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Proxy:
    """Start and stop it in one event loop. ports: by name, always asked for with port 443. seen: who was asked for."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = dict(ports)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.seen: list[str] = []
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _closed(writer):
            method, asked, *_ = (await reader.readuntil(b"\r\n\r\n")).decode().split()
            self.seen.append(asked)
            name, _, port = asked.rpartition(":")
            if method != "CONNECT" or port != "443" or name not in self._ports:
                writer.write(_REFUSED)
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._ports[name])
            async with _closed(back):
                writer.write(_CONNECTED)
                await asyncio.gather(_passed_on(reader, back), _passed_on(there, writer))


@contextlib.asynccontextmanager
async def _closed(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Whatever happens, and nobody hears of a connection that broke."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        try:
            yield
        finally:
            writer.close()
            await writer.wait_closed()


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()
