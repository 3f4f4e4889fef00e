"""The secrets surface, as an unmodified SDK client sees it."""

import asyncio
import gc
import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AioSecretClient

from local.certificates import Certificates
from local.vault import LocalVaults
from tests.integration.vault_fixtures import OTHER_VAULT, VAULT, Rest, aio_client, eventually

SOON = datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)


async def test_the_sync_client_does_all_it_can_do(
    vaults: LocalVaults, identity: None, certificates: Certificates
) -> None:
    def work() -> None:
        with (
            ManagedIdentityCredential() as credential,
            SecretClient(
                vaults.urls[VAULT],
                credential,
                verify_challenge_resource=False,
                connection_verify=str(certificates.ca),
            ) as client,
        ):
            made = client.set_secret("orders-db", "first", tags={"rotator": "postgres"}, content_type="text/plain")
            assert client.get_secret("orders-db").value == "first"
            changed = client.update_secret_properties("orders-db", made.properties.version, expires_on=SOON)
            assert changed.expires_on == SOON
            client.set_secret("orders-db", "second")
            assert len(list(client.list_properties_of_secret_versions("orders-db"))) == 2
            assert [one.name for one in client.list_properties_of_secrets()] == ["orders-db"]
            backup = client.backup_secret("orders-db")
            client.begin_delete_secret("orders-db", _polling_interval=0).wait()
            assert [one.name for one in client.list_deleted_secrets()] == ["orders-db"]
            client.begin_recover_deleted_secret("orders-db", _polling_interval=0).wait()
            assert client.get_secret("orders-db").value == "second"
            client.begin_delete_secret("orders-db", _polling_interval=0).wait()
            client.purge_deleted_secret("orders-db")
            time.sleep(0.3)  # until it is purged: the SDK has no poller for that
            client.restore_secret_backup(backup)
            assert client.get_secret("orders-db", made.properties.version).value == "first"

    await asyncio.to_thread(work)
    gc.collect()  # what the client polled and was refused holds on to its connection


async def test_a_new_secret_has_all_that_the_service_tells_of_one(vaults: LocalVaults, client: AioSecretClient) -> None:
    starts = SOON - timedelta(days=9)
    before = datetime.now(UTC).replace(microsecond=0)

    made = await client.set_secret(
        "db", "pässword", tags={"a": "1"}, content_type="text/plain", not_before=starts, expires_on=SOON, enabled=True
    )

    properties = made.properties
    assert made.value == "pässword"
    assert re.fullmatch(rf"{re.escape(vaults.urls[VAULT])}/secrets/db/[0-9a-f]{{32}}", made.id or "")
    assert (properties.enabled, properties.not_before, properties.expires_on) == (True, starts, SOON)
    assert (properties.tags, properties.content_type) == ({"a": "1"}, "text/plain")
    assert properties.recovery_level == "Recoverable+Purgeable"
    assert properties.recoverable_days == 90
    assert properties.created_on is not None
    assert before <= properties.created_on == properties.updated_on


async def test_the_latest_version_is_the_one_written_last_even_within_one_second(client: AioSecretClient) -> None:
    for number in range(30):
        made = await client.set_secret("db", f"value {number}")
        latest = await client.get_secret("db")
        assert (latest.value, latest.properties.version) == (f"value {number}", made.properties.version)


async def test_a_name_is_found_in_any_case_and_keeps_the_case_it_was_made_with(client: AioSecretClient) -> None:
    await client.set_secret("Orders-DB", "one")
    await client.set_secret("orders-db", "two")

    found = await client.get_secret("ORDERS-db")

    assert (found.name, found.value) == ("Orders-DB", "two")
    assert [one.name async for one in client.list_properties_of_secrets()] == ["Orders-DB"]


async def test_one_vault_does_not_see_the_secrets_of_another(
    vaults: LocalVaults, client: AioSecretClient, session: aiohttp.ClientSession
) -> None:
    await client.set_secret("db", "one")
    async with aio_client(vaults.urls[OTHER_VAULT], session) as other:
        with pytest.raises(ResourceNotFoundError):
            await other.get_secret("db")


async def test_listings_tell_no_value_and_only_the_latest_version(rest: Rest) -> None:
    for value in ("hidden-1", "hidden-2"):
        await rest("PUT", "/secrets/db", json={"value": value, "tags": {"t": value[-1]}})

    status, body, _ = await rest("GET", "/secrets")

    assert status == 200
    assert [(item["id"], item["tags"]) for item in body["value"]] == [(f"{rest.url}/secrets/db", {"t": "2"})]
    assert "hidden" not in str(body)
    assert body["nextLink"] is None


async def test_the_list_of_secrets_has_pages_of_25_with_a_link_to_the_next(rest: Rest, client: AioSecretClient) -> None:
    names = {f"secret-{number}" for number in range(60)}
    for name in names:
        await rest("PUT", f"/secrets/{name}", json={"value": "x"})

    sizes = [len([item async for item in page]) async for page in client.list_properties_of_secrets().by_page()]
    listed = {item.name async for item in client.list_properties_of_secrets()}
    small = [
        [item async for item in page] async for page in client.list_properties_of_secrets(max_page_size=7).by_page()
    ]

    assert sizes == [25, 25, 10]
    assert listed == names
    assert [len(page) for page in small] == [7] * 8 + [4]
    _, body, _ = await rest("GET", "/secrets")
    assert body["nextLink"].startswith(f"{rest.url}/secrets?")
    assert "skiptoken=" in body["nextLink"]


async def test_versions_come_in_pages_of_25_and_not_in_the_order_they_were_made(
    rest: Rest, client: AioSecretClient
) -> None:
    made = [(await rest("PUT", "/secrets/db", json={"value": "x"}))[1]["id"].rpartition("/")[2] for _ in range(60)]

    pages = client.list_properties_of_secret_versions("db").by_page()
    listed = [[item.version async for item in page] async for page in pages]

    assert [len(page) for page in listed] == [25, 25, 10]
    flat = [version for page in listed for version in page]
    assert set(flat) == set(made)
    assert flat != made


async def test_the_versions_of_an_unknown_secret_are_none(client: AioSecretClient) -> None:
    assert [one async for one in client.list_properties_of_secret_versions("nobody")] == []


async def test_an_update_replaces_tags_as_a_whole_and_leaves_what_it_does_not_name(client: AioSecretClient) -> None:
    made = await client.set_secret("db", "kept", tags={"a": "1", "b": "2"}, content_type="text/plain", expires_on=SOON)

    changed = await client.update_secret_properties("db", made.properties.version, tags={"c": "3"})
    untouched = await client.update_secret_properties("db", enabled=True)

    assert changed.tags == untouched.tags == {"c": "3"}
    assert (untouched.content_type, untouched.expires_on) == ("text/plain", SOON)
    assert (await client.get_secret("db")).value == "kept"


async def test_an_update_without_a_version_changes_the_latest(client: AioSecretClient) -> None:
    first = await client.set_secret("db", "one")
    second = await client.set_secret("db", "two")

    changed = await client.update_secret_properties("db", tags={"which": "latest"})

    assert changed.version == second.properties.version
    assert (await client.get_secret("db", first.properties.version)).properties.tags is None


async def test_an_update_is_seen_in_its_time_not_in_its_creation(vaults: LocalVaults, client: AioSecretClient) -> None:
    made = await client.set_secret("db", "x")
    vaults.clock.shift(60)

    changed = await client.update_secret_properties("db", enabled=False)

    assert changed.created_on == made.properties.created_on
    assert changed.updated_on is not None
    assert made.properties.updated_on is not None
    assert changed.updated_on - made.properties.updated_on >= timedelta(seconds=60)


async def test_a_version_is_read_before_its_time_and_after_it(client: AioSecretClient) -> None:
    await client.set_secret("early", "x", not_before=SOON)
    await client.set_secret("late", "y", expires_on=datetime(2020, 1, 1, tzinfo=UTC))

    assert (await client.get_secret("early")).value == "x"
    assert (await client.get_secret("late")).value == "y"


async def test_a_deleted_secret_is_gone_until_it_is_recovered(client: AioSecretClient) -> None:
    made = await client.set_secret("db", "x", tags={"a": "1"})

    deleted = await client.delete_secret("db", _polling_interval=0)

    assert deleted.properties.version == made.properties.version
    assert deleted.recovery_id == f"{client.vault_url}/deletedsecrets/db"
    assert deleted.deleted_date is not None
    assert deleted.scheduled_purge_date == deleted.deleted_date + timedelta(days=90)
    assert [one async for one in client.list_properties_of_secrets()] == []
    assert [one async for one in client.list_properties_of_secret_versions("db")] == []
    assert [one.name async for one in client.list_deleted_secrets()] == ["db"]
    assert (await client.get_deleted_secret("db")).properties.tags == {"a": "1"}
    with pytest.raises(ResourceNotFoundError):
        await client.get_secret("db")
    with pytest.raises(ResourceExistsError, match="deleted but recoverable"):
        await client.set_secret("db", "y")
    await client.recover_deleted_secret("db", _polling_interval=0)
    assert (await client.get_secret("db")).value == "x"
    assert [one async for one in client.list_deleted_secrets()] == []


async def test_a_deleted_secret_is_purged_when_its_days_are_over(vaults: LocalVaults, client: AioSecretClient) -> None:
    await client.set_secret("db", "x")
    await client.delete_secret("db", _polling_interval=0)

    vaults.clock.shift(91 * 86_400)

    async def gone() -> bool:
        return [one async for one in client.list_deleted_secrets()] == []

    await eventually(gone)
    assert (await client.set_secret("db", "the name is free again")).name == "db"


async def test_a_backup_hides_its_values_and_restores_every_version(
    vaults: LocalVaults, client: AioSecretClient
) -> None:
    first = await client.set_secret("db", "plain-first")
    await client.set_secret("db", "plain-second", tags={"a": "1"}, expires_on=SOON)

    backup = await client.backup_secret("db")

    assert b"plain" not in backup
    with pytest.raises(ResourceExistsError):
        await client.restore_secret_backup(backup)
    await client.delete_secret("db", _polling_interval=0)
    await client.purge_deleted_secret("db")
    vaults.clock.shift(1)
    restored = await client.restore_secret_backup(backup)
    assert (restored.tags, restored.expires_on) == ({"a": "1"}, SOON)
    assert (await client.get_secret("db")).value == "plain-second"
    assert (await client.get_secret("db", first.properties.version)).value == "plain-first"


async def test_every_answer_carries_the_vaults_clock_and_the_services_headers(vaults: LocalVaults, rest: Rest) -> None:
    vaults.clock.shift(86_400)

    for method, path in (("PUT", "/secrets/db"), ("GET", "/secrets/db"), ("GET", "/secrets/no"), ("GET", "/nowhere")):
        _, _, headers = await rest(method, path, json={"value": "x"} if method == "PUT" else None)
        ahead = parsedate_to_datetime(headers["Date"]) - datetime.now(UTC)
        assert timedelta(hours=23, minutes=59) < ahead <= timedelta(hours=24)
        assert {"x-ms-request-id", "x-ms-keyvault-region", "x-ms-keyvault-service-version"} <= headers.keys()


async def test_the_client_is_challenged_once_and_then_carries_its_token(
    vaults: LocalVaults, client: AioSecretClient
) -> None:
    await client.set_secret("db", "x")
    await client.get_secret("db")

    assert [call.status for call in vaults.calls.records()] == [401, 200, 200]
