"""The host's HTTP: functions' routes with their keys, the Event Grid webhook, the admin endpoints."""

from __future__ import annotations

import hmac
import json
import logging
import os
from typing import Any

from aiohttp import web

from local.host.events import TRIGGER as EVENT_GRID
from local.host.events import deliver
from local.host.pump import run_timer
from local.host.queue import Queues
from local.host.received import received
from local.host.worker import Function, InvocationError, Worker

log = logging.getLogger("keyturn.host.web")
MOST_BYTES = 100 * 1024 * 1024  # as on Azure


def application(worker: Worker, queues: Queues, key: str, prefix: str) -> web.Application:
    """All routes of one host; `key` is its function key."""
    app = web.Application(client_max_size=MOST_BYTES)
    for function in worker.functions.values():
        if function.trigger["type"] == "httpTrigger":
            _add(app, worker, function, key, prefix)

    async def events(request: web.Request) -> web.Response:
        return await deliver(worker, request) if _key_allows(request, key, optional=True) else web.Response(status=401)

    async def admin(request: web.Request) -> web.Response:
        if not _key_allows(request, key, optional=True):
            return web.Response(status=401)
        return await _run(worker, request)

    async def functions(_request: web.Request) -> web.Response:
        return web.json_response(listed(worker))

    async def queue(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        counts = {
            "count": queues.count(name),
            "delayed": queues.delayed(name),
            "poison": queues.count(f"{name}-poison"),
        }
        return web.json_response(counts)

    async def service(_request: web.Request) -> web.Response:
        return web.json_response({"service": os.environ.get("AzureWebJobsStorage__queueServiceUri")})  # noqa: SIM112  its name

    app.router.add_get("/admin/queues", service)
    app.router.add_route("*", "/runtime/webhooks/eventgrid", events)
    app.router.add_post("/admin/functions/{name}", admin)
    app.router.add_get("/admin/functions", functions)
    app.router.add_get("/admin/queues/{name}", queue)
    return app


def listed(worker: Worker) -> list[dict[str, Any]]:
    """Every function with its bindings, as the worker library lists them."""
    return [{"name": one.name, "bindings": list(one.bindings)} for one in worker.functions.values()]


def _add(app: web.Application, worker: Worker, function: Function, key: str, prefix: str) -> None:
    trigger = function.trigger
    anonymous = str(trigger.get("authLevel", "function")).lower() == "anonymous"

    async def handle(request: web.Request) -> web.Response:
        if not anonymous and not _key_allows(request, key, optional=False):
            return web.Response(status=401)
        told = await received(request)
        data = worker.http(**{**told, "body": worker.data(bytes=told["body"])})
        try:
            answer = await worker.run(function, {trigger["name"]: data})
        except InvocationError as error:
            log.error("%s failed: %s", function.name, error)  # noqa: TRY400  a traceback may show the request
            return web.Response(status=500)
        body = answer.http.body
        content = body.bytes or body.string.encode()
        return web.Response(status=int(answer.http.status_code or 200), body=content, headers=dict(answer.http.headers))

    for method in trigger.get("methods") or ("GET", "POST"):
        app.router.add_route(method, f"/{prefix}/{trigger.get('route') or function.name}", handle)


def _key_allows(request: web.Request, key: str, *, optional: bool) -> bool:
    in_url = (value for name, value in request.query.items() if name.lower() == "code")
    given = request.headers.get("x-functions-key") or next(in_url, None)
    if given is None:
        return optional  # Core Tools ask for none on a developer's machine
    return hmac.compare_digest(given.encode(), key.encode())


async def _run(worker: Worker, request: web.Request) -> web.Response:
    """POST /admin/functions/{name}: Microsoft Learn, "Manually run a non HTTP-triggered function"."""
    function = worker.functions.get(request.match_info["name"])
    if function is None:
        return web.Response(status=404)
    try:
        raw = json.loads(await request.read() or b"{}")
        given = raw.get("input", "") if isinstance(raw, dict) else ""
    except ValueError:
        return web.Response(status=400)
    name, kind = function.trigger["name"], function.trigger["type"]
    try:
        if kind == "timerTrigger":
            await run_timer(worker, function)
        elif kind == EVENT_GRID:
            await worker.run(function, {name: worker.data(json=given if isinstance(given, str) else json.dumps(given))})
        elif kind == "queueTrigger":
            await worker.run(
                function, {name: worker.data(string=given if isinstance(given, str) else json.dumps(given))}
            )
        else:
            return web.Response(status=400)
    except InvocationError as error:
        log.error("%s failed: %s", function.name, error)  # noqa: TRY400  as above
        return web.Response(status=500)
    return web.Response(status=202)
