"""A message that was given up on is not lost from sight."""

from pathlib import Path

from azure.identity.aio import ManagedIdentityCredential
from azure.storage.queue.aio import QueueClient

from app.messages import to_text
from app.poison import POISON_QUEUE
from local.stack import Stack
from rotation.model import Reason, RotationRequest, SecretRef
from tests.e2e.deployment import opened


async def test_the_sweep_tells_what_lies_in_the_poison_queue_and_takes_nothing_away(tmp_path: Path) -> None:
    with Stack(tmp_path / "stack") as stack:  # its own: other tests want an empty poison queue
        message = to_text(RotationRequest(SecretRef("kv-demo", "given-up"), "v1", Reason.SWEEP, "sweep"))
        async with opened(stack, []) as app:
            service = (await app.call("GET", "/admin/queues")).json["service"]
            async with (
                ManagedIdentityCredential() as identity,
                QueueClient(
                    service,
                    POISON_QUEUE,
                    credential=identity,
                    connection_verify=stack.ready["env"]["SSL_CERT_FILE"],
                    retry_total=0,
                ) as queue,
            ):
                await queue.send_message(message)
                await app.sweep()
                assert [one.content for one in await queue.peek_messages(max_messages=5)] == [message]
        told = "1 message(s) given up on lie in rotation-requests-poison: kv-demo/given-up"
        assert told in (stack.data / "host.log").read_text()
