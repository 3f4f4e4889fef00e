"""HTTP/1.1 as it is written, byte by byte: no client in between repairs a path, a header or a body."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

ANSWERS_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """An answer; status 0: the connection was closed without one. Header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(
    url: str,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    *,
    chunked: bool = False,
) -> Told:
    """One request on a connection of its own. target: as it goes over the wire. chunked: the body without a length."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=2**20)
    lines = [f"{method} {target} HTTP/1.1", f"Host: {place.netloc}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    sent = body or b""
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(sent), sent) if sent else b"0\r\n\r\n"
    elif body is not None:
        lines.append(f"Content-Length: {len(body)}")
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + sent)
            return _read(await reader.read(), head=method == "HEAD")
    except ConnectionError:
        return Told(0, {}, b"")
    finally:
        writer.close()


def _read(answer: bytes, *, head: bool) -> Told:
    top, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/"):
        return Told(0, {}, b"")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked" and not head:
        body = _joined(body)
    return Told(int(first.split()[1]), headers, body)


def _joined(body: bytes) -> bytes:
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.split(b";")[0] or b"0", 16)
        if not length:
            break
        found, body = found + body[:length], body[length + 2 :]
    return found
