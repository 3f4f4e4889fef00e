"""Event Grid's deliveries: the handshakes, both schemas, one invocation an event.

Sources: Microsoft Learn, "Endpoint validation with Event Grid event schema", "Endpoint validation with CloudEvents
schema", "Azure Event Grid trigger for Azure Functions".
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from aiohttp import web

from local.host.worker import Function, InvocationError, Worker

log = logging.getLogger("keyturn.host.events")
TRIGGER = "eventGridTrigger"


async def deliver(worker: Worker, request: web.Request) -> web.Response:
    """One POST or OPTIONS to the webhook."""
    function = worker.functions.get(request.query.get("functionName", ""))
    if function is None or function.trigger["type"] != TRIGGER:
        return web.Response(status=404)
    if request.method == "OPTIONS":
        origin = request.headers.get("WebHook-Request-Origin", "*")
        return web.Response(headers={"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"})
    events = await _events(request)
    if events is None:
        return web.Response(status=400)
    kind = request.headers.get("aeg-event-type", "Notification").lower()
    if kind == "subscriptionvalidation":
        data = events[0].get("data") if events else None
        code = data.get("validationCode") if isinstance(data, dict) else None
        return web.json_response({"validationResponse": code}) if code else web.Response(status=400)
    if kind != "notification":
        return web.Response(status=202)
    answers = await asyncio.gather(*(_invoke(worker, function, event) for event in events))
    return web.Response(status=202 if all(answers) else 500)


async def _events(request: web.Request) -> list[dict[str, Any]] | None:
    body = await request.read()
    try:
        found = json.loads(body) if body.strip() else None
    except (ValueError, RecursionError):
        return None
    if "ce-type" in request.headers:  # CloudEvents in binary mode: the attributes stand in headers
        attributes = {key[3:].lower(): value for key, value in request.headers.items() if key.lower().startswith("ce-")}
        return [attributes | {"data": found}]
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
