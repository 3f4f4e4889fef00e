"""The control calls by which tests bring about what a vault does by itself only rarely. See the package's docstring."""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local.vault.access import Access
from local.vault.calls import Calls
from local.vault.clock import Clock
from local.vault.database import Database
from local.vault.events import Publisher
from local.vault.faults import Faults, parse_fault
from local.vault.limits import Limits, Rates
from local.vault.outbox import Outbox
from local.vault.settling import Settling

HEADER = "X-Control-Key"
OFFSET_SETTING = "clock-offset-s"


@dataclass(frozen=True, slots=True)
class Controls:
    """What is controlled."""

    access: Access
    limits: Limits
    faults: Faults
    calls: Calls
    clock: Clock
    settling: Settling
    outbox: Outbox
    publisher: Publisher
    database: Database


class ControlApi:
    """The control calls over HTTP, for whoever has the key."""

    def __init__(self, controls: Controls, key: str) -> None:
        self._controls = controls
        self._key = key

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(middlewares=[self._guard])
        route = app.router.add_route
        route("POST", "/faults", self._add_fault)
        route("GET", "/faults", self._list_faults)
        route("DELETE", "/faults", self._clear_faults)
        route("POST", "/limits", self._set_limits)
        route("POST", "/rights", self._deny)
        route("DELETE", "/rights", self._clear_rights)
        route("POST", "/clock", self._shift_clock)
        route("GET", "/clock", self._read_clock)
        route("POST", "/settling", self._set_settling)
        route("GET", "/calls", self._list_calls)
        route("DELETE", "/calls", self._clear_calls)
        route("GET", "/events", self._list_events)
        route("POST", "/events/replay", self._replay)
        route("POST", "/event-endpoint", self._set_endpoint)
        return app

    @property
    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not hmac.compare_digest(request.headers.get(HEADER, "").encode(), self._key.encode()):
                return _problem(401, f"the header {HEADER} is missing or wrong; the key stands in the ready file")
            try:
                return await handler(request)
            except (ValueError, TypeError) as error:
                return _problem(400, str(error))

        return guard

    async def _add_fault(self, request: web.Request) -> web.Response:
        return web.json_response({"id": self._controls.faults.add(parse_fault(await _body(request)))}, status=201)

    async def _list_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._controls.faults.describe())

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._controls.faults.clear()
        return web.Response(status=204)

    async def _set_limits(self, request: web.Request) -> web.Response:
        body = await _body(request)
        enabled = body.pop("enabled", True)
        self._controls.limits.set(Rates(**body) if enabled else None)
        return web.Response(status=204)

    async def _deny(self, request: web.Request) -> web.Response:
        body = await _body(request)
        deny = body.get("deny")
        if not isinstance(deny, list):
            raise ValueError("deny is missing; it is a list of rights")  # noqa: TRY004  becomes a 400 like all others
        self._controls.access.deny(deny, vault=body.get("vault"), oid=body.get("oid"))
        return web.Response(status=204)

    async def _clear_rights(self, _request: web.Request) -> web.Response:
        self._controls.access.clear()
        return web.Response(status=204)

    async def _shift_clock(self, request: web.Request) -> web.Response:
        shift_s = (await _body(request)).get("shift_s")
        if not isinstance(shift_s, int | float):
            raise ValueError("shift_s is missing; it is a number of seconds")  # noqa: TRY004  becomes a 400
        self._controls.clock.shift(shift_s)
        self._controls.database.remember(OFFSET_SETTING, str(self._controls.clock.offset_s))
        return await self._read_clock(request)

    async def _read_clock(self, _request: web.Request) -> web.Response:
        clock = self._controls.clock
        now = datetime.fromtimestamp(clock.now(), UTC).isoformat()
        return web.json_response({"now": now, "offset_s": clock.offset_s})

    async def _set_settling(self, request: web.Request) -> web.Response:
        seconds = (await _body(request)).get("seconds")
        if not isinstance(seconds, int | float):
            raise ValueError("seconds is missing; it is a number")  # noqa: TRY004  becomes a 400 like all others
        self._controls.settling.set(seconds)
        return web.Response(status=204)

    async def _list_calls(self, request: web.Request) -> web.Response:
        wanted: dict[str, object] = {
            key: request.query[key] for key in ("vault", "operation", "name") if key in request.query
        }
        if "status" in request.query:
            wanted["status"] = int(request.query["status"])
        return web.json_response(self._controls.calls.describe(**wanted))

    async def _clear_calls(self, _request: web.Request) -> web.Response:
        self._controls.calls.clear()
        return web.Response(status=204)

    async def _list_events(self, _request: web.Request) -> web.Response:
        return web.json_response([asdict(event) for event in self._controls.outbox.events()])

    async def _replay(self, request: web.Request) -> web.Response:
        body = await _body(request)
        count = self._controls.outbox.replay(ids=body.get("ids"), name=body.get("name"), kind=body.get("type"))
        return web.json_response({"count": count})

    async def _set_endpoint(self, request: web.Request) -> web.Response:
        url = (await _body(request)).get("url")
        if url is not None and not (isinstance(url, str) and url.startswith(("http://", "https://"))):
            raise ValueError("url is not an http or https address")
        self._controls.publisher.endpoint = url
        return web.Response(status=204)


async def _body(request: web.Request) -> dict[str, Any]:
    body = json.loads(await request.read() or b"{}")
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")  # noqa: TRY004  becomes a 400 like all others
    return body


def _problem(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
