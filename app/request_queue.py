"""Messages that the app itself sends: one put back for later, many that no output binding should carry, and reminders.

A queue's own retry counts a try; waiting for another run's lease, or for a vault that takes no more for now, is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.log_fields import log_fields
from app.messages import to_text
from app.settings import QUEUE
from rotation.engine.reminders import PATIENCE_S
from rotation.errors import Unreachable
from rotation.model import RotationRequest
from rotation.side_by_side import side_by_side

if TYPE_CHECKING:
    import aiohttp
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.storage.queue.aio import QueueClient

log = logging.getLogger("keyturn.rotate")
LONGEST_S = 300
MAX_CONCURRENT = 16


def visible_after(seconds: int, rng: random.Random) -> int:
    """How long a message put back for so long stays out of sight: a little longer, so that fifty don't come at once.

    A little: where a vault's limit is what all wait for, time in which nobody comes is lost.
    """
    seconds = min(seconds, LONGEST_S)
    return seconds + rng.randrange(1, 3 + min(seconds // 4, 7))


class QueuedReminder:
    """See `rotation.engine.reminders.Reminder`. receipt: as the message was sent; a host that took it made another."""

    def __init__(self, queue: QueueClient, message: str, receipt: str) -> None:
        self._queue = queue
        self._message = message
        self._receipt = receipt

    async def call_off(self) -> None:
        from azure.core.exceptions import AzureError  # noqa: PLC0415  loaded when it was left

        # It was taken meanwhile, or nobody answers: then it comes, and finds nothing to do.
        with contextlib.suppress(AzureError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._queue.delete_message(self._message, self._receipt)


class RequestQueue:
    """Sends messages to the queue, at once or such that they become visible after a while.

    service: the queue service's URL; None where a connection string alone names the app's storage, and then a
    message comes back by the queue's own retry. session: shared, and stays the caller's.
    """

    def __init__(self, service: str | None, identity: AsyncTokenCredential, session: aiohttp.ClientSession) -> None:
        self._service = service
        self._identity = identity
        self._session = session
        self._client: QueueClient | None = None

    async def put_back(self, request: RotationRequest, seconds: int) -> None:
        """The same wish, not before `seconds` from now.

        Raises:
            Unreachable: it could not be sent; let the queue's own retry bring the message back.
        """
        if not await self._sent(to_text(request), visible_after(seconds, random.SystemRandom())):
            raise Unreachable("the secret is busy or its vault is full, and the message comes back by the queue")

    async def leave(self, request: RotationRequest, after_s: int) -> QueuedReminder | None:
        """See `rotation.engine.reminders.Reminders`."""
        if self._service is None:
            return None
        try:
            queue = self._queue(self._service)
            sent = await queue.send_message(to_text(request), visibility_timeout=after_s)
        except Exception as error:  # noqa: BLE001  whatever it is, it stops no rotation
            kind, seen = type(error).__name__, log_fields("unreminded", request.ref)
            log.warning(
                "no reminder of %s (%s): what is left to do waits for the next message or sweep",
                request.ref,
                kind,
                extra=seen,
            )
            return None
        return QueuedReminder(queue, sent.id, sent.pop_receipt or "")

    async def send(self, messages: Sequence[str]) -> list[str]:
        """Send all of them now -> those that could not be sent."""
        sent = side_by_side(lambda message: self._sent(message, None), messages, MAX_CONCURRENT)
        return [message async for message, done in sent if not done]

    async def _sent(self, text: str, wait: int | None) -> bool:
        if self._service is None:
            return False
        from azure.core.exceptions import AzureError  # noqa: PLC0415  only sending needs the SDK

        try:
            await self._queue(self._service).send_message(text, visibility_timeout=wait)
        except AzureError:
            return False
        return True

    def _queue(self, service: str) -> QueueClient:
        if self._client is None:
            from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415  as above
            from azure.storage.queue.aio import QueueClient  # noqa: PLC0415  as above

            transport = AioHttpTransport(session=self._session, session_owner=False)
            self._client = QueueClient(service, QUEUE, credential=self._identity, transport=transport)
        return self._client
