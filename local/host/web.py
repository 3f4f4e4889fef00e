"""The host's HTTP: functions' routes with their keys, the Event Grid webhook, the admin endpoints.

tests/real_host/answers.json has what the real host does with requests of every kind; a test holds this one to it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from local.host.events import deliver
from local.host.keys import Keys
from local.host.manual import run
from local.host.queue import Queues
from local.host.received import received
from local.host.routes import Route, routes
from local.host.urls import BadPath, decoded_path
from local.host.worker import InvocationError, Worker

log = logging.getLogger("keyturn.host.web")
MAX_BYTES = 100 * 1024 * 1024  # as on Azure
# Kestrel's limits, as the real host has them: bytes of the request line, bytes of all headers, and their number.
LONGEST_LINE, MAX_HEADERS_BYTES, MAX_HEADERS = 8 * 1024, 32 * 1024, 100
PARSED = 1024 * 1024  # bytes of a line that are read before it is refused
WEBHOOK = "/runtime/webhooks/eventgrid"


class Site:
    """All that one host answers."""

    def __init__(self, worker: Worker, queues: Queues, keys: Keys, prefix: str) -> None:
        self._worker = worker
        self._queues = queues
        self._keys = keys
        self._routes = routes(worker.functions.values(), prefix)

    def app(self) -> web.Application:
        """To be served; paths are looked at here, since aiohttp's router knows no such rules."""
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_route("*", r"/{path:[\s\S]*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        refused = _refused(request)
        if refused is not None:
            return web.Response(status=refused)
        try:
            path = decoded_path(request.raw_path.partition("?")[0])
        except BadPath:
            return web.Response(status=400)
        for route in self._routes:
            values = route.values(request.method, path)
            if values is not None:
                return await self._call(route, request, path, dict(values))
        words = path.lower().strip("/").split("/")
        if path.lower() == WEBHOOK:
            return await self._keyed(self._keys.opens_webhook, request, lambda: deliver(self._worker, request))
        if words[0] == "admin":
            return await self._keyed(self._keys.opens_all, request, lambda: self._admin(request, words[1:]))
        return web.Response(status=404)

    async def _call(self, route: Route, request: web.Request, path: str, values: dict[str, str]) -> web.Response:
        if not route.anonymous and not self._keys.opens_functions(request):
            return web.Response(status=401)
        function = route.function
        told = await received(request, path, values)
        data = self._worker.http(**{**told, "body": self._worker.data(bytes=told["body"])})
        try:
            answer = await self._worker.run(function, {function.trigger["name"]: data})
        except InvocationError as error:
            log.error("%s failed: %s", function.name, error)  # noqa: TRY400  a traceback may show the request
            return web.Response(status=500)
        body = answer.http.body
        content = body.bytes or body.string.encode()
        return web.Response(status=int(answer.http.status_code or 200), body=content, headers=dict(answer.http.headers))

    async def _keyed(
        self, opens: Callable[[web.Request], bool], request: web.Request, call: Callable[[], Awaitable[web.Response]]
    ) -> web.Response:
        return await call() if opens(request) else web.Response(status=401)

    async def _admin(self, request: web.Request, words: list[str]) -> web.Response:
        match request.method, *words:
            case "GET", "functions":
                return web.json_response(listed(self._worker))
            case "POST", "functions", name:
                return await run(self._worker, name, await request.read())
            case "GET", "queues":
                service = os.environ.get("AzureWebJobsStorage__queueServiceUri")  # noqa: SIM112  its name
                return web.json_response({"service": service})
            case "GET", "queues", name:
                queues = self._queues
                count, delayed, poison = queues.count(name), queues.delayed(name), queues.count(f"{name}-poison")
                return web.json_response({"count": count, "delayed": delayed, "poison": poison})
        return web.Response(status=404)


def listed(worker: Worker) -> list[dict[str, Any]]:
    """Every function with its bindings, as the worker library lists them."""
    return [{"name": one.name, "bindings": list(one.bindings)} for one in worker.functions.values()]


def _refused(request: web.Request) -> int | None:
    """The status by which Kestrel refuses what is too long, or what is no text."""
    if len(f"{request.method} {request.raw_path} HTTP/1.1\r\n") > LONGEST_LINE:
        return 414
    sizes = [len(name) + len(value) + len(": \r\n") for name, value in request.headers.items()]
    if len(sizes) > MAX_HEADERS or sum(sizes) > MAX_HEADERS_BYTES:
        return 431
    if any("\udc80" <= letter <= "\udcff" for value in request.headers.values() for letter in value):
        return 400  # bytes that are no UTF-8
    return None
