"""What a role of ours does not hold is refused to the app at the stand-ins, in Azure's own words."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from azure.identity.aio import ManagedIdentityCredential

from local.certificates import Certificates
from local.identity import APP_CLIENT_ID
from local.rights import APP_OID, Right, Rights, deployed
from local.vault import LocalVaults
from rotation.errors import Refused
from rotation.model import SecretValue
from rotation.policy import Policy
from rotation.rotators import ROTATORS
from rotation.stores.keyvault import KeyVaultStore
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec
from tests.integration.vault_fixtures import (
    VAULT,
    NewVaults,
    authority,
    certificates,
    new_rest,
    new_vaults,
    session,
)
from tests.local_azure import ACCOUNT, APPLICATION, Place, opened

__all__ = ["authority", "certificates", "new_rest", "new_vaults", "session"]

pytestmark = pytest.mark.usefixtures("refused_on_purpose")

UPDATE = "Microsoft.KeyVault/vaults/secrets/update/action"
APP = {"oid": APP_OID}


@pytest.fixture
async def place(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with opened(tmp_path / "azure", certificates, monkeypatch) as running:
        yield running


@contextlib.asynccontextmanager
async def store_of(
    vaults: LocalVaults, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[KeyVaultStore]:
    async with vaults:
        for name, value in vaults.env.items():
            monkeypatch.setenv(name, value)
        async with ManagedIdentityCredential(client_id=APP_CLIENT_ID) as credential:
            yield KeyVaultStore(VAULT, vaults.urls[VAULT], credential, session)


async def test_the_app_reads_lists_writes_and_disables_and_may_not_delete(
    new_vaults: NewVaults, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_of(new_vaults(), session, monkeypatch) as store:
        made = await store.set("a", SecretValue("1"), tags={})
        await store.set_enabled("a", made.version, enabled=True)
        for call in (store._client.delete_secret, store._client.backup_secret, store._client.purge_deleted_secret):
            with pytest.raises(Exception, match="Caller is not authorized to perform action on resource"):
                await call("a")


async def test_a_right_that_the_role_does_not_hold_turns_the_call_away(
    new_vaults: NewVaults, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg-local"
    table_without = [Right(f"Microsoft.KeyVault/vaults/secrets/{name}/action", scope) for name in ("setSecret", "x")]
    async with store_of(new_vaults(rights=Rights(table_without)), session, monkeypatch) as store:
        made = await store.set("a", SecretValue("1"), tags={})
        with pytest.raises(Refused, match="Keyturn's own"):
            await store.set_enabled("a", made.version, enabled=False)
        with pytest.raises(Refused):
            await store.get("a")


async def test_a_vault_of_others_is_refused(
    new_vaults: NewVaults, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_of(new_vaults(rights=deployed(Policy(), (f"{VAULT}-2",))), session, monkeypatch) as store:
        with pytest.raises(Refused):
            await store.get("a")


async def test_keys_of_an_account_that_the_policy_does_not_name_stay_its_own(place: Place) -> None:
    place.azure.plane.rights = Rights(
        [Right("Microsoft.Storage/storageAccounts/listKeys/action", f"{ACCOUNT}2".lower())]
    )
    rotator = ROTATORS["storage-key"].build(place.services)
    spec = make_spec("storage-key", target=ACCOUNT, current_slot="key1")
    job = make_job(rotator, spec, make_secret(place.azure.arm.keys(ACCOUNT)["key1"]), "key1")
    before = place.azure.arm.keys(ACCOUNT)
    with pytest.raises(Refused, match="403 AuthorizationFailed"):
        await rotator.apply(job, rotator.draft(job))
    with pytest.raises(Refused, match="403 AuthorizationFailed"):
        await rotator.verify(job, job.current)
    assert place.azure.arm.keys(ACCOUNT) == before


async def test_an_application_that_is_not_owned_keeps_its_secrets(place: Place) -> None:
    place.azure.plane.rights = Rights([Right("Application.ReadWrite.OwnedBy", "/applications/another")])
    rotator = ROTATORS["entra-app-secret"].build(place.services)
    first = place.azure.graph.add_secret(APPLICATION)
    spec = make_spec("entra-app-secret", target=APPLICATION, current_slot=first["keyId"])
    job = make_job(rotator, spec, make_secret(first["secretText"]), first["keyId"])
    with pytest.raises(Refused, match="Authorization_RequestDenied"):
        await rotator.apply(job, rotator.draft(job))


def test_a_scope_covers_what_is_below_it_and_no_longer_name() -> None:
    rights = Rights([Right(UPDATE, "/vaults/kv-a")])
    assert rights.permit(APP, UPDATE.lower(), "/vaults/KV-A/secrets/x")
    assert rights.permit(APP, UPDATE, "/vaults/kv-a")
    assert not rights.permit(APP, UPDATE, "/vaults/kv-ab")
    assert not rights.permit(APP, "another", "/vaults/kv-a")
    assert rights.permit({"oid": "the owner"}, "another", "/vaults/kv-a")
    assert Rights().permit(APP, "anything", "/")


def test_another_process_reads_what_was_granted(tmp_path: Path) -> None:
    path = tmp_path / "rights.json"
    for rights in (Rights([Right(UPDATE, "/a")]), Rights([]), Rights()):
        path.write_text(rights.to_json())
        assert Rights.from_file(path).to_json() == rights.to_json()
