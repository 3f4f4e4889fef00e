"""The app on the real host as it is used from outside: by its callers, by Event Grid, and at its queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueClient

from local.azurite import ACCOUNT, LocalAzurite
from tests.e2e.deployment import Answer, Deployment, opened_as
from tests.real_host.stage import RealStack

QUEUE = "rotation-requests"
WEBHOOK = "/runtime/webhooks/eventgrid"


class Seen(Deployment):
    """As `Deployment`. The webhook and the admin endpoints want keys of their own, and the queue is Azurite's."""

    stack: RealStack

    async def event(self, body: Any, **headers: str) -> Answer:
        text = body if isinstance(body, str) else json.dumps(body)
        told = {"aeg-event-type": "Notification", **{name.replace("_", "-"): value for name, value in headers.items()}}
        query = {"functionName": "near_expiry", "code": self.stack.host.keys.system}
        return await self.call("POST", WEBHOOK, key=None, data=text, headers=told, params=query)

    async def sweep(self) -> None:
        await self.run("sweep")
        await self.idle()

    async def run(self, function: str, **body: Any) -> Answer:
        """By hand, as an operator with the master key does; accepted, it runs by itself."""
        answer = await self.call("POST", f"/admin/functions/{function}", key=self.stack.host.keys.master, json=body)
        assert answer.status == 202, answer.text
        return answer

    async def queue(self) -> Mapping[str, int]:
        """From outside: the `count` of messages, how many of them are `delayed` (not to be seen now), and `poison`."""
        assert self.stack.azurite is not None
        async with queue_client(self.stack.azurite, QUEUE) as client:
            count, visible = await counted(client)
        async with queue_client(self.stack.azurite, f"{QUEUE}-poison") as client:
            poison, _ = await counted(client)
        return {"count": count, "delayed": count - visible, "poison": poison}

    async def idle(self, within_s: float = 120.0) -> None:
        """Return once the queue is empty."""
        async with asyncio.timeout(within_s):
            while (await self.queue())["count"]:  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.1)


@asynccontextmanager
async def queue_client(azurite: LocalAzurite, name: str) -> AsyncIterator[QueueClient]:
    """As the owner of the storage account."""
    key = AzureNamedKeyCredential(ACCOUNT, azurite.key)
    async with QueueClient(azurite.service("queue"), name, credential=key, connection_verify=azurite.ca) as client:
        yield client


async def counted(client: QueueClient) -> tuple[int, int]:
    """How many messages a queue holds, and how many of them, up to 32, can be seen; none where there is no queue."""
    try:
        told = await client.get_queue_properties()
        visible = await client.peek_messages(max_messages=32)
    except ResourceNotFoundError:
        return 0, 0
    return told.approximate_message_count or 0, len(visible)


@asynccontextmanager
async def seen(stack: RealStack, answers: list[str]) -> AsyncIterator[Seen]:
    """A running stack."""
    async with opened_as(Seen, stack, answers) as app:
        yield app
