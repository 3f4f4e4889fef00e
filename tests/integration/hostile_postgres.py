"""A server that lies: it speaks as much of PostgreSQL's protocol as a login needs to get to the hashing."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

SSL_REQUEST = 80877103  # "SSLRequest" in "Message Formats" of the PostgreSQL documentation


class Manner(StrEnum):
    """How the message with the number of rounds is sent."""

    AT_ONCE = "at once"
    IN_PIECES = "in pieces"
    BEGUN_EARLY = "begun before it was asked for"
    TYPE_EARLY = "its first byte before it was asked for"
    NEVER_WHOLE = "never whole"
    AS_ANOTHER_NUMBER = "with a number that is written otherwise"
    FORKED_OUT = "an error in the words of another century"
    AN_ERROR_IN_PIECES = "an error, in pieces"


@dataclass(slots=True)
class Hostile:
    """port: where it listens. proofs: what clients answered to the number of rounds, which took them the hashing."""

    port: int = 0
    proofs: int = 0
    logins: int = 0


@asynccontextmanager
async def hostile(
    rounds: int, manner: Manner = Manner.AT_ONCE, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Hostile]:
    found = Hostile()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _log_in(found, rounds, manner, tls, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()


async def _log_in(
    found: Hostile,
    rounds: int,
    manner: Manner,
    tls: ssl.SSLContext | None,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    length, code = await _head(reader)
    if code == SSL_REQUEST:
        if tls is None:
            writer.write(b"N")
            return
        writer.write(b"S")
        await writer.drain()
        await writer.start_tls(tls)
        length, _ = await _head(reader)
    await reader.readexactly(length - 8)
    found.logins += 1
    offer = _message(b"R", (10).to_bytes(4) + b"SCRAM-SHA-256\0\0")
    if manner is Manner.FORKED_OUT:
        writer.write(b"Ecould not fork new process for connection: out of memory\n\0")
        await reader.read()
        return
    early = {Manner.BEGUN_EARLY: 9, Manner.TYPE_EARLY: 1}.get(manner, 0)
    # Its length can be known beforehand: a client's nonce is always as long.
    writer.write(offer + _server_first(b"x" * 24, str(rounds))[:early])
    await writer.drain()
    await reader.readexactly(1)
    size = int.from_bytes(await reader.readexactly(4))
    nonce = (await reader.readexactly(size - 4)).split(b"r=")[1]
    text = str(rounds)
    if manner is Manner.AS_ANOTHER_NUMBER:
        text = f" +{rounds}"
    await _send(writer, manner, _server_first(nonce, text), early)
    if await reader.read(1):
        found.proofs += 1


async def _send(writer: asyncio.StreamWriter, manner: Manner, message: bytes, early: int) -> None:
    if manner is Manner.AN_ERROR_IN_PIECES:
        message = _message(b"E", b"SFATAL\0VFATAL\0C28P01\0Mno\0\0")
    if manner is Manner.NEVER_WHOLE:
        message = message[:-1]
    pieces = [message[early:]]
    if manner in {Manner.IN_PIECES, Manner.AN_ERROR_IN_PIECES}:
        pieces = [message[at : at + 1] for at in range(len(message))]
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.001)


async def _head(reader: asyncio.StreamReader) -> tuple[int, int]:
    return int.from_bytes(await reader.readexactly(4)), int.from_bytes(await reader.readexactly(4))


def _server_first(nonce: bytes, rounds: str) -> bytes:
    salt = base64.b64encode(b"s" * 16)
    return _message(b"R", (11).to_bytes(4) + b"r=" + nonce + b"server,s=" + salt + b",i=" + rounds.encode())


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body
