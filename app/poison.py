"""Messages that the platform gave up on lie in a queue of their own, of which nobody hears: each sweep looks there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from app.log_fields import log_fields
from app.messages import from_text
from app.settings import QUEUE
from rotation.errors import Malformed

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

log = logging.getLogger("keyturn.sweep")
# Where the queue trigger puts a message after its last try: Azure Functions, "Queue storage trigger", Poison messages.
POISON_QUEUE = f"{QUEUE}-poison"
AT_MOST = 32  # what one look shows: Storage REST, "Peek Messages"
WAIT_S = 10  # for one answer, once: the sweep's own messages are sent only after this


class PoisonQueueMonitor:
    """Looks at messages that were given up on; takes none away.

    service: the queue service's URL; None where a connection string alone names the app's storage.
    """

    def __init__(self, service: str | None, identity: AsyncTokenCredential) -> None:
        self._service = service
        self._identity = identity

    async def tell(self) -> None:
        """One line where there are any. Never raises: a sweep is worth more than this."""
        if self._service is None:
            return
        from azure.core.exceptions import AzureError, ResourceNotFoundError  # noqa: PLC0415  a cold start needs no SDK
        from azure.storage.queue.aio import QueueClient  # noqa: PLC0415  as above

        try:
            async with QueueClient(
                self._service,
                POISON_QUEUE,
                credential=self._identity,
                retry_total=0,
                connection_timeout=WAIT_S,
                read_timeout=WAIT_S,
            ) as queue:
                found = await queue.peek_messages(max_messages=AT_MOST)
        except ResourceNotFoundError:
            return  # the platform makes the queue with its first message
        except AzureError as error:
            kind = type(error).__name__
            log.warning("%s could not be looked at (%s)", POISON_QUEUE, kind, extra=log_fields("poison_unseen"))
            return
        if found:
            count = f"{AT_MOST} messages or more" if len(found) == AT_MOST else f"{len(found)} message(s)"
            secrets = ", ".join(sorted({_secret(message.content) for message in found}))
            log.error("%s given up on lie in %s: %s", count, POISON_QUEUE, secrets, extra=log_fields("poison"))


def _secret(text: str) -> str:
    try:
        return str(from_text(text).ref)
    except Malformed:
        return "what is no rotation request"
