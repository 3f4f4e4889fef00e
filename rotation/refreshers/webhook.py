"""A signed message to an address that the policy names, by the specification of Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md: the headers `webhook-id`,
`webhook-timestamp` and `webhook-signature`, HMAC-SHA256 over `id.timestamp.body`, success is 2xx alone, no redirect is
followed, and 410 ends it. The id and the body are the same at each try, the timestamp is that of the try. The message
names the secret and its version; no value is in it.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from rotation.errors import Gone, Refused
from rotation.ports import RotatorDependencies
from rotation.refresh_targets import RefreshOrder
from rotation.refreshers.answers import expect
from rotation.refreshers.signing import key_of, signature
from rotation.rotators.azure.rest import UNAUTHORIZED, ApiClient, session

EVENT = "secret.rotated"
GONE, REDIRECTS = 410, range(300, 400)


class Webhook:
    """Signs with the secret that the policy names."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._now = services.now

    async def refresh(self, order: RefreshOrder) -> None:
        address = urlsplit(order.refresh.target)
        whom = f"the webhook at {address.netloc}"
        body = message(order)
        message_id, at = f"{order.operation_id}-{order.version}", int(self._now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(key_of(order), message_id, at, body),
        }
        async with session() as over:
            client = ApiClient(whom, f"https://{address.netloc}")
            answer = await client.send_as_it_is(over, "POST", address.path, body, headers)
        if answer.status == GONE:
            raise Gone(f"{whom} answered 410, so it is not asked again: take it out of the policy")
        if answer.status in REDIRECTS:
            raise Refused(f"{whom} answered {answer.status}, and no redirect is followed: name the last address")
        if answer.status == UNAUTHORIZED:
            raise Refused(f"{whom} does not accept the signature: see that it has the same key, and its clock is right")
        expect(answer, whom, "see its own log")


def message(order: RefreshOrder) -> bytes:
    """What is sent: the same bytes at each try, since the signature is over them."""
    data = {"vault": order.ref.vault, "secret": order.ref.name, "version": order.version}
    timestamp = order.published_at.isoformat().replace("+00:00", "Z")
    return json.dumps({"type": EVENT, "timestamp": timestamp, "data": data}, separators=(",", ":")).encode()
