"""Azure's own clients, with a key that is changed under them: real signatures at Azurite, tokens of Service Bus."""

from __future__ import annotations

import asyncio
import time
import traceback
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.servicebus import ServiceBusClient
from azure.servicebus._base_handler import ServiceBusAzureNamedKeyTokenCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.blob.aio import BlobServiceClient as AsyncBlobServiceClient
from azure.storage.queue import QueueServiceClient

import keyturn
from keyturn import NotUsable, RotatingSecret
from keyturn.azure import RotatingNamedKey, RotatingSas, storage_client
from local.azurite import LocalAzurite
from tests.keyturn.played import PlayedVault, Time
from tests.keyturn.storage_emulator import change, key, string

PACKAGE = Path(keyturn.__file__).parent
ADDRESS = "https://kv-orders.vault.azure.net/secrets/orders-storage"


def secret(vault: PlayedVault) -> RotatingSecret:
    """It is looked at again at once, in the background, instead of after five minutes."""
    return RotatingSecret(ADDRESS, reader=lambda: vault, refresh_s=0.0)


def follows(secret: RotatingSecret, value: str) -> None:
    while secret.value != value:
        time.sleep(0.01)


async def test_clients_of_storage_sign_with_the_newest_key(azurite: LocalAzurite) -> None:
    vault = PlayedVault(Time(), string(azurite))
    following = secret(vault)
    asked: list[str] = []
    blobs = storage_client(BlobServiceClient, following, raw_request_hook=lambda request: asked.append("blob"))
    queues = storage_client(QueueServiceClient, following)
    plain = BlobServiceClient.from_connection_string(string(azurite), retry_total=0)
    files, of_asyncio = blobs.get_container_client("files"), storage_client(AsyncBlobServiceClient, following)

    def use() -> None:
        files.exists()
        list(blobs.list_containers())
        list(queues.list_queues())

    with blobs, queues, plain:
        async with of_asyncio:
            await asyncio.to_thread(use)
            await asyncio.to_thread(change, azurite)
            vault.write(string(azurite))
            await asyncio.to_thread(follows, following, string(azurite))
            await asyncio.to_thread(use)
            assert await of_asyncio.get_container_client("files").exists() is False
            with pytest.raises(HttpResponseError):
                await asyncio.to_thread(lambda: list(plain.list_containers()))
    assert len(asked) >= 4, "a hook of the application's own is called as before"


async def test_a_key_alone_goes_with_the_accounts_url(azurite: LocalAzurite) -> None:
    alone = key()
    client = storage_client(
        BlobServiceClient, secret(PlayedVault(Time(), alone)), "https://storders.blob.core.windows.net"
    )
    assert (client.credential.account_name, client.credential.account_key) == ("storders", alone)
    with pytest.raises(NotUsable, match="give the account_url"):
        storage_client(BlobServiceClient, secret(PlayedVault(Time(), alone)))


def test_service_bus_makes_each_token_with_the_newest_key() -> None:
    first, second = key(), key()
    form = "Endpoint=sb://orders.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey="
    for value, name in ((form, None), ("", "send")):
        vault = PlayedVault(Time(), f"{value}{first}")
        following = RotatingSecret(ADDRESS, reader=lambda vault=vault: vault, refresh_s=0.0)  # type: ignore[misc]
        credential = RotatingNamedKey(following, name)
        with ServiceBusClient("orders.servicebus.windows.net", credential) as client:
            held = client.get_queue_sender("q")._credential
            assert isinstance(held, ServiceBusAzureNamedKeyTokenCredential)
            before = held.get_token("sb://orders/q").token
            assert credential.named_key == ("send", first)
            vault.write(f"{value}{second}")
            follows(following, f"{value}{second}")
            assert credential.named_key == ("send", second)
            assert held.get_token("sb://orders/q").token.partition("&se=")[0] != before.partition("&se=")[0]


def test_a_signature_is_the_newest_one() -> None:
    vault = PlayedVault(Time(), "?sv=1&sig=first-3d1c")
    following = secret(vault)
    credential = RotatingSas(following)
    assert credential.signature == "sv=1&sig=first-3d1c"
    vault.write("BlobEndpoint=https://x.example/;SharedAccessSignature=sv=1&sig=second-3d1c")
    follows(following, vault.latest().value.reveal())
    assert credential.signature == "sv=1&sig=second-3d1c"


@pytest.mark.parametrize("value", ["", "canary-2f9z", "AccountName=x;AccountKey=canary-2f9z", '{"key": "canary-2f9z"}'])
@pytest.mark.parametrize(
    "make",
    [RotatingNamedKey, lambda one: RotatingNamedKey(one, "send"), RotatingSas, lambda one: storage_client(Path, one)],
)
def test_a_value_that_it_can_not_sign_with_is_one_clear_line(value: str, make: type[RotatingSas]) -> None:
    with pytest.raises(NotUsable) as unusable:
        make(secret(PlayedVault(Time(), value)))
    told = str(unusable.value)
    assert told.startswith(ADDRESS)
    assert "\n" not in told
    frames = "".join(traceback.TracebackException.from_exception(unusable.value, capture_locals=True).format())
    assert "canary" not in "".join(frame for frame in frames.split("  File ") if str(PACKAGE) in frame)
