"""Every trigger of the app, and nothing else: each body is one await.

Handlers are imported by the calls that need them, so that a cold start pays for the settings and the policy alone.
"""

# ruff: noqa: PLC0415
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, List

import azure.functions as func

from app.bootstrap import started
from app.settings import QUEUE, HttpAuth

if TYPE_CHECKING:
    from handlers.http import Answer, Ask

running = started(func.__version__, os.environ, Path(__file__).parent)
settings = running.settings
STORAGE = "AzureWebJobsStorage"  # the settings that say where the queue is begin with this

# With App Service authentication in front, callers have a token and need no key; `handlers.callers` looks at the role.
level = func.AuthLevel.FUNCTION if settings.http_auth is HttpAuth.KEY else func.AuthLevel.ANONYMOUS
app = func.FunctionApp(http_auth_level=level)


@app.event_grid_trigger(arg_name="event")
@app.queue_output(arg_name="message", queue_name=QUEUE, connection=STORAGE)
async def near_expiry(event: func.EventGridEvent, message: func.Out[str]) -> None:
    """Key Vault's events, in either schema, to the queue."""
    from handlers.near_expiry import forward

    forward(event, settings.vaults, message)


@app.queue_trigger(arg_name="message", queue_name=QUEUE, connection=STORAGE)
async def rotate(message: func.QueueMessage) -> None:
    """The engine."""
    from handlers.rotate import rotate as handle

    await handle(await running.app(), message.get_body().decode("utf-8", errors="replace"))


@app.timer_trigger(arg_name="timer", schedule=settings.sweep_schedule, run_on_startup=False, use_monitor=True)
@app.queue_output(arg_name="messages", queue_name=QUEUE, connection=STORAGE)
async def sweep(timer: func.TimerRequest, messages: func.Out[List[str]]) -> None:  # noqa: ARG001  the binding's name
    """Due secrets, retirements and leftovers to the queue."""
    from handlers.sweep import sweep as ask

    messages.set(await ask(await running.app()))


@app.route("vaults/{vault}/secrets/{name}/rotate", methods=["POST"])
async def rotate_now(req: func.HttpRequest) -> func.HttpResponse:
    """One secret, answered when it is done."""
    from handlers import on_demand

    route = req.route_params
    return _http(await _served(req, lambda ask: on_demand.rotate_now(running, ask, route["vault"], route["name"])))


@app.route("rotations", methods=["POST"])
@app.queue_output(arg_name="messages", queue_name=QUEUE, connection=STORAGE)
async def rotate_many(req: func.HttpRequest, messages: func.Out[List[str]]) -> func.HttpResponse:
    """Every secret that fits a filter, to the queue."""
    from handlers import on_demand

    answer = await _served(req, lambda ask: on_demand.rotate_many(running, ask))
    messages.set(list(answer.messages))
    return _http(answer)


@app.route("vaults/{vault}/secrets", methods=["GET"])
async def list_secrets(req: func.HttpRequest) -> func.HttpResponse:
    """The managed secrets of a vault."""
    from handlers import reading

    route = req.route_params
    return _http(await _served(req, lambda ask: reading.list_secrets(running, ask, route["vault"])))


@app.route("vaults/{vault}/secrets/{name}", methods=["GET"])
async def read_secret(req: func.HttpRequest) -> func.HttpResponse:
    """One secret and its history."""
    from handlers import reading

    route = req.route_params
    return _http(await _served(req, lambda ask: reading.read_secret(running, ask, route["vault"], route["name"])))


@app.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """The configuration was sound, or the app would not have started."""
    from handlers.about import health

    return _http(await _served(req, lambda ask: health(settings, ask)))


@app.route("openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """What the HTTP functions take and answer; the same text for every deployment."""
    from handlers.about import document

    return _http(await _served(req, document))


async def _served(req: func.HttpRequest, call: "Callable[[Ask], Awaitable[Answer]]") -> "Answer":
    from handlers.http import Ask, answered

    return await answered(lambda: call(Ask.of(req)))


def _http(answer: "Answer") -> func.HttpResponse:
    headers = {"Content-Type": "application/json", **answer.headers}
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body)
    return func.HttpResponse(body, status_code=answer.status, headers=headers)
