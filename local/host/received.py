"""What a function receives of an HTTP request: not all that was sent, as with the real host.

Source: GrpcMessageConversionExtensions.cs of Azure/azure-functions-host, and ASP.NET Core's reader of queries, whose
names are the same in upper and lower case. Seen on the host 4.1037.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web


async def received(request: web.Request) -> dict[str, Any]:
    """Fields of an `RpcHttp`, without the body's type: `body` is bytes."""
    body = await request.read()
    return {
        "method": request.method,
        "url": f"{request.scheme}://{request.host}{request.raw_path}",
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "params": dict(request.match_info),
        "query": _query(request.raw_path.partition("?")[2]),
        # A chunked body has no length, and one without a length is not read.
        "body": body if request.content_length else b"",
    }


def _query(text: str) -> dict[str, str]:
    """The function key among it. What has no value is left out, and what is repeated is joined by commas."""
    spellings: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        values.setdefault(spellings.setdefault(name.lower(), name), []).append(value)
    joined = {name: ",".join(filter(None, given)) for name, given in values.items()}
    return {name: value for name, value in joined.items() if value}
