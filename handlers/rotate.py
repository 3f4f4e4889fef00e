"""A queue message to the engine, and what becomes of the message.

One that meets another run is put back: a new message that nobody sees for a while (`app.request_queue`), so that no try
of the queue's own is counted.
"""

from __future__ import annotations

import logging

from app.log_fields import log_fields, result_of
from app.messages import from_text
from app.wiring import App
from rotation.engine.reminders import UNFINISHED
from rotation.errors import Busy, Malformed, RotationError, Stopping, Throttled
from rotation.model import Outcome, Result, RotationRequest

log = logging.getLogger("keyturn.rotate")
SOON_S = 300  # what is deferred for longer is found again by the sweep
UNFINISHED_S = 10  # consumers may be locked out


async def rotate(app: App, message: str) -> None:
    """Do what one message asks.

    Raises:
        RotationError: a transient one: the platform brings the message back, and gives up after five tries.
    """
    with app.shutdown.at_work():
        await _rotate(app, message)


async def _rotate(app: App, message: str) -> None:
    try:
        request = from_text(message)
    except Malformed as error:
        dropped = log_fields("dropped")
        log.error("a message is dropped: %s", error.message, extra=dropped)  # noqa: TRY400  a traceback would show it
        return
    try:
        outcome = await app.engine.handle(request)
    except Busy as busy:
        wait = busy.retry_after_s or 30
        await app.request_queue.put_back(request, min(wait, UNFINISHED_S) if request.reason == UNFINISHED else wait)
        seen = log_fields("busy", request.ref, outcome=Result.BUSY.value)
        log.info("busy %s: another run works on it; asked again shortly", request.ref, extra=seen)
        return
    except Stopping as stopping:
        await app.request_queue.put_back(request, stopping.retry_after_s or 1)
        seen = log_fields("stopping", request.ref, outcome=stopping.code)
        log.info("stopping, so %s is put back: another instance takes it up", request.ref, extra=seen)
        return
    except Throttled as throttled:
        await app.request_queue.put_back(request, throttled.retry_after_s or 30)
        seen = log_fields("throttled", request.ref, outcome=throttled.code)
        log.warning("throttled %s: %s; asked again shortly", request.ref, throttled.message, extra=seen)
        return
    except RotationError as error:
        await app.notifier.tell(_failed(request, error))
        if error.transient:
            raise
        return
    await app.notifier.tell(outcome)
    if outcome.result is Result.DEFERRED and outcome.retry_after_s is not None and outcome.retry_after_s <= SOON_S:
        await app.request_queue.put_back(request, outcome.retry_after_s)


def _failed(request: RotationRequest, error: RotationError) -> Outcome:
    return Outcome(result_of(error), request.ref, error.message, version=request.version, code=error.code)
