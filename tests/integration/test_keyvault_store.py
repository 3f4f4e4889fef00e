"""The vault's adapter against the local vault, over TLS, with the real SDK."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from azure.identity.aio import ManagedIdentityCredential

from local.identity import APP_CLIENT_ID
from local.vault import LocalVaults
from local.vault.faults import Fault, Kind
from local.vault.operations import Operation
from rotation.errors import Disabled, NotFound, Refused, Throttled, Unreachable
from rotation.model import SecretValue
from rotation.stores.keyvault import KeyVaultStore
from tests.integration.vault_fixtures import VAULT


@pytest.fixture
async def store(vaults: LocalVaults, identity: None, session: aiohttp.ClientSession) -> AsyncIterator[KeyVaultStore]:
    async with ManagedIdentityCredential(client_id=APP_CLIENT_ID) as credential:
        yield KeyVaultStore(VAULT, vaults.urls[VAULT], credential, session)


async def test_what_is_written_is_read_with_the_vaults_clock(store: KeyVaultStore) -> None:
    expires = (datetime.now(UTC) + timedelta(days=90)).replace(microsecond=0)
    written = await store.set("a", SecretValue("x y"), tags={"k": "v"}, content_type="text/plain", expires_on=expires)
    read = await store.get("a")
    assert (read.version, read.value, read.tags) == (written.version, SecretValue("x y"), {"k": "v"})
    assert (read.expires_on, read.content_type, read.enabled) == (expires, "text/plain", True)
    assert abs(read.read_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert (await store.get("a", written.version)).value == SecretValue("x y")


async def test_all_versions_are_listed(store: KeyVaultStore) -> None:
    written = {(await store.set("a", SecretValue(str(n)), tags={})).version for n in range(30)}
    listed = await store.versions("a")
    assert {version.version for version in listed.items} == written
    assert (await store.versions("unknown")).items == ()


async def test_the_listing_names_every_secret_once(store: KeyVaultStore) -> None:
    for n in range(30):
        await store.set(f"s-{n}", SecretValue("x"), tags={"n": str(n)})
    names = [item.ref.name async for item in store.secrets()]
    assert sorted(names) == sorted(f"s-{n}" for n in range(30))


async def test_a_disabled_version_is_told_from_one_that_is_not_there(store: KeyVaultStore) -> None:
    written = await store.set("a", SecretValue("x"), tags={})
    await store.set_enabled("a", written.version, enabled=False)
    with pytest.raises(Disabled):
        await store.get("a")
    await store.set_enabled("a", written.version, enabled=True)
    assert (await store.get("a")).enabled
    with pytest.raises(NotFound):
        await store.get("b")


async def test_tags_are_replaced_and_the_rest_stays(store: KeyVaultStore) -> None:
    written = await store.set("a", SecretValue("x"), tags={"old": "1"}, content_type="c")
    await store.set_tags("a", written.version, {"new": "2"})
    read = await store.get("a")
    assert (read.tags, read.content_type) == ({"new": "2"}, "c")


async def test_a_write_whose_answer_is_lost_is_not_sent_again(store: KeyVaultStore, vaults: LocalVaults) -> None:
    await store.set("a", SecretValue("0"), tags={})
    vaults.faults.add(Fault(Kind.DROP_AFTER, operations=(Operation.SET,), times=1))
    with pytest.raises(Unreachable):
        await store.set("a", SecretValue("1"), tags={})
    assert len((await store.versions("a")).items) == 2


async def test_a_throttled_call_waits_as_told_and_goes_through(store: KeyVaultStore, vaults: LocalVaults) -> None:
    vaults.faults.add(Fault(Kind.STATUS, status=429, retry_after_s=1, times=1))
    assert (await store.set("a", SecretValue("1"), tags={})).version
    vaults.faults.add(Fault(Kind.STATUS, status=429, retry_after_s=60, times=1))
    with pytest.raises(Throttled) as throttled:
        await store.get("a")
    assert throttled.value.retry_after_s == 60


@pytest.mark.parametrize("operation", [Operation.GET, Operation.SET])
async def test_a_throttled_call_that_is_not_told_when_to_come_back_is_tried_again_and_then_comes_back_soon(
    store: KeyVaultStore, vaults: LocalVaults, operation: Operation
) -> None:
    """AzureSignTool#219: the headers of a real 429, without Retry-After."""

    async def ask() -> None:
        await (store.get("a") if operation is Operation.GET else store.set("a", SecretValue("2"), tags={}))

    await store.set("a", SecretValue("1"), tags={})
    fault = vaults.faults.add(Fault(Kind.STATUS, (operation,), status=429, times=2))
    began = time.monotonic()
    await ask()
    assert vaults.faults.struck(fault) == 2
    assert 2.9 < time.monotonic() - began < 4.5, "one second, then two"
    vaults.faults.add(Fault(Kind.STATUS, (operation,), status=429))
    with pytest.raises(Throttled) as throttled:
        await ask()
    assert throttled.value.retry_after_s is not None
    assert throttled.value.retry_after_s <= 10


async def test_a_refused_creation_closes_the_vault_for_all_who_would_write_next(
    store: KeyVaultStore, vaults: LocalVaults
) -> None:
    vaults.faults.add(Fault(Kind.STATUS, status=429, retry_after_s=60, times=1))
    with pytest.raises(Throttled):
        await store.get("a")
    await store.reserve_writes(2)
    vaults.faults.add(Fault(Kind.STATUS, operations=(Operation.SET,), status=429, retry_after_s=60, times=1))
    with pytest.raises(Throttled):
        await store.set("a", SecretValue("1"), tags={})
    for creations in (0, 2):
        with pytest.raises(Throttled) as throttled:
            await store.reserve_writes(creations)
        assert 58 <= (throttled.value.retry_after_s or 0) <= 62
    assert (await store.versions("a")).items == ()


async def test_what_the_vault_will_not_have_is_refused_without_showing_it(store: KeyVaultStore) -> None:
    with pytest.raises(Refused) as refused:
        await store.set("a", SecretValue("Canary7" * 5000), tags={})
    assert "Canary7" not in refused.value.message
