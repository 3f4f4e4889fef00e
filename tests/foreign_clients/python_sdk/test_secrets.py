"""What Key Vault's SDK for Python tries of secrets, in each version of the API, with its two clients.

Models: Azure/azure-sdk-for-python, sdk/keyvault/azure-keyvault-secrets/tests. Written anew.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from tests.foreign_clients.place import Place
from tests.foreign_clients.python_sdk.clients import Asked

STARTS = datetime(2015, 2, 2, 8, tzinfo=UTC)
ENDS = datetime(2050, 2, 2, 8, tzinfo=UTC)
SEVERAL = 7
TRIES, LOOKS_EVERY_S = 400, 0.05

model = pytest.mark.model


def told(properties: Any) -> tuple[Any, ...]:
    """What must be the same wherever a version is told of."""
    fields = (
        "name", "vault_url", "content_type", "enabled", "not_before", "expires_on", "created_on", "updated_on",
        "recovery_level", "recoverable_days", "key_id", "tags",
    )  # fmt: skip
    return tuple(getattr(properties, field) for field in fields)


async def until(
    ask: Callable[[], Awaitable[Any]], passing: type[AzureError] | None = None, ends: type[AzureError] | None = None
) -> Any:
    """Ask again while it is refused with `passing`, or while it is answered and should end with `ends`."""
    for _ in range(TRIES):
        try:
            answer = await ask()
        except AzureError as refused:
            if ends is not None and isinstance(refused, ends):
                return None
            if passing is None or not isinstance(refused, passing):
                raise
        else:
            if ends is None:
                return answer
        await asyncio.sleep(LOOKS_EVERY_S)
    pytest.fail("it stayed as it was")


async def several(client: Asked, name: str) -> dict[str, Any]:
    """Some new secrets, by name."""
    return {one: await client.call("set_secret", one, f"of {one}") for one in (f"{name}-{n}" for n in range(SEVERAL))}


@model("test_secrets_client.py::test_secret_crud_operations, test_secrets_async.py::test_secret_crud_operations")
async def test_a_secret_is_set_with_all_it_may_have_and_read_back(versioned: Asked, name: str) -> None:
    first = await versioned.call("set_secret", name, "one-7Qx2Lm")
    given: dict[str, Any] = {"content_type": "password", "not_before": STARTS, "expires_on": ENDS}
    given |= {"tags": {"foo": "created tag"}, "enabled": True}

    made = await versioned.call("set_secret", name, "another-7Qx2Lm", **given)

    assert first.id.startswith(f"{versioned.vault_url}/secrets/{name}/")
    assert (made.value, made.properties.version != first.properties.version) == ("another-7Qx2Lm", True)
    assert {field: getattr(made.properties, field) for field in given} == given
    assert made.properties.created_on == made.properties.updated_on
    latest = await versioned.call("get_secret", name)
    named = await versioned.call("get_secret", name, made.properties.version)
    assert latest.id == named.id == made.id
    assert told(latest.properties) == told(named.properties) == told(made.properties)
    assert (await versioned.call("get_secret", name, first.properties.version)).value == "one-7Qx2Lm"


@model(
    "test_secrets_client.py::test_secret_crud_operations, test_samples_secrets.py::test_example_secret_crud_operations"
)
async def test_a_version_is_updated_and_its_secret_deleted(versioned: Asked, name: str, place: Place) -> None:
    made = await versioned.call("set_secret", name, "a-7Qx2Lm", expires_on=STARTS, tags={"foo": "1", "bar": "2"})
    place.vaults.clock.shift(2)
    given = {"content_type": "text/plain", "expires_on": ENDS, "tags": {"foo": "updated"}, "enabled": False}

    updated = await versioned.call("update_secret_properties", name, made.properties.version, **given)

    assert {field: getattr(updated, field) for field in given} == given
    assert (updated.id, updated.created_on) == (made.id, made.properties.created_on)
    assert updated.updated_on > made.properties.updated_on
    deleted = await versioned.delete(name)
    assert (deleted.name, deleted.recovery_id) == (name, f"{versioned.vault_url}/deletedsecrets/{name}")
    assert deleted.scheduled_purge_date > deleted.deleted_date
    with pytest.raises(ResourceNotFoundError):
        await versioned.call("get_secret", name)


@model("test_secrets_client.py::test_secret_list, test_secrets_async.py::test_secret_list")
async def test_secrets_are_listed_over_several_pages(versioned: Asked, name: str) -> None:
    made = await several(versioned, name)

    pages = await versioned.pages("list_properties_of_secrets", max_page_size=SEVERAL - 1)

    assert len(pages) > 1
    assert all(len(page) <= SEVERAL - 1 for page in pages)
    listed = {one.name: one for page in pages for one in page}
    assert {one: told(listed[one]) for one in made} == {one: told(secret.properties) for one, secret in made.items()}


@model("test_secrets_client.py::test_list_versions, test_secrets_async.py::test_list_versions")
async def test_versions_are_listed_over_several_pages(versioned: Asked, name: str) -> None:
    made = {}
    for number in range(SEVERAL):
        secret = await versioned.call("set_secret", name, f"value {number}")
        made[secret.id] = told(secret.properties)

    pages = await versioned.pages("list_properties_of_secret_versions", name, max_page_size=SEVERAL - 1)

    assert [len(page) for page in pages] == [SEVERAL - 1, 1]
    assert {one.id: told(one) for page in pages for one in page} == made


@model("test_secrets_client.py::test_list_deleted_secrets, test_secrets_async.py::test_list_deleted_secrets")
async def test_deleted_secrets_are_listed_with_what_they_were(versioned: Asked, name: str) -> None:
    made = await several(versioned, name)
    for one in made:
        await versioned.delete(one)

    listed = {one.name: one for one in await versioned.every("list_deleted_secrets")}

    for one, secret in made.items():
        assert told(listed[one].properties) == told(secret.properties)
        assert listed[one].recovery_id == f"{versioned.vault_url}/deletedsecrets/{one}"
        assert listed[one].deleted_date < listed[one].scheduled_purge_date


@model("test_secrets_client.py::test_backup_restore, test_secrets_async.py::test_backup_restore")
async def test_a_backup_is_restored_after_the_secret_was_purged(versioned: Asked, name: str) -> None:
    first = await versioned.call("set_secret", name, "one-7Qx2Lm", tags={"a": "b"})
    second = await versioned.call("set_secret", name, "another-7Qx2Lm")
    backup = await versioned.call("backup_secret", name)
    await versioned.delete(name)
    await versioned.call("purge_deleted_secret", name)

    restored = await until(lambda: versioned.call("restore_secret_backup", backup), passing=ResourceExistsError)

    assert isinstance(backup, bytes)
    assert told(restored) == told(second.properties)
    old = await until(
        lambda: versioned.call("get_secret", name, first.properties.version), passing=ResourceNotFoundError
    )
    assert (old.value, old.properties.tags) == ("one-7Qx2Lm", {"a": "b"})


@model("test_secrets_client.py::test_recover, test_secrets_async.py::test_recover")
async def test_deleted_secrets_are_recovered_as_they_were(versioned: Asked, name: str) -> None:
    made = await several(versioned, name)
    for one in made:
        await versioned.delete(one)
    assert set(made) <= {one.name for one in await versioned.every("list_deleted_secrets")}

    for one in made:
        assert (await versioned.recover(one)).name == one

    for one, secret in made.items():
        found = await versioned.call("get_secret", one)
        assert (found.value, told(found.properties)) == (secret.value, told(secret.properties))
    assert not set(made) & {one.name for one in await versioned.every("list_deleted_secrets")}


@model("test_secrets_client.py::test_purge, test_secrets_async.py::test_purge")
async def test_purged_secrets_are_gone_for_good(versioned: Asked, name: str) -> None:
    made = await several(versioned, name)
    for one in made:
        await versioned.delete(one)
        await versioned.call("purge_deleted_secret", one)

    for one in made:
        await until(lambda gone=one: versioned.call("get_deleted_secret", gone), ends=ResourceNotFoundError)  # type: ignore[misc]

    assert not set(made) & {one.name for one in await versioned.every("list_deleted_secrets")}
    again = await until(lambda: versioned.call("set_secret", next(iter(made)), "anew"), passing=ResourceExistsError)
    assert [one.id for one in await versioned.every("list_properties_of_secret_versions", again.name)] == [again.id]


@model("test_samples_secrets.py::test_example_secret_list_operations")
async def test_the_versions_of_a_name_that_is_not_there_are_none(versioned: Asked, name: str) -> None:
    assert await versioned.every("list_properties_of_secret_versions", name) == []


@model("test_samples_secrets.py::test_example_secrets_recover")
async def test_a_deleted_secret_is_told_of_without_its_value(versioned: Asked, name: str) -> None:
    made = await versioned.call("set_secret", name, "a-7Qx2Lm", content_type="text/plain")
    await versioned.delete(name)

    deleted = await versioned.call("get_deleted_secret", name)

    assert (deleted.name, deleted.id) == (name, made.id)
    assert told(deleted.properties) == told(made.properties)
    assert not hasattr(deleted, "value")
