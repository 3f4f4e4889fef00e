"""POST /admin/functions/{name}: a function that is run by hand.

Source: Microsoft Learn, "Manually run a non HTTP-triggered function". The answer comes when the function has ended, and
is 500 where it raised: the real host says 202 at once, and nobody hears of the end. An empty body is no mistake here.
"""

from __future__ import annotations

import json
import logging

from aiohttp import web

from local.host.events import TRIGGER as EVENT_GRID
from local.host.pump import run_timer
from local.host.worker import InvocationError, Worker

log = logging.getLogger("keyturn.host.manual")


async def run(worker: Worker, name: str, body: bytes) -> web.Response:
    """name: in any case. body: a JSON object; its `input` goes to the trigger."""
    function = next((one for one in worker.functions.values() if one.name.lower() == name.lower()), None)
    if function is None:
        return web.Response(status=404)
    try:
        raw = json.loads(body or b"{}")
    except ValueError:
        return web.Response(status=400)
    given = raw.get("input", "") if isinstance(raw, dict) else ""
    text = given if isinstance(given, str) else json.dumps(given)
    argument, kind = function.trigger["name"], function.trigger["type"]
    try:
        if kind == "timerTrigger":
            await run_timer(worker, function)
        elif kind == EVENT_GRID:
            await worker.run(function, {argument: worker.data(json=text)})
        elif kind == "queueTrigger":
            never = {"DequeueCount": worker.data(string="0")}  # it was in no queue
            await worker.run(function, {argument: worker.data(string=text)}, never)
    except InvocationError as error:
        log.error("%s failed: %s", function.name, error)  # noqa: TRY400  a traceback may show the event
        return web.Response(status=500)
    return web.Response(status=202)
