"""One more instance of the app: messages as a JSON list on standard input, what came of them on standard output."""

import asyncio
import json
import logging
import os
import random
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.bootstrap import load_policy
from app.messages import to_text
from app.request_queue import visible_after
from app.settings import from_environment
from app.wiring import App, build
from handlers.rotate import rotate
from rotation.errors import RotationError
from rotation.model import RotationRequest

AT_ONCE = 24  # as host.json has it: batchSize and newBatchThreshold


class OwnQueue:
    """In place of the storage queue: what is put back is visible again after its time, and so are reminders.

    call_s: what each of the app's calls takes. left, called_off: reminders.
    """

    def __init__(self, messages: list[str], rng: random.Random | None = None, call_s: float = 0.0) -> None:
        self._dice = rng or random.Random()
        self._call_s = call_s
        self.left = 0
        self.called_off = 0
        self.waiting: asyncio.Queue[str] = asyncio.Queue()
        self.open = len(messages)
        self.put_backs = 0
        for message in messages:
            self.waiting.put_nowait(message)

    async def put_back(self, request: RotationRequest, seconds: int) -> None:
        self.open += 1
        self.put_backs += 1
        asyncio.get_running_loop().call_later(
            visible_after(seconds, self._dice), self.waiting.put_nowait, to_text(request)
        )

    async def leave(self, request: RotationRequest, after_s: int) -> "Left":
        await asyncio.sleep(self._call_s)
        self.left += 1
        self.open += 1
        later = asyncio.get_running_loop().call_later(after_s, self.waiting.put_nowait, to_text(request))
        return Left(self, later)

    async def take_away(self, later: asyncio.TimerHandle) -> None:
        """A reminder that nobody took yet."""
        await asyncio.sleep(self._call_s)
        if later.when() > asyncio.get_running_loop().time():
            later.cancel()
            self.called_off += 1
            self.open -= 1


@dataclass(frozen=True, slots=True)
class Left:
    """See `rotation.engine.reminders.Reminder`."""

    queue: OwnQueue
    later: asyncio.TimerHandle

    async def call_off(self) -> None:
        await self.queue.take_away(self.later)


async def main() -> None:
    """Until every message is done."""
    logging.disable(logging.WARNING)
    queue = OwnQueue(json.load(sys.stdin))
    settings = from_environment(os.environ, Path.cwd())
    request_queue: Any = queue
    app = replace(await build(settings, load_policy(settings)), request_queue=request_queue)
    failed = await work(app, queue)
    logging.disable()  # the process ends with its session open, as an instance does
    json.dump({"put_back": queue.put_backs, "failed": failed, "cpu_s": time.process_time()}, sys.stdout)


async def work(app: App, queue: OwnQueue) -> list[str]:
    """Until every message is done -> what failed, a line each."""
    failed: list[str] = []

    async def hand() -> None:
        while True:
            message = await queue.waiting.get()
            try:
                await rotate(app, message)
            except RotationError as error:
                failed.append(error.message)
            queue.open -= 1

    hands = [asyncio.create_task(hand()) for _ in range(AT_ONCE)]
    while queue.open:  # noqa: ASYNC110  nobody tells
        await asyncio.sleep(0.05)
    for one in hands:
        one.cancel()
    return failed


if __name__ == "__main__":
    asyncio.run(main())
