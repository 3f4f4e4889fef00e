"""Over Microsoft's SDK and a vault that speaks TLS: unmodified clients, and errors in words."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from azure.identity import ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from keyturn import (
    AsyncRotatingSecret,
    MissingSecrets,
    NoOther,
    NotReadable,
    RotatingSecret,
    VaultAway,
    WrongReference,
    require,
    variable_name,
)
from keyturn.reference import parse
from keyturn.vault import AsyncSdkReader, SdkReader, _retry_after_s
from local.vault import LocalVaults
from local.vault.faults import Fault, Kind
from local.vault.operations import Operation
from tests.integration.vault_fixtures import VAULT

OLD, NEW = "the-old-password", "the-new-password"
pytestmark = pytest.mark.usefixtures("trusted")


def address(vaults: LocalVaults, name: str = "orders-db") -> str:
    return f"{vaults.urls[VAULT]}/secrets/{name}"


async def test_threads_read_and_wait_for_another_version(
    vaults: LocalVaults, client: SecretClient, token: ManagedIdentityCredential
) -> None:
    await client.set_secret("orders-db", OLD)

    async def rotate() -> None:
        await asyncio.sleep(0.08)
        await client.set_secret("orders-db", NEW)

    with RotatingSecret(address(vaults), token) as secret:
        assert await asyncio.to_thread(lambda: secret.value) == OLD
        other, _ = await asyncio.gather(asyncio.to_thread(secret.other_than, OLD), rotate())
        assert other == NEW
        assert await asyncio.to_thread(lambda: secret.accepted) == (NEW, OLD)


async def test_asyncio_reads_and_waits_for_another_version(vaults: LocalVaults, client: SecretClient) -> None:
    await client.set_secret("orders-db", OLD)
    async with (
        AsyncManagedIdentityCredential() as credential,
        AsyncRotatingSecret(address(vaults), credential) as secret,
    ):
        assert await secret.value == OLD
        await client.set_secret("orders-db", NEW, expires_on=datetime.now(UTC) + timedelta(days=1))
        assert await secret.other_than(OLD) == NEW
        assert await secret.accepted == (NEW, OLD)


async def test_the_wait_is_bounded_and_no_error_shows_a_value(
    vaults: LocalVaults, client: SecretClient, token: ManagedIdentityCredential
) -> None:
    await client.set_secret("orders-db", OLD)
    with RotatingSecret(address(vaults), token, wait_s=0.2) as secret, pytest.raises(NoOther) as refused:
        await asyncio.to_thread(secret.other_than, OLD)
    assert OLD not in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_all_that_is_missing_is_named_at_once(
    vaults: LocalVaults, client: SecretClient, token: ManagedIdentityCredential
) -> None:
    await client.set_secret("there", OLD)
    await client.set_secret("off", OLD)
    await client.update_secret_properties("off", enabled=False)
    vault = vaults.urls[VAULT]
    with pytest.raises(MissingSecrets) as missing:
        await asyncio.to_thread(lambda: require("there", "off", "api-key", vault=vault, credential=token))
    told = str(missing.value)
    assert told.startswith("2 of 3 secrets can't be read in https://")
    assert "off (OFF): its latest version is disabled" in told
    assert "api-key (API_KEY): there is no such secret" in told
    assert set(missing.value.causes) == {"off", "api-key"}
    found = await asyncio.to_thread(lambda: require("there", vault=f"{vault}/", credential=token))
    with found["there"] as secret:
        assert secret.value == OLD


async def test_what_may_not_be_read_is_named_with_the_role(
    vaults: LocalVaults, client: SecretClient, token: ManagedIdentityCredential
) -> None:
    await client.set_secret("orders-db", OLD)
    vaults.access.deny(["get"])
    with RotatingSecret(address(vaults), token) as secret:
        with pytest.raises(NotReadable, match="Key Vault Secrets User") as refused:
            await asyncio.to_thread(lambda: secret.value)
        assert refused.value.cause == "forbidden"


async def test_a_vault_that_does_not_answer_is_away(token: ManagedIdentityCredential) -> None:
    with RotatingSecret("https://localhost:9/secrets/x", token) as secret, pytest.raises(VaultAway, match="not answer"):
        await asyncio.to_thread(lambda: secret.value)
    async with (
        AsyncManagedIdentityCredential() as credential,
        AsyncRotatingSecret("https://localhost:9/secrets/x", credential) as other,
    ):
        with pytest.raises(VaultAway, match="not answer"):
            await other.value


@pytest.mark.parametrize(
    ("vault", "checked"),
    [
        ("https://localhost:8443", False), ("https://127.0.0.1:1", False), ("https://[::1]:8443", False),
        ("https://kv.vault.azure.net", True), ("https://localhost.example", True), ("https://127.0.0.1.example", True),
        ("https://127.0.0.2", True), ("https://kv.vault.azure.net.localhost", True),
    ],
)  # fmt: skip
def test_the_challenge_is_checked_but_for_loopback_hosts(
    monkeypatch: pytest.MonkeyPatch, token: ManagedIdentityCredential, vault: str, *, checked: bool
) -> None:
    asked: list[bool] = []
    for client in ("azure.keyvault.secrets.SecretClient", "azure.keyvault.secrets.aio.SecretClient"):
        monkeypatch.setattr(client, lambda *_, verify_challenge_resource, **__: asked.append(verify_challenge_resource))
    reference = parse(f"{vault}/secrets/x")
    SdkReader(reference, token)
    AsyncSdkReader(reference, AsyncManagedIdentityCredential())
    assert asked == [checked, checked]


@pytest.mark.parametrize(("retry_after_s", "most"), [(1, 3), (None, 3)])
async def test_throttled_there_is_no_storm(
    vaults: LocalVaults,
    client: SecretClient,
    token: ManagedIdentityCredential,
    retry_after_s: int | None,
    most: int,
) -> None:
    await client.set_secret("orders-db", OLD)
    with RotatingSecret(address(vaults), token, wait_s=2.5) as secret:
        await asyncio.to_thread(lambda: secret.value)
        fault = vaults.faults.add(
            Fault(Kind.STATUS, operations=(Operation.GET,), status=429, retry_after_s=retry_after_s)
        )

        def refused() -> None:
            with pytest.raises(VaultAway, match="429"):
                secret.other_than(OLD)

        await asyncio.gather(*(asyncio.to_thread(refused) for _ in range(32)))
        assert 1 <= vaults.faults.struck(fault) <= most
        vaults.faults.clear()
        await client.set_secret("orders-db", NEW)
        await asyncio.sleep(1.3)  # what was said last holds for those who ask after that, too
        assert await asyncio.to_thread(secret.other_than, OLD) == NEW


@pytest.mark.parametrize(
    ("given", "at_least_s", "most_s"),
    [("7", 7, 7), ("-1", 0, 0), ("soon", 1, 1), (None, 1, 1), ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0)],
)
def test_how_long_a_throttled_vault_is_left_alone(given: str | None, at_least_s: float, most_s: float) -> None:
    answer = SimpleNamespace(headers={} if given is None else {"Retry-After": given})
    told = _retry_after_s(SimpleNamespace(response=answer, status_code=429))
    assert told is not None
    assert at_least_s <= told <= most_s
    if given is None:
        assert _retry_after_s(SimpleNamespace(response=answer, status_code=503)) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "orders-db", "http://kv.vault.azure.net/secrets/x", "https://kv.vault.azure.net",
        "https://kv.vault.azure.net/secrets/", "https://kv.vault.azure.net/keys/x",
        "https://kv.vault.azure.net/secrets/x/0123456789abcdef", "https://kv.vault.azure.net/secrets/x?y=1",
        "https://kv.vault.azure.net/secrets/a b", "https://user:pw@kv.vault.azure.net/secrets/x",
        "https://kv.vault.azure.net:port/secrets/x", "https://[::1/secrets/x", "@Microsoft.KeyVault(SecretUri=x)",
    ],
)  # fmt: skip
def test_a_wrong_reference_is_one_line_with_the_right_way_to_write_it(text: str) -> None:
    with pytest.raises(WrongReference) as wrong:
        RotatingSecret(text)
    assert "\n" not in str(wrong.value)
    assert "pw" not in str(wrong.value)


def test_a_vault_that_is_required_of_is_an_address() -> None:
    with pytest.raises(WrongReference):
        require("x", vault="kv-orders")
    with pytest.raises(WrongReference):
        require(vault="https://kv.vault.azure.net")
    with pytest.raises(WrongReference):
        require("a b", vault="https://kv.vault.azure.net")


def test_a_variable_has_no_hyphen() -> None:
    assert variable_name("prod-orders-db") == "PROD_ORDERS_DB"
