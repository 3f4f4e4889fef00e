"""A storage queue in a test's own time, and what the Functions host does with its messages.

As the host was seen to do (4.1037, Storage.Queues 5.3.10): a message is out of sight for ten minutes from its start; a
function that raises, and a worker that dies under a host that lives, bring it back after host.json's minute; after five
tries it goes to the poison queue. A host that is killed brings nothing back.
"""

import json
import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from app.messages import to_text
from rotation.errors import RotationError
from rotation.model import RotationRequest
from tests.fakes import FakeClock, Hook, no_hook

_QUEUES = json.loads((Path(__file__).parents[1] / "host.json").read_text())["extensions"]["queues"]
MAX_TRIES = int(_QUEUES["maxDequeueCount"])
OUT_OF_SIGHT_S = 600.0
_HOURS, _MINUTES, _SECONDS = (float(part) for part in _QUEUES["visibilityTimeout"].split(":"))
AGAIN_S = _HOURS * 3600 + _MINUTES * 60 + _SECONDS
POLLED_EVERY_S = 2.0  # host.json's maxPollingInterval


def pass_by(queues: Path, seconds: float) -> None:
    """Let time pass for the queues of a Python host (`queues.sqlite`), whether it runs or not, and for nothing else."""
    with closing(sqlite3.connect(queues, isolation_level=None)) as database:
        database.execute("UPDATE messages SET visible = visible - ?", (seconds,))


@dataclass
class Message:
    """visible_at: in the clock's seconds. receipt: of whoever touched it last."""

    text: str
    visible_at: float
    tries: int = 0
    receipt: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass
class TimedQueue:
    """Keeps `rotation.engine.reminders.Reminders`, and `app.request_queue.Delay`'s `put_back`.

    left, called_off, put_backs: how often. down: it takes nothing.
    """

    clock: FakeClock
    hook: Hook = no_hook
    messages: list[Message] = field(default_factory=list)
    poison: list[Message] = field(default_factory=list)
    left: int = 0
    called_off: int = 0
    put_backs: int = 0
    down: bool = False

    async def leave(self, request: RotationRequest, after_s: int) -> "_Left | None":
        message = await self._send(request, after_s)
        self.left += message is not None
        return _Left(self, message, message.receipt) if message is not None else None

    async def put_back(self, request: RotationRequest, seconds: int) -> None:
        self.put_backs += 1
        self.put(to_text(request), seconds + POLLED_EVERY_S)

    def put(self, text: str, after_s: float = 0.0) -> Message:
        """Behind the app's back, as an event or an operator does."""
        self.messages.append(Message(text, self.clock.monotonic() + after_s))
        return self.messages[-1]

    def take(self) -> Message | None:
        """The next one in sight, out of it from now on."""
        now = self.clock.monotonic()
        found = next((message for message in self.messages if message.visible_at <= now), None)
        if found is not None:
            found.tries += 1
            found.visible_at, found.receipt = now + OUT_OF_SIGHT_S, uuid.uuid4().hex
        return found

    def done(self, message: Message) -> None:
        """The function returned."""
        self.messages.remove(message)

    def failed(self, message: Message) -> None:
        """The function raised, or its worker died and the host did not."""
        if message.tries >= MAX_TRIES:
            self.messages.remove(message)
            self.poison.append(message)
            return
        message.visible_at, message.receipt = self.clock.monotonic() + AGAIN_S, uuid.uuid4().hex

    async def _send(self, request: RotationRequest, after_s: int) -> Message | None:
        try:
            await self.hook("before", "send", request.reason)
            if self.down:
                return None
            message = self.put(to_text(request), after_s)
            await self.hook("after", "send", request.reason)
        except RotationError:
            return None  # the answer was lost: it may come, and nobody can call it off
        return message


@dataclass
class _Left:
    queue: TimedQueue
    message: Message
    receipt: str

    async def call_off(self) -> None:
        await self.queue.hook("before", "delete", "")
        if self.message in self.queue.messages and self.message.receipt == self.receipt:
            self.queue.messages.remove(self.message)
            self.queue.called_off += 1
