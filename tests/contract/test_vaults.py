"""The tests' vault and the real SDK against the local vault keep the same contract: `rotation.ports.Vault`."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from local.identity import APP_CLIENT_ID
from local.vault import LocalVaults
from rotation.errors import Disabled, NotFound, Refused
from rotation.model import SecretValue
from rotation.ports import Vault
from rotation.stores.keyvault import KeyVaultStore
from tests.fakes import FakeClock, InMemoryVault
from tests.integration.vault_fixtures import (
    VAULT,
    authority,
    certificates,
    client,
    identity,
    new_vaults,
    session,
    vaults,
)

__all__ = ["authority", "certificates", "client", "identity", "new_vaults", "session", "vaults"]

VALUE = SecretValue("postgresql://a:b c;ünï@h/d ")


@pytest.fixture
async def store(vaults: LocalVaults, identity: None, session: aiohttp.ClientSession) -> AsyncIterator[Vault]:
    async with ManagedIdentityCredential(client_id=APP_CLIENT_ID) as credential:
        yield KeyVaultStore(VAULT, vaults.urls[VAULT], credential, session)


@pytest.fixture(params=["in-memory", "sdk-against-the-local-vault"])
def vault(request: pytest.FixtureRequest) -> Vault:
    if request.param == "in-memory":
        return InMemoryVault(VAULT, FakeClock(datetime.now(UTC)))
    found: Vault = request.getfixturevalue("store")
    return found


async def test_what_is_set_is_read_as_it_is(vault: Vault) -> None:
    expires = (datetime.now(UTC) + timedelta(days=90)).replace(microsecond=0)
    made = await vault.set("a", VALUE, tags={"k": "v"}, content_type="text/plain", expires_on=expires)
    for read in (await vault.get("a"), await vault.get("a", made.version)):
        assert (read.version, read.value, dict(read.tags)) == (made.version, VALUE, {"k": "v"})
        assert (read.content_type, read.expires_on, read.enabled) == ("text/plain", expires, True)
        assert read.ref.vault == VAULT
        assert read.read_at.tzinfo is not None
        assert abs(read.read_at - made.created_on) < timedelta(minutes=1)


async def test_the_latest_is_what_was_made_last_and_the_others_stay(vault: Vault) -> None:
    first = await vault.set("a", SecretValue("1"), tags={})
    second = await vault.set("a", SecretValue("2"), tags={"n": "2"})
    assert (await vault.get("a")).version == second.version
    assert (await vault.get("a", first.version)).value == SecretValue("1")
    assert dict((await vault.get("a", first.version)).tags) == {}


async def test_versions_are_listed_newest_first_with_the_vaults_clock(vault: Vault) -> None:
    first = await vault.set("a", SecretValue("1"), tags={"n": "1"})
    second = await vault.set("a", SecretValue("2"), tags={"n": "2"})
    listed = await vault.versions("a")
    assert {one.version for one in listed.items} == {first.version, second.version}
    assert [one.created_on for one in listed.items] == sorted((one.created_on for one in listed.items), reverse=True)
    assert {one.tags["n"] for one in listed.items} == {"1", "2"}
    assert abs(listed.read_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert (await vault.versions("unknown")).items == ()


async def test_every_secret_is_listed_once(vault: Vault) -> None:
    for number in range(27):  # more than a page
        await vault.set(f"s-{number}", VALUE, tags={"n": str(number)})
    await vault.set("s-0", VALUE, tags={"n": "again"})
    listed = {item.ref.name: item.tags["n"] async for item in vault.secrets()}
    assert listed == {"s-0": "again", **{f"s-{number}": str(number) for number in range(1, 27)}}


async def test_a_disabled_version_is_not_given_out_until_it_is_enabled_again(vault: Vault) -> None:
    made = await vault.set("a", VALUE, tags={"k": "v"}, content_type="text/plain")
    await vault.set_enabled("a", made.version, enabled=False)
    for version in (None, made.version):
        with pytest.raises(Disabled):
            await vault.get("a", version)
    [listed] = (await vault.versions("a")).items
    assert not listed.enabled
    [item] = [item async for item in vault.secrets()]
    assert not item.enabled
    await vault.set_enabled("a", made.version, enabled=True)
    again = await vault.get("a")
    assert (again.value, dict(again.tags), again.content_type) == (VALUE, {"k": "v"}, "text/plain")


async def test_tags_are_replaced_and_all_else_stays(vault: Vault) -> None:
    expires = (datetime.now(UTC) + timedelta(days=9)).replace(microsecond=0)
    made = await vault.set("a", VALUE, tags={"k": "v", "l": "w"}, expires_on=expires)
    await vault.set_tags("a", made.version, {"m": "x"})
    read = await vault.get("a")
    assert dict(read.tags) == {"m": "x"}
    assert (read.version, read.value, read.expires_on) == (made.version, VALUE, expires)


async def test_what_is_not_there_is_not_found(vault: Vault) -> None:
    with pytest.raises(NotFound):
        await vault.get("nothing")
    await vault.set("a", VALUE, tags={})
    for asked in (
        vault.get("a", "0" * 32),
        vault.set_tags("a", "0" * 32, {}),
        vault.set_enabled("a", "0" * 32, enabled=True),
    ):
        with pytest.raises(NotFound):
            await asked


async def test_one_tag_too_many_is_refused_and_nothing_is_written(vault: Vault) -> None:
    with pytest.raises(Refused):
        await vault.set("a", VALUE, tags={str(number): "x" for number in range(16)})
    assert (await vault.versions("a")).items == ()


async def test_names_are_the_same_in_any_case(vault: Vault) -> None:
    made = await vault.set("Mixed-Case", VALUE, tags={})
    assert (await vault.get("mixed-case")).version == made.version
    assert len((await vault.versions("MIXED-CASE")).items) == 1


async def test_a_day_before_which_a_version_is_not_valid_is_read(
    store: Vault, client: SecretClient, vaults: LocalVaults
) -> None:
    """Key Vault reads it out all the same: "About Azure Key Vault secrets", Secret attributes."""
    begins = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    await client.set_secret("later", "value", not_before=begins)
    assert (await store.get("later")).not_before == begins
    written = await store.set("later", VALUE, tags={})
    assert written.not_before is None, "what is written after a rotation is valid at once"
