"""A message put back for later. A queue's own retry counts a try; waiting for another run's lease is none."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from handlers.messages import to_text
from handlers.settings import QUEUE
from rotation.errors import Unreachable
from rotation.model import RotationRequest

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

LONGEST_S = 300


class Delay:
    """Sends copies of messages that become visible after a while.

    service: the queue service's URL; None where the app's storage is told by a connection string alone, and then a
    message comes back by the queue's own retry.
    """

    def __init__(self, service: str | None, identity: AsyncTokenCredential) -> None:
        self._service = service
        self._identity = identity

    async def put_back(self, request: RotationRequest, seconds: int) -> None:
        """The same wish, not before `seconds` from now (a little more, so that fifty don't come at once).

        Raises:
            Unreachable: it could not be sent; let the queue's own retry bring the message back.
        """
        if self._service is None:
            raise Unreachable("the secret is busy; the message comes back by the queue's own retry")
        from azure.core.exceptions import AzureError  # noqa: PLC0415  only a busy secret needs the SDK
        from azure.storage.queue.aio import QueueClient  # noqa: PLC0415  as above

        wait = min(seconds, LONGEST_S) + random.SystemRandom().randrange(1, 10)
        try:
            async with QueueClient(self._service, QUEUE, credential=self._identity) as queue:
                await queue.send_message(to_text(request), visibility_timeout=wait)
        except AzureError:
            pass
        else:
            return
        raise Unreachable("the secret is busy, and the queue does not answer")
