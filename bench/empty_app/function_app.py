"""The same triggers, bindings and routes as the app, and empty bodies: what indexing costs at the least."""

from typing import List

import azure.functions as func

QUEUE, STORAGE = "rotation-requests", "AzureWebJobsStorage"
app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.event_grid_trigger(arg_name="event")
@app.queue_output(arg_name="message", queue_name=QUEUE, connection=STORAGE)
async def near_expiry(event: func.EventGridEvent, message: func.Out[str]) -> None:
    pass


@app.queue_trigger(arg_name="message", queue_name=QUEUE, connection=STORAGE)
async def rotate(message: func.QueueMessage) -> None:
    pass


@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *", run_on_startup=False, use_monitor=True)
@app.queue_output(arg_name="messages", queue_name=QUEUE, connection=STORAGE)
async def sweep(timer: func.TimerRequest, messages: func.Out[List[str]]) -> None:
    pass


@app.route("vaults/{vault}/secrets/{name}/rotate", methods=["POST"])
async def rotate_now(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse()


@app.route("rotations", methods=["POST"])
@app.queue_output(arg_name="messages", queue_name=QUEUE, connection=STORAGE)
async def rotate_many(req: func.HttpRequest, messages: func.Out[List[str]]) -> func.HttpResponse:
    return func.HttpResponse()


@app.route("vaults/{vault}/secrets", methods=["GET"])
async def list_secrets(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse()


@app.route("vaults/{vault}/secrets/{name}", methods=["GET"])
async def read_secret(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse()


@app.route("vaults/{vault}/secrets/{name}/readers", methods=["GET"])
async def read_readers(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse()


@app.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse()


@app.route("openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def openapi(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse()
