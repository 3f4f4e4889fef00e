"""Who owns a credential, in blob storage: what is refused, and answers that are lost."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob import ContainerSasPermissions
from azure.storage.blob._shared.policies_async import AsyncStorageRetryPolicy
from azure.storage.blob.aio import ContainerClient

from local.azurite import ACCOUNT, LocalAzurite
from rotation.errors import Overtaken, Refused, Unreachable
from rotation.ledger.bindings import FOLDER
from rotation.stores.blob_ledger import BlobLedger
from tests.contract.ledgers import REF
from tests.contract.owners import KEY, OTHER, bind, binding, owner

CREATED = 201


async def test_a_container_that_is_not_there_is_named_by_its_setting(azurite: LocalAzurite) -> None:
    ledger = BlobLedger(f"{azurite.url}/nowhere", AzureNamedKeyCredential(ACCOUNT, azurite.key))
    with pytest.raises(Refused, match="ROTATION_LEDGER"):
        await ledger.bindings(KEY)
    for position in (0, 9):
        with pytest.raises(Refused, match="ROTATION_LEDGER"):
            await ledger.bind(KEY, position, binding())
    await ledger.close()


async def test_a_wrong_key_names_the_role_that_is_missing(container: str) -> None:
    ledger = BlobLedger(container, AzureNamedKeyCredential(ACCOUNT, "bm8="))
    with pytest.raises(Refused, match="Storage Blob Data Contributor"):
        await ledger.bindings(KEY)
    with pytest.raises(Refused, match="Storage Blob Data Contributor"):
        await ledger.bind(KEY, 0, binding())
    await ledger.close()


async def test_storage_that_is_gone_is_unreachable() -> None:
    ledger = BlobLedger(f"http://127.0.0.1:9/{ACCOUNT}/ledger", AzureNamedKeyCredential(ACCOUNT, "bm8="), retries=0)
    with pytest.raises(Unreachable):
        await ledger.bindings(KEY)
    with pytest.raises(Unreachable):
        await ledger.bind(KEY, 0, binding())
    await ledger.close()


async def test_creating_and_appending_is_all_that_a_container_must_allow(blobs: Callable[..., BlobLedger]) -> None:
    ledger = blobs(100, ContainerSasPermissions(read=True, create=True, add=True))
    await bind(ledger, binding(), binding(OTHER))
    with pytest.raises(Overtaken):
        await ledger.bind(KEY, 0, binding(REF, "reset"))
    assert await owner(ledger) == OTHER


async def test_a_history_that_was_taken_away_since_it_was_read_is_looked_at_anew(
    azurite: LocalAzurite, container: str, blobs: Callable[..., BlobLedger]
) -> None:
    ledger = blobs(100)
    await bind(ledger, binding())
    read = await ledger.bindings(KEY)
    async with ContainerClient.from_container_url(container, AzureNamedKeyCredential(ACCOUNT, azurite.key)) as client:
        await client.delete_blob(f"{FOLDER}/{KEY}.jsonl")
    with pytest.raises(Overtaken):
        await ledger.bind(KEY, read.position, binding())
    assert await owner(ledger) is None


@dataclass(slots=True)
class Wire:
    """Loses "asked", requests to append, or "answered", the answer to the one that was written and those after it."""

    loses: str
    times: int
    met: int = 0
    meanwhile: Callable[[], Awaitable[None]] | None = None

    def over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = AioHttpTransport.send

        async def send(transport: AioHttpTransport, request: Any, **options: Any) -> Any:
            if "comp=appendblock" not in request.url or self.met == self.times:
                return await whole(transport, request, **options)
            if self.loses == "asked":
                self.met += 1
                raise ServiceResponseError("cut")
            answer = await whole(transport, request, **options)
            if answer.status_code == CREATED or self.met:
                self.met += 1
                if self.meanwhile:
                    await self.meanwhile()
                raise ServiceResponseError("cut")
            return answer

        async def at_once(*_: Any) -> None:
            return

        monkeypatch.setattr(AioHttpTransport, "send", send)
        monkeypatch.setattr(AsyncStorageRetryPolicy, "sleep", at_once)


@pytest.mark.parametrize("times", [1, 3], ids=["sent-again", "given-up"])
@pytest.mark.parametrize("earlier", [0, 1])
async def test_a_binding_whose_answer_was_lost_is_not_taken_for_anothers(
    blobs: Callable[..., BlobLedger], monkeypatch: pytest.MonkeyPatch, times: int, earlier: int
) -> None:
    ledger = blobs(100)
    await bind(ledger, *[binding(OTHER)] * earlier)
    wire = Wire("answered", times)
    wire.over(monkeypatch)
    await bind(ledger, binding())
    assert wire.met == times
    assert [one.owner for one in (await ledger.bindings(KEY)).records] == [*[OTHER] * earlier, REF]


async def test_a_binding_whose_answer_was_lost_stands_though_another_came_after(
    blobs: Callable[..., BlobLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = blobs(100)
    Wire("answered", 1, meanwhile=lambda: bind(ledger, binding(OTHER))).over(monkeypatch)
    await ledger.bind(KEY, 0, binding())
    assert [one.owner for one in (await ledger.bindings(KEY)).records] == [REF, OTHER]


async def test_a_binding_that_never_arrived_is_unreachable_and_not_written(
    blobs: Callable[..., BlobLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = blobs(100)
    Wire("asked", 3).over(monkeypatch)
    with pytest.raises(Unreachable):
        await ledger.bind(KEY, 0, binding())
    assert await owner(ledger) is None


async def test_a_binding_that_never_arrived_is_overtaken_where_another_stands(
    blobs: Callable[..., BlobLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = blobs(100)
    await bind(ledger, binding(OTHER))
    Wire("asked", 3).over(monkeypatch)
    with pytest.raises(Overtaken):
        await ledger.bind(KEY, 0, binding())
    assert await owner(ledger) == OTHER
