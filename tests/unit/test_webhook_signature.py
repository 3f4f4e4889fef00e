"""What signs a webhook, held against the library that the makers of Standard Webhooks give to receivers."""

from __future__ import annotations

import base64
import os
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from rotation.model import SecretRef, SecretValue
from rotation.refresh_targets import RefreshOrder
from rotation.refreshers.signing import key_of, signature
from rotation.refreshers.webhook import message
from rotation.terms import Refresh

HOOK = Refresh("webhook", "https://h.example/", (), ("kv-a", "hook"))


def signed(secret: str, at: int) -> tuple[bytes, dict[str, str]]:
    order = RefreshOrder(
        HOOK, SecretRef("kv-a", "shop-db"), "v2", "0123", datetime(2026, 1, 2, tzinfo=UTC), SecretValue(secret)
    )
    body = message(order)
    made = signature(key_of(order), "m1", at, body)
    return body, {"webhook-id": "m1", "webhook-timestamp": str(at), "webhook-signature": made}


def in_base64(size: int) -> str:
    return base64.b64encode(os.urandom(size)).decode()


@pytest.mark.parametrize("size", [24, 32, 64])
@pytest.mark.parametrize("prefix", ["", "whsec_"])
def test_a_receiver_that_has_the_same_text_verifies_it(size: int, prefix: str) -> None:
    """The library reads base64, with the prefix or without; so does what `generated` makes as a signing key."""
    text = in_base64(size)
    body, headers = signed(prefix + text, int(time.time()))
    for theirs in (text, f"whsec_{text}"):
        assert Webhook(theirs).verify(body, headers)["type"] == "secret.rotated"
    with pytest.raises(WebhookVerificationError):
        Webhook(in_base64(size)).verify(body, headers)


def test_hexadecimal_digits_are_base64_to_the_library_and_so_to_us() -> None:
    text = os.urandom(32).hex()
    assert Webhook(text).verify(*signed(text, int(time.time())))["type"] == "secret.rotated"


def test_it_is_signed_as_the_specification_shows() -> None:
    """libraries/python/tests of standard-webhooks/standard-webhooks: a key, a message, and what it is signed with."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
