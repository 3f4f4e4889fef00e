"""A receiver of webhooks, as a careful consumer writes one by the specification of Standard Webhooks.

It verifies `webhook-signature` over `id.timestamp.body`, wants a timestamp of the last five minutes, and passes over a
`webhook-id` that it has seen.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from aiohttp import web

from local.azure.plane import Plane

TOLERANCE_S = 300


class Hooks:
    """Serves one address for each name. received: what was said there, each once. calls: all that were accepted."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.received: dict[str, list[dict[str, Any]]] = {}
        self.calls: list[str] = []
        self._seen: set[str] = set()

    def expect(self, name: str, key: bytes) -> None:
        """Open an address whose messages are signed with `key`."""
        self._plane.store.put("hook", name, {"key": base64.b64encode(key).decode()})

    async def handle(self, request: web.Request) -> web.Response:
        """One message."""
        name, body = request.match_info["name"], await request.read()
        known = self._plane.store.get("hook", name)
        if known is None:
            return web.Response(status=404)
        message, sent = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        signed = b".".join((message.encode(), sent.encode(), body))
        expected = hmac.new(base64.b64decode(known["key"]), signed, hashlib.sha256).digest()
        theirs = [one.partition(",") for one in request.headers.get("webhook-signature", "").split(" ")]
        accepted = any(
            version == "v1" and hmac.compare_digest(base64.b64decode(text), expected) for version, _, text in theirs
        )
        fresh = sent.isdecimal() and abs(self._plane.now().timestamp() - int(sent)) <= TOLERANCE_S
        if not accepted or not fresh or not message or "." in message or request.content_type != "application/json":
            return web.Response(status=401)
        self.calls.append(name)
        if message not in self._seen:
            self._seen.add(message)
            self.received.setdefault(name, []).append(json.loads(body))
        return web.Response(status=202)
