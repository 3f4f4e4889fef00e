"""Event Grid's deliveries: the handshakes, both schemas, one invocation an event.

Sources: Microsoft Learn, "Endpoint validation with Event Grid event schema", "Endpoint validation with CloudEvents
schema", "Azure Event Grid trigger for Azure Functions"; HttpRequestProcessor.cs of Azure/azure-sdk-for-net
(Microsoft.Azure.WebJobs.Extensions.EventGrid). What is no list of events ends as 500, so that it is delivered again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from aiohttp import web

from local.host.urls import first
from local.host.worker import Function, InvocationError, Worker

log = logging.getLogger("keyturn.host.events")
TRIGGER = "eventGridTrigger"
ORIGIN = "eventgrid.azure.net"


async def deliver(worker: Worker, request: web.Request) -> web.Response:
    """One request to the webhook, whatever its method."""
    name = first(request.raw_path.partition("?")[2], "functionname") or ""
    function = worker.functions.get(name)
    if function is None or function.trigger["type"] != TRIGGER:
        return web.Response(status=404, text=f"cannot find function: '{name}'")
    if request.method == "OPTIONS":
        return web.Response(headers={"WebHook-Allowed-Origin": ORIGIN})
    return await _taken(worker, function, request)


async def _taken(worker: Worker, function: Function, request: web.Request) -> web.Response:
    kind = request.headers.get("aeg-event-type", "").lower()
    if kind not in {"subscriptionvalidation", "notification", "unsubscribe"}:
        return web.Response(status=400)
    if kind == "unsubscribe":
        return web.Response(status=202)
    events = await _events(request)
    if events is None:
        return web.Response(status=500)
    return _validated(events) if kind == "subscriptionvalidation" else await _notified(worker, function, events)


async def _notified(worker: Worker, function: Function, events: list[dict[str, Any]]) -> web.Response:
    answers = await asyncio.gather(*(_invoke(worker, function, event) for event in events))
    if not all(answers):
        return web.Response(status=500, text=f"Exception while executing function: Functions.{function.name}")
    return web.Response(status=202)


def _validated(events: list[dict[str, Any]]) -> web.Response:
    data = events[0].get("data") if events else None
    code = data.get("validationCode") if isinstance(data, dict) else None
    if not code:
        return web.Response(status=500)
    return web.Response(text=json.dumps({"validationResponse": code}))


async def _events(request: web.Request) -> list[dict[str, Any]] | None:
    body = await request.read()
    try:
        found = json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None
    listed: list[Any] = found if isinstance(found, list) else [found]
    return listed if all(isinstance(event, dict) for event in listed) else None


async def _invoke(worker: Worker, function: Function, event: dict[str, Any]) -> bool:
    data = worker.data(json=json.dumps(event))
    try:
        await worker.run(function, {function.trigger["name"]: data}, {"data": data})
    except InvocationError as error:
        log.error("%s failed: %s", function.name, error)  # noqa: TRY400  the traceback may show the event
        return False
    return True
