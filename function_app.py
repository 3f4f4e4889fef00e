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
    from handlers.http import HttpRequest, HttpResponse

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
    from handlers.sweep import sweep as sweep_vaults

    messages.set(await sweep_vaults(await running.app()))


@app.route("vaults/{vault}/secrets/{name}/rotate", methods=["POST"])
async def rotate_now(req: func.HttpRequest) -> func.HttpResponse:
    """One secret, answered when it is done."""
    from handlers import on_demand

    route = req.route_params
    return _http(
        await _served(
            req, lambda http_request: on_demand.rotate_now(running, http_request, route["vault"], route["name"])
        )
    )


@app.route("rotations", methods=["POST"])
@app.queue_output(arg_name="messages", queue_name=QUEUE, connection=STORAGE)
async def rotate_many(req: func.HttpRequest, messages: func.Out[List[str]]) -> func.HttpResponse:
    """Every secret that fits a filter, to the queue."""
    from handlers import on_demand

    response = await _served(req, lambda http_request: on_demand.rotate_many(running, http_request))
    messages.set(list(response.messages))
    return _http(response)


@app.route("vaults/{vault}/secrets", methods=["GET"])
async def list_secrets(req: func.HttpRequest) -> func.HttpResponse:
    """The managed secrets of a vault."""
    from handlers import reading

    route = req.route_params
    return _http(await _served(req, lambda http_request: reading.list_secrets(running, http_request, route["vault"])))


@app.route("vaults/{vault}/secrets/{name}", methods=["GET"])
async def read_secret(req: func.HttpRequest) -> func.HttpResponse:
    """One secret and its history."""
    from handlers import reading

    route = req.route_params
    return _http(
        await _served(
            req, lambda http_request: reading.read_secret(running, http_request, route["vault"], route["name"])
        )
    )


@app.route("vaults/{vault}/secrets/{name}/readers", methods=["GET"])
async def read_readers(req: func.HttpRequest) -> func.HttpResponse:
    """Who read the old value of one secret, and who has not read the new one yet."""
    from handlers import readers

    route = req.route_params
    return _http(
        await _served(
            req, lambda http_request: readers.read_readers(running, http_request, route["vault"], route["name"])
        )
    )


@app.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """The configuration was sound, or the app would not have started."""
    from handlers.about import health

    return _http(await _served(req, lambda http_request: health(settings, http_request)))


@app.route("openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """What the HTTP functions take and answer; the same text for every deployment."""
    from handlers.about import document

    return _http(await _served(req, document))


async def _served(req: func.HttpRequest, call: "Callable[[HttpRequest], Awaitable[HttpResponse]]") -> "HttpResponse":
    from handlers.http import HttpRequest, answered

    return await answered(lambda: call(HttpRequest.of(req)))


def _http(response: "HttpResponse") -> func.HttpResponse:
    headers = {"Content-Type": "application/json", **response.headers}
    body = response.body if isinstance(response.body, bytes) else json.dumps(response.body)
    return func.HttpResponse(body, status_code=response.status, headers=headers)
