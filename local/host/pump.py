"""What starts functions without being asked: the queue's messages and the timers' schedules."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.host.queue import Message, Queues
from local.host.schedule import ScheduleError, schedule
from local.host.worker import Function, InvocationError, Worker

log = logging.getLogger("keyturn.host.pump")
IDLE_S = 0.1
OUT_OF_SIGHT_S = 600.0  # Azure SDK for .NET, `QueueListener`: no setting, and only a host that lives cuts it short
LAST_S = 10.0  # what a host that is stopped waits for the functions that run; seen with 4.1037


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """Of host.json's `extensions.queues`; Microsoft Learn, "host.json settings for Queue storage"."""

    at_once: int = 24
    visibility_s: float = 0.0
    most_tries: int = 5

    @classmethod
    def of(cls, host: Mapping[str, Any]) -> QueueOptions:
        """From a parsed host.json."""
        queues = host.get("extensions", {}).get("queues", {})
        batch = int(queues.get("batchSize", 16))
        return cls(
            batch + int(queues.get("newBatchThreshold", batch // 2)),
            seconds_of(queues.get("visibilityTimeout", "00:00:00")),
            int(queues.get("maxDequeueCount", 5)),
        )


def seconds_of(span: str) -> float:
    """Of a time as host.json writes it, `hh:mm:ss`."""
    hours, minutes, seconds = span.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


async def pump_queue(worker: Worker, queues: Queues, function: Function, options: QueueOptions) -> None:
    """Hand messages to a function, `at_once` side by side, until cancelled; those in hand are waited for a while."""
    queue = function.trigger["queueName"]
    hands: set[asyncio.Task[None]] = set()
    try:
        while True:
            message = queues.take(queue, OUT_OF_SIGHT_S) if len(hands) < options.at_once else None
            if message is None:
                await asyncio.sleep(IDLE_S)
                continue
            hand = asyncio.create_task(_hand(worker, queues, function, message, options))
            hands.add(hand)
            hand.add_done_callback(hands.discard)
    finally:
        if hands:
            await asyncio.wait(hands, timeout=LAST_S)
        for hand in hands:
            hand.cancel()


async def _hand(worker: Worker, queues: Queues, function: Function, message: Message, options: QueueOptions) -> None:
    inserted = datetime.fromtimestamp(message.inserted, UTC).isoformat()
    metadata = {
        "DequeueCount": worker.data(string=str(message.tries)),
        "Id": worker.data(string=message.id),
        "InsertionTime": worker.data(json=json.dumps(inserted)),
        "ExpirationTime": worker.data(json=json.dumps(inserted)),
        "NextVisibleTime": worker.data(json=json.dumps(inserted)),
        "PopReceipt": worker.data(string=message.id),
    }
    try:
        await worker.run(function, {function.trigger["name"]: worker.data(string=message.body)}, metadata)
    except InvocationError as error:
        log.error("%s failed (try %d): %s", function.name, message.tries, error)  # noqa: TRY400  may show a message
        queues.failed(message, options.visibility_s, options.most_tries)
    else:
        queues.done(message)


async def pump_timer(worker: Worker, function: Function) -> None:
    """Run a function by its schedule until cancelled; one that can't be read never runs, as on the real host."""
    try:
        due = schedule(function.trigger["schedule"], os.environ)
    except ScheduleError as error:
        log.error("%s is off, since its schedule is not read: %s", function.name, error)  # noqa: TRY400  all is told
        return
    moment = datetime.now(UTC)
    while (following := due.after(moment)) is not None:
        await asyncio.sleep((following - datetime.now(UTC)).total_seconds())
        moment = max(following, datetime.now(UTC))  # a clock that lags makes no second run
        try:
            await run_timer(worker, function)
        except InvocationError as error:
            log.error("%s failed: %s", function.name, error)  # noqa: TRY400  as above
    log.warning("%s is off, since its schedule has no next time", function.name)


async def run_timer(worker: Worker, function: Function) -> None:
    """One tick."""
    now = datetime.now(UTC).isoformat()
    status = {"Last": now, "Next": now, "LastUpdated": now}
    tick = worker.data(json=json.dumps({"Schedule": {}, "ScheduleStatus": status, "IsPastDue": False}))
    await worker.run(function, {function.trigger["name"]: tick})
