"""An app that shows what the local host does with each trigger."""

import asyncio
import os
from pathlib import Path
from typing import List

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
journal = Path(os.environ["JOURNAL"])


def note(line: str) -> None:
    with journal.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


@app.event_grid_trigger(arg_name="event")
@app.queue_output(arg_name="message", queue_name="work", connection="Storage")
async def on_event(event: func.EventGridEvent, message: func.Out[str]) -> None:
    if event.subject == "broken":
        raise ValueError("the text of an error may hold a password")
    note(f"event {getattr(event, 'type', None) or event.event_type}")
    if event.subject != "nothing":
        message.set(event.subject)


@app.queue_trigger(arg_name="message", queue_name="work", connection="Storage")
async def on_work(message: func.QueueMessage) -> None:
    body = message.get_body().decode()
    note(f"work {body} {message.dequeue_count}")
    if body == "hopeless":
        raise ValueError("the text of an error may hold a password")
    if body == "slow" and message.dequeue_count == 1:
        await asyncio.sleep(3600)
    if body == "a second":
        await asyncio.sleep(1)
    note(f"done {body}")


@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *", run_on_startup=False)
@app.queue_output(arg_name="messages", queue_name="work", connection="Storage")
async def on_tick(timer: func.TimerRequest, messages: func.Out[List[str]]) -> None:
    messages.set(["one", "two"])


@app.timer_trigger(arg_name="timer", schedule="* * * * * 7", run_on_startup=False)
async def on_eighth_day(timer: func.TimerRequest) -> None:
    note("eighth day")


@app.route("echo/{word}", methods=["POST"])
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    body = {"word": req.route_params["word"], "query": dict(req.params), "body": req.get_body().decode()}
    sent = {"X-Sent": req.headers["transfer-encoding"]} if "transfer-encoding" in req.headers else {}
    return func.HttpResponse(str(body), status_code=201, headers={"X-Told": "yes", "X-Url": req.url, **sent})


@app.route("open", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def everybody(req: func.HttpRequest) -> func.HttpResponse:
    if "fail" in req.params:
        raise ValueError("the text of an error may hold a password")
    return func.HttpResponse("open")
