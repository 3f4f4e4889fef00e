"""What the vault says no with, told apart by the adapter: what passes, what stays, and what somebody has to mend."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from local.identity import APP_CLIENT_ID
from local.vault import LocalVaults
from local.vault.faults import Code, Fault, Kind
from rotation.engine.fence import Limits
from rotation.errors import Conflict, Refused, RotationError, Unreachable
from rotation.model import SecretValue
from rotation.stores import keyvault
from rotation.stores.keyvault import KeyVaultStore
from tests.integration.vault_fixtures import VAULT

PASSING = (Code.ANOTHER_WRITER, Code.BEING_DELETED, Code.BEING_RECOVERED)
FORBIDDEN = (Code.RBAC, Code.POLICY, Code.FIREWALL, Code.CONNECTION)


@pytest.fixture
async def store(vaults: LocalVaults, identity: None, session: aiohttp.ClientSession) -> AsyncIterator[KeyVaultStore]:
    async with ManagedIdentityCredential(client_id=APP_CLIENT_ID) as credential:
        yield KeyVaultStore(VAULT, vaults.urls[VAULT], credential, session)


def writes(store: KeyVaultStore, version: str) -> dict[str, Callable[[], Awaitable[object]]]:
    """Each write that the port has."""
    return {
        "set": lambda: store.set("a", SecretValue("2"), tags={}),
        "set_enabled": lambda: store.set_enabled("a", version, enabled=True),
        "set_tags": lambda: store.set_tags("a", version, {"k": "v"}),
    }


@pytest.mark.parametrize("code", PASSING)
@pytest.mark.parametrize("write", ["set", "set_enabled", "set_tags"])
async def test_a_conflict_that_passes_is_waited_out(
    store: KeyVaultStore, vaults: LocalVaults, code: Code, write: str
) -> None:
    """azure-sdk-for-net#51761 (two writers), terraform-provider-azurerm#10454, azure-sdk-for-net#31581."""
    version = (await store.set("a", SecretValue("1"), tags={})).version
    fault = vaults.faults.add(Fault(Kind.REFUSE, code=code, times=3))

    await writes(store, version)[write]()

    assert vaults.faults.struck(fault) == 3
    assert len((await store.versions("a")).items) == (2 if write == "set" else 1), "a conflict wrote nothing"


@pytest.mark.parametrize("code", PASSING)
async def test_a_conflict_that_lasts_ends_within_the_fences_limit_and_may_be_tried_again_later(
    store: KeyVaultStore, vaults: LocalVaults, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Limits().vault_call > keyvault.PATIENCE_S + 2, "else the fence would say that it may have happened"
    monkeypatch.setattr(keyvault, "PATIENCE_S", 1.0)
    vaults.faults.add(Fault(Kind.REFUSE, code=code))
    began = time.monotonic()

    with pytest.raises(Conflict) as conflict:
        await store.set("a", SecretValue("1"), tags={})

    assert time.monotonic() - began < 3
    assert conflict.value.transient
    assert "a " in conflict.value.message
    assert len(vaults.calls.records(operation="set")) > 3


async def test_a_taken_name_is_told_at_once_and_stays(store: KeyVaultStore, client: SecretClient) -> None:
    await store.set("a", SecretValue("1"), tags={})
    await client.delete_secret("a", _polling_interval=0.05)
    began = time.monotonic()

    with pytest.raises(Refused, match="the name a is taken by a deleted secret"):
        await store.set("a", SecretValue("2"), tags={})

    assert time.monotonic() - began < 1


async def test_a_name_whose_deletion_begins_meanwhile_is_a_taken_one(
    store: KeyVaultStore, client: SecretClient, vaults: LocalVaults
) -> None:
    await store.set("a", SecretValue("1"), tags={})
    vaults.settling.set(1.0)
    await client._client.delete_secret("a")

    with pytest.raises(Refused, match="the name a is taken by a deleted secret"):
        await store.set("a", SecretValue("2"), tags={})


async def test_a_secret_that_is_being_recovered_is_written_once_it_is_there(
    store: KeyVaultStore, client: SecretClient, vaults: LocalVaults
) -> None:
    await store.set("a", SecretValue("1"), tags={})
    await client.delete_secret("a", _polling_interval=0.05)
    vaults.settling.set(1.0)
    await client._client.recover_deleted_secret("a")

    await store.set("a", SecretValue("2"), tags={})

    assert (await store.get("a")).value == SecretValue("2")


async def test_many_writers_of_one_secret_all_get_through(store: KeyVaultStore) -> None:
    written = await asyncio.gather(*(store.set("a", SecretValue(str(number)), tags={}) for number in range(10)))

    assert len({one.version for one in written}) == len((await store.versions("a")).items) == 10


async def test_each_reason_to_forbid_has_words_of_its_own(store: KeyVaultStore, vaults: LocalVaults) -> None:
    """Since the remedies differ: "Azure Key Vault REST API error codes", HTTP 403."""
    told: dict[Code, str] = {}
    for code in FORBIDDEN:
        vaults.faults.add(Fault(Kind.REFUSE, code=code))
        for call in (
            store.get("a"),
            store.versions("a"),
            store.set("a", SecretValue("1"), tags={}),
            anext(store.secrets()),
        ):
            with pytest.raises(RotationError) as refused:
                await call
            assert type(refused.value) is Refused
            told.setdefault(code, refused.value.message)
            assert refused.value.message == told[code], "the same, whatever was asked"
        vaults.faults.clear()

    assert len(set(told.values())) == len(FORBIDDEN)
    for code, words in {
        Code.RBAC: "needs the role",
        Code.POLICY: "access policies", Code.FIREWALL: "firewall", Code.CONNECTION: "private endpoint",
    }.items():  # fmt: skip
        assert [one for one in FORBIDDEN if words in told[one]] == [code], words


async def test_a_vault_that_knows_the_sdks_version_of_the_api_not_says_so(
    store: KeyVaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """azure-sdk-for-python#28595."""
    monkeypatch.setattr("local.vault.wire.API_VERSIONS", ("7.4",))
    with pytest.raises(Refused, match=r"the vault refuses the request \(status 400\)"):
        await store.get("a")


async def test_a_lost_answer_is_still_not_sent_again(store: KeyVaultStore, vaults: LocalVaults) -> None:
    vaults.faults.add(Fault(Kind.REFUSE, code=Code.ANOTHER_WRITER, times=1))
    vaults.faults.add(Fault(Kind.DROP_AFTER, skip=1, times=1))
    with pytest.raises(Unreachable):
        await store.set("a", SecretValue("1"), tags={})
    assert len((await store.versions("a")).items) == 1
