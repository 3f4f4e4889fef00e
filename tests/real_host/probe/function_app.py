"""An app that tells what reached it: in its answers, and in the file that JOURNAL names, a JSON object a line."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any, List
from urllib.parse import urlsplit

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
journal = Path(os.environ["JOURNAL"])
# What a client or a host sets for the connection says nothing of what was asked.
LEFT_OUT = {"host", "connection", "content-length", "user-agent", "accept", "accept-encoding", "x-functions-key"}
SLOW_S = 3600


def note(**facts: Any) -> None:
    with journal.open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


def received(req: func.HttpRequest) -> dict[str, Any]:
    url = urlsplit(req.url)
    return {
        "method": req.method,
        "url": url.path + (f"?{url.query}" if url.query else ""),
        "params": dict(req.params),
        "route": dict(req.route_params),
        "headers": {name.lower(): value for name, value in req.headers.items() if name.lower() not in LEFT_OUT},
        "body": req.get_body().decode("latin-1"),
    }


@app.route("echo/{name}", methods=["GET", "POST"])
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    found = received(req)
    note(function="echo", **found)
    return func.HttpResponse(json.dumps(found), mimetype="application/json")


@app.route("Open/{name}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def everybody(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(received(req)), mimetype="application/json")


@app.route("answers", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
async def answers(req: func.HttpRequest) -> func.HttpResponse:
    """Answers as the body says: status, headers, text; late, where it says so."""
    told = req.get_json()
    if told.get("late"):
        await asyncio.sleep(SLOW_S)
    if told.get("raises"):
        raise ValueError("the text of an error may hold a password")
    return func.HttpResponse(told.get("text", ""), status_code=told["status"], headers=told.get("headers", {}))


@app.route("send", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output(arg_name="messages", queue_name="probe", connection="AzureWebJobsStorage")
async def send(req: func.HttpRequest, messages: func.Out[List[str]]) -> func.HttpResponse:
    """Each of a list of texts becomes a message."""
    messages.set([str(one) for one in req.get_json()])
    return func.HttpResponse(status_code=202)


@app.event_grid_trigger(arg_name="event")
async def on_event(event: func.EventGridEvent) -> None:
    kind = getattr(event, "event_type", None) or getattr(event, "type", None)
    data = event.get_json() if hasattr(event, "get_json") else getattr(event, "data", None)
    note(function="on_event", id=event.id, type=kind, subject=event.subject, data=data)
    if event.subject == "raises":
        raise ValueError("the text of an error may hold a password")


@app.queue_trigger(arg_name="message", queue_name="probe", connection="AzureWebJobsStorage")
async def on_message(message: func.QueueMessage) -> None:
    body = message.get_body().decode("utf-8", errors="replace")
    note(function="on_message", body=body, tries=message.dequeue_count)
    if body.startswith("raises") or (body.startswith("once") and message.dequeue_count == 1):
        raise ValueError("the text of an error may hold a password")
    if body.startswith("slow") and message.dequeue_count == 1:
        await asyncio.sleep(SLOW_S)
    note(function="on_message", body=body, done=True)


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=False, use_monitor=True)
async def on_tick(timer: func.TimerRequest) -> None:
    note(function="on_tick", past_due=timer.past_due)
