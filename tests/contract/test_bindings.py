"""Every ledger keeps what `rotation.ports.Ledger` says of who owns a credential."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob.aio import ContainerClient

from local.azurite import ACCOUNT
from rotation.errors import Overtaken, Refused
from rotation.ledger.bindings import FOLDER, credential_key
from rotation.model import SecretRef
from rotation.ports import Ledger
from rotation.stores.file_ledger import FileLedger
from tests.contract.ledgers import REF, Opened, record
from tests.contract.owners import KEY, OTHER, REALM, bind, binding, owner

ENDS_HERE = '{"at":"2026-01-02T03:04:05+00:00","vau'


async def test_what_nobody_owns_has_no_owner_and_can_be_bound(opened: Opened) -> None:
    found = await opened.ledger.bindings(KEY)
    assert (found.owner, list(found.records)) == (None, [])
    await opened.ledger.bind(KEY, found.position, binding())
    assert await owner(opened.ledger) == REF


async def test_the_last_of_many_owns_and_all_are_kept_in_order(opened: Opened) -> None:
    wanted = [binding(), binding(OTHER, "takeover"), binding(REF, "reset"), binding(OTHER)]
    await bind(opened.ledger, *wanted)
    found = await opened.ledger.bindings(KEY)
    assert list(found.records) == wanted
    assert found.owner == OTHER


async def test_each_credential_has_an_owner_of_its_own(opened: Opened) -> None:
    await bind(opened.ledger, binding())
    assert (await opened.ledger.bindings(credential_key(REALM, "another"))).owner is None


async def test_what_was_read_before_another_wrote_binds_nothing(opened: Opened) -> None:
    for _ in range(2):  # the history's beginning, and its middle
        read = await opened.ledger.bindings(KEY)
        await opened.ledger.bind(KEY, read.position, binding(OTHER))
        before = await opened.ledger.bindings(KEY)
        with pytest.raises(Overtaken):
            await opened.ledger.bind(KEY, read.position, binding())
        assert await opened.ledger.bindings(KEY) == before


async def test_of_many_that_bind_at_once_one_does(opened: Opened) -> None:
    for count in (1, 2):
        position = (await opened.ledger.bindings(KEY)).position
        wanted = [binding(replace(REF, name=f"s{number}")) for number in range(8)]
        got = await asyncio.gather(*(opened.ledger.bind(KEY, position, one) for one in wanted), return_exceptions=True)
        assert [type(one) for one in got if one is not None] == [Overtaken] * 7
        found = await opened.ledger.bindings(KEY)
        assert len(found.records) == count
        assert found.records[-1] == wanted[got.index(None)]


async def test_no_lease_is_needed_and_none_is_in_the_way(opened: Opened) -> None:
    lease = await opened.lease()
    await bind(opened.ledger, binding())
    await lease.append(record())
    await lease.release()
    assert len(await opened.ledger.read(REF)) == 1


async def test_bindings_are_among_no_vaults_entries(opened: Opened) -> None:
    await bind(opened.ledger, binding())
    await (await opened.lease()).release()
    assert [entry.name async for entry in opened.ledger.entries(REF.vault)] == [REF.name]


@pytest.mark.parametrize("vault", [FOLDER, FOLDER.upper(), "_other"])
async def test_no_vault_can_stand_where_the_bindings_do(opened: Opened, vault: str) -> None:
    await bind(opened.ledger, binding())
    with pytest.raises(Refused):
        await opened.ledger.acquire(SecretRef(vault, KEY), create=True)
    with pytest.raises(Refused):
        await opened.ledger.read(SecretRef(vault, KEY))
    with pytest.raises(Refused):
        [entry async for entry in opened.ledger.entries(vault)]


def test_a_key_shows_neither_server_nor_role_and_tells_every_credential_apart() -> None:
    key = credential_key("db.orders.example:5432", "orders_app")
    assert set(key) <= set("0123456789abcdef")
    assert len(key) == 40
    pairs = [("db.orders.example:5432", "orders_ap"), ("db.orders.example:543", "orders_app"), ("", "orders_app")]
    assert len({key, *(credential_key(*pair) for pair in pairs)}) == 4


# What is written as text.


@dataclass(frozen=True, slots=True)
class Text:
    """A ledger, and how somebody else adds to a credential's history."""

    ledger: Ledger
    add: Callable[[bytes], Awaitable[None]]


@pytest.fixture(params=["files", "blobs"])
def text(request: pytest.FixtureRequest, tmp_path: Path) -> Text:
    async def to_file(data: bytes) -> None:
        path = tmp_path / FOLDER / f"{KEY}.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(data)

    async def to_blob(data: bytes) -> None:
        key = AzureNamedKeyCredential(ACCOUNT, request.getfixturevalue("azurite").key)
        async with ContainerClient.from_container_url(request.getfixturevalue("container"), key) as client:
            blob = client.get_blob_client(f"{FOLDER}/{KEY}.jsonl")
            if not await blob.exists():
                await blob.create_append_blob()
            await blob.append_block(data)

    if request.param == "files":
        return Text(FileLedger(tmp_path), to_file)
    return Text(request.getfixturevalue("blobs")(100), to_blob)


@pytest.mark.parametrize("torn", [ENDS_HERE, ENDS_HERE[:1], '{"at":"ü'], ids=["middle", "first", "half-a-character"])
@pytest.mark.parametrize("earlier", [0, 1])
async def test_a_torn_line_binds_nothing_and_spoils_nothing(text: Text, torn: str, earlier: int) -> None:
    await bind(text.ledger, *[binding(OTHER)] * earlier)
    await text.add(torn.encode()[:-1] if torn.endswith("ü") else torn.encode())
    assert await owner(text.ledger) == (OTHER if earlier else None)
    await bind(text.ledger, binding(), binding(REF, "reset"))
    assert [one.owner for one in (await text.ledger.bindings(KEY)).records] == [*[OTHER] * earlier, REF, REF]


async def test_a_whole_line_without_its_line_feed_binds_nothing_yet(text: Text) -> None:
    await text.add(binding(OTHER).to_line().encode().rstrip())
    assert await owner(text.ledger) is None
    await bind(text.ledger, binding())
    assert await owner(text.ledger) == REF


async def test_fields_of_a_later_package_are_passed_over(text: Text) -> None:
    await text.add(binding(OTHER).to_line().replace("{", '{"later":{"and":["more"]},', 1).encode())
    assert list((await text.ledger.bindings(KEY)).records) == [binding(OTHER)]
    await bind(text.ledger, binding())
    assert await owner(text.ledger) == REF


@pytest.mark.parametrize("line", ["{}", "5", '{"at":"yesterday"}', '["at"]'])
async def test_a_whole_line_that_is_no_binding_leaves_the_owner_untold(text: Text, line: str) -> None:
    await bind(text.ledger, binding(OTHER))
    await text.add(line.encode() + b"\n")
    with pytest.raises(Refused, match=FOLDER):
        await text.ledger.bindings(KEY)
