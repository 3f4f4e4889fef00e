"""What a function receives of an HTTP request: not all that was sent, as with the real host.

Source: GrpcMessageConversionExtensions.cs of Azure/azure-functions-host. Seen on the host 4.1037.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local.host.urls import parameters, written_path


async def received(request: web.Request, path: str, route: Mapping[str, str]) -> dict[str, Any]:
    """Fields of an `RpcHttp`, without the body's type: `body` is bytes. path: decoded. route: the route's values."""
    body = await request.read()
    _, asked, query = request.raw_path.partition("?")
    return {
        "method": request.method,
        "url": f"{request.scheme}://{request.host}{written_path(path)}{asked if query else ''}{query}",
        "headers": {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers},
        "params": dict(route),
        "query": parameters(query),
        # A chunked body has no length, and one without a length is not read.
        "body": body if request.content_length else b"",
    }
