"""Messages for the queue: a few by the output binding, many by the app itself while it goes on finding more.

The host sends what an output binding carries after the function's end, or never: a function that is cut off has then
asked for nothing, and all that it found lay in memory until there.
"""

from __future__ import annotations

from app.request_queue import RequestQueue

MAX_BOUND = 1_000  # messages that the output binding carries


class Outgoing:
    """Those of one call. messages: what was not sent yet, for the binding. count: of all."""

    def __init__(self, queue: RequestQueue) -> None:
        self.messages: list[str] = []
        self.count = 0
        self._queue = queue
        self._send_at = MAX_BOUND

    async def add(self, message: str) -> None:
        """Beyond a thousand, all go to the queue; what it does not take stays, and is tried a thousand later."""
        self.count += 1
        self.messages.append(message)
        if len(self.messages) < self._send_at:
            return
        # Taken out first: others go on finding while these are sent.
        sending, self.messages = self.messages, []
        left = await self._queue.send(sending)
        self.messages = left + self.messages
        self._send_at = len(self.messages) + MAX_BOUND
