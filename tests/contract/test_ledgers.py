"""Every ledger keeps `rotation.ports.Ledger`: the files, the blobs (real leases in Azurite), and the tests' own."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob.aio import BlobLeaseClient, ContainerClient

from local.azurite import ACCOUNT, LocalAzurite
from rotation.errors import Busy, LeaseLost, Refused, Unreachable
from rotation.ledger.records import Step
from rotation.model import SecretRef
from rotation.stores.blob_ledger import BlobLedger
from rotation.stores.file_ledger import FileLedger
from tests.contract.ledgers import REF, Opened, record


async def test_what_was_appended_is_read_in_order_and_whole(opened: Opened) -> None:
    lease = await opened.lease()
    first, second, third = record(Step.STAGED), record(Step.APPLYING), record(Step.PUBLISHED, "x" * 20_000)
    await lease.append(first)
    await lease.append(second, third)
    assert list(lease.records) == [first, second, third]
    assert list(await opened.ledger.read(REF)) == [first, second, third]
    await lease.release()
    again = await opened.lease()
    assert list(again.records) == [first, second, third]
    await again.append(first)
    assert list(await opened.ledger.read(REF)) == [first, second, third, first]
    await again.release()


async def test_many_appends_by_many_holders_are_all_kept(opened: Opened) -> None:
    wanted = [record(detail=str(number)) for number in range(9)]
    for start in range(0, 9, 3):
        lease = await opened.lease()
        for one in wanted[start : start + 3]:
            await lease.append(one)
        await lease.release()
    assert list(await opened.ledger.read(REF)) == wanted


async def test_what_is_not_there_is_empty_and_not_created_by_looking(opened: Opened) -> None:
    assert list(await opened.ledger.read(REF)) == []
    assert await opened.ledger.acquire(REF, create=False) is None
    assert [entry async for entry in opened.ledger.entries("kv-demo")] == []


async def test_only_one_holds_the_lease(opened: Opened) -> None:
    lease = await opened.lease()
    with pytest.raises(Busy):
        await opened.lease()
    other = await opened.lease(replace(REF, name="other"))
    await other.release()
    assert 0 < lease.remaining() <= 60
    await lease.release()
    await lease.release()
    await (await opened.lease()).release()


async def test_of_many_that_ask_at_once_one_gets_it(opened: Opened) -> None:
    got = await asyncio.gather(*(opened.ledger.acquire(REF, create=True) for _ in range(8)), return_exceptions=True)
    leases = [one for one in got if not isinstance(one, BaseException)]
    assert len(leases) == 1
    assert all(isinstance(one, Busy) for one in got if isinstance(one, BaseException))


async def test_case_does_not_tell_secrets_apart(opened: Opened) -> None:
    lease = await opened.lease(SecretRef("KV-Demo", "Orders-DB"))
    await lease.append(record())
    with pytest.raises(Busy):
        await opened.lease()
    await lease.release()
    assert len(await opened.ledger.read(REF)) == 1


async def test_a_lease_that_ran_out_is_anothers_and_its_holder_writes_no_more(opened: Opened) -> None:
    stalled = await opened.lease()
    await stalled.append(record(Step.STAGED))
    await opened.run_out()
    [entry] = [entry async for entry in opened.ledger.entries("kv-demo")]
    assert entry.interrupted
    taken = await opened.lease()
    with pytest.raises(LeaseLost):
        await stalled.append(record(Step.PUBLISHED))
    with pytest.raises(LeaseLost):
        await stalled.renew()
    await stalled.release()  # which must not take the other's lease away
    with pytest.raises(Busy):
        await opened.lease()
    await taken.append(record(Step.FAILED))
    assert [one.step for one in await opened.ledger.read(REF)] == [Step.STAGED, Step.FAILED]
    await taken.release()


async def test_a_renewed_lease_lasts_anew(opened: Opened) -> None:
    lease = await opened.lease()
    before = lease.remaining()
    await asyncio.sleep(0.01)
    await lease.renew()
    assert lease.remaining() >= before - 0.5
    await lease.append(record())
    await lease.release()


async def test_the_listing_tells_what_changed(opened: Opened) -> None:
    async def listing() -> dict[str, str]:
        return {entry.name: entry.revision async for entry in opened.ledger.entries("kv-demo")}

    for name in ("one", "two"):
        lease = await opened.lease(replace(REF, name=name))
        await lease.append(record())
        await lease.release()
    await (await opened.lease(replace(REF, vault="kv-demo-2"))).release()
    before = await listing()
    assert before.keys() == {"one", "two"}
    assert await listing() == before
    lease = await opened.lease(replace(REF, name="two"))
    for _ in range(3):
        await lease.append(record())
    await lease.release()
    after = await listing()
    assert after["one"] == before["one"]
    assert after["two"] != before["two"]
    assert not [entry async for entry in opened.ledger.entries("kv-demo") if entry.interrupted]


# What only blobs can meet.


async def test_a_container_that_is_not_there_is_named_by_its_setting(azurite: LocalAzurite) -> None:
    ledger = BlobLedger(f"{azurite.url}/nowhere", AzureNamedKeyCredential(ACCOUNT, azurite.key))
    with pytest.raises(Refused, match="ROTATION_LEDGER"):
        await ledger.acquire(REF, create=True)
    await ledger.close()


async def test_a_wrong_key_names_the_role_that_is_missing(azurite: LocalAzurite, container: str) -> None:
    ledger = BlobLedger(container, AzureNamedKeyCredential(ACCOUNT, "bm8="))
    with pytest.raises(Refused, match="Storage Blob Data Contributor"):
        await ledger.acquire(REF, create=True)
    await ledger.close()


async def test_storage_that_is_gone_is_unreachable() -> None:
    ledger = BlobLedger(f"http://127.0.0.1:9/{ACCOUNT}/ledger", AzureNamedKeyCredential(ACCOUNT, "bm8="), retries=0)
    with pytest.raises(Unreachable):
        await ledger.read(REF)
    await ledger.close()


async def test_a_lease_broken_by_an_operator_stops_its_holder(
    azurite: LocalAzurite, container: str, blobs: Callable[[int], BlobLedger]
) -> None:
    ledger = blobs(100)
    lease = await ledger.acquire(REF, create=True)
    assert lease is not None
    async with ContainerClient.from_container_url(container, AzureNamedKeyCredential(ACCOUNT, azurite.key)) as client:
        await _break(client)
    with pytest.raises(LeaseLost):
        await lease.append(record())
    assert list(await ledger.read(REF)) == []


async def _break(client: ContainerClient) -> None:
    await BlobLeaseClient(client.get_blob_client("kv-demo/orders-db.jsonl")).break_lease(0)


# What only files can meet.


async def test_the_lease_of_a_process_that_is_gone_is_free_at_once(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from rotation.model import SecretRef;"
        "from rotation.stores.file_ledger import FileLedger;"
        "asyncio.run(FileLedger(Path(sys.argv[1])).acquire(SecretRef('kv-demo', 'orders-db'), create=True))"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)  # noqa: ASYNC221  ends in a moment
    ledger = FileLedger(tmp_path)
    [entry] = [entry async for entry in ledger.entries("kv-demo")]
    assert entry.interrupted
    assert await ledger.acquire(REF, create=True) is not None


async def test_a_line_torn_by_a_crash_is_cut_off_before_anything_is_added(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path)
    lease = await ledger.acquire(REF, create=True)
    assert lease is not None
    await lease.append(record(Step.STAGED))
    await lease.release()
    with (tmp_path / "kv-demo" / "orders-db.jsonl").open("a") as file:
        file.write(record(Step.APPLYING).to_line()[:30])
    again = await ledger.acquire(REF, create=True)
    assert again is not None
    await again.append(record(Step.FAILED))
    assert [one.step for one in await ledger.read(REF)] == [Step.STAGED, Step.FAILED]


async def test_a_disk_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "kv-demo").write_text("a file where a folder should be")
    with pytest.raises(Unreachable):
        await FileLedger(tmp_path).acquire(REF, create=True)
