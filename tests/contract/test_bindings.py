"""Every ledger keeps what `rotation.ports.Ledger` says of who owns a credential."""

import asyncio
import fcntl
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob import ContainerSasPermissions
from azure.storage.blob._shared.policies_async import AsyncStorageRetryPolicy
from azure.storage.blob.aio import ContainerClient

from local.azurite import ACCOUNT, LocalAzurite
from rotation.bindings import FOLDER, Binding, credential_key
from rotation.errors import Overtaken, Refused, Unreachable
from rotation.model import SecretRef
from rotation.ports import Ledger
from rotation.stores.blob_ledger import BlobLedger
from rotation.stores.file_ledger import FileLedger
from tests.contract.ledgers import REF, Opened, record

REALM, SLOT = "7312345678901234567", 'orders "app"'
KEY = credential_key(REALM, SLOT)
OTHER = SecretRef("kv-other", "orders-db-copy")
CREATED = 201
ENDS_HERE = '{"at":"2026-01-02T03:04:05+00:00","vau'


def binding(owner: SecretRef = REF, how: str = "proof") -> Binding:
    at = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    return Binding(at, owner, REALM, SLOT, ("db.example:5432", "ünï\ud800\n.example"), how, "event-grid")


async def bind(ledger: Ledger, *bindings: Binding) -> None:
    for one in bindings:
        await ledger.bind(KEY, (await ledger.bindings(KEY)).position, one)


async def owner(ledger: Ledger) -> SecretRef | None:
    return (await ledger.bindings(KEY)).owner


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


# What only blobs can meet.


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


# What only files can meet.


BINDS = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from rotation.errors import Overtaken
from rotation.stores.file_ledger import FileLedger
from tests.contract.test_bindings import KEY, REF, binding
mine = binding(replace(REF, name=sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
try:
    asyncio.run(FileLedger(Path(sys.argv[1])).bind(KEY, 0, mine))
    print("bound")
except Overtaken:
    print("overtaken")
"""


async def test_of_many_processes_that_bind_at_once_one_does(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BINDS, str(tmp_path)]
    binds = [
        await asyncio.create_subprocess_exec(*command, f"s{number}", stdin=PIPE, stdout=PIPE) for number in range(4)
    ]
    await asyncio.gather(*(one.stdout.readline() for one in binds if one.stdout))  # all are ready
    said = [out.decode().strip() for out, _ in await asyncio.gather(*(one.communicate(b"\n") for one in binds))]
    assert sorted(said) == ["bound", "overtaken", "overtaken", "overtaken"]
    found = await FileLedger(tmp_path).bindings(KEY)
    assert [one.owner.name for one in found.records] == [f"s{said.index('bound')}"]


async def test_who_binds_waits_for_another_who_is_writing(tmp_path: Path) -> None:
    ledger, path = FileLedger(tmp_path), tmp_path / FOLDER / f"{KEY}.jsonl"
    path.parent.mkdir()
    with path.open("ab") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        waits = asyncio.create_task(ledger.bind(KEY, 0, binding()))
        await asyncio.sleep(0.2)
        assert not waits.done()
        writing.write(binding(OTHER).to_line().encode())
    with pytest.raises(Overtaken):
        await waits
    assert await owner(ledger) == OTHER


async def test_a_folder_that_can_not_be_used_is_told_and_never_read_as_free(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where a folder should be")
    with pytest.raises(Unreachable, match="ROTATION_LEDGER"):
        await FileLedger(tmp_path).bindings(KEY)
    with pytest.raises(Unreachable, match="ROTATION_LEDGER"):
        await FileLedger(tmp_path).bind(KEY, 0, binding())


async def test_what_a_full_disk_took_of_a_line_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = FileLedger(tmp_path)
    await bind(ledger, binding(OTHER))
    before = await ledger.bindings(KEY)

    def full(_descriptor: int) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(Unreachable):
            await ledger.bind(KEY, before.position, binding())
    assert await ledger.bindings(KEY) == before
