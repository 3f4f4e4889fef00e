"""What a run leaves behind before it changes a credential in place: a request for the same secret, for a minute later.

From that change until the new version is out consumers are locked out. A run that is killed in between is finished by
the next request, but its own message may stay out of sight for ten minutes: the Functions host hides it for so long
when it begins, and only a host that lives shows it again. The reminder comes once the dead run's lease is over.
See docs/adr/0025-a-reminder-before-a-change-in-place.md.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from rotation.model import Reason, RotationRequest

UNFINISHED = Reason.UNFINISHED
AT_MOST = 5  # for one operation, so that a secret whose run kills its process does not bring ever more of them
AFTER_LEASE_S = 3.0  # the service counts a lease from a moment later than we do
PATIENCE_S = 2.0  # what a run waits for a queue that does not answer; the old credential lives on meanwhile


class Reminder(Protocol):
    """One that was left."""

    async def call_off(self) -> None:
        """Take it away. Never raises: one that comes all the same finds nothing to do."""
        ...


class Reminders(Protocol):
    """Where reminders are left."""

    async def leave(self, request: RotationRequest, after_s: int) -> Reminder | None:
        """Ask `request` in so many seconds. None: it can't be left, and the log says so. Never raises."""
        ...


class NoReminders:
    """Leaves none."""

    async def leave(self, request: RotationRequest, after_s: int) -> Reminder | None:  # noqa: ARG002  the port's
        return None


class OneReminder:
    """The one reminder of a run. It is sent beside what the run does, which waits for it only before the change."""

    def __init__(self, reminders: Reminders) -> None:
        self._reminders = reminders
        self._sending: asyncio.Task[Reminder | None] | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether one was sent, or is under way."""
        return self._sending is not None

    def send(self, request: RotationRequest, lease_left_s: float) -> None:
        """Begin to leave it; a second one is none."""
        if self._sending is None:
            after_s = math.ceil(max(lease_left_s, 0) + AFTER_LEASE_S)
            self._sending = asyncio.ensure_future(self._reminders.leave(request, after_s))

    async def sent(self) -> None:
        """Wait until it is left, if one was begun, but not for long: a queue that is down stops no rotation."""
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=PATIENCE_S)

    def over(self) -> None:
        """What was begun is published or given up: begin to call it off, beside what the run still does."""
        if self._sending is not None and self._ending is None:
            self._ending = asyncio.ensure_future(self._call_off(self._sending))

    async def called_off(self) -> None:
        """Wait for that, if it was begun."""
        if self._ending is not None:
            await self._ending

    async def _call_off(self, sending: asyncio.Task[Reminder | None]) -> None:
        await self.sent()
        if not sending.done():
            sending.cancel()  # it may arrive all the same
        elif not sending.cancelled() and sending.exception() is None and (reminder := sending.result()) is not None:
            await reminder.call_off()
