"""`python -m tests.foreign_clients.azure_clients.arm ARM_URL ACCOUNT_ID`: azure-mgmt-storage at the local ARM."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AioManagedIdentityCredential
from azure.mgmt.storage import StorageManagementClient
from azure.mgmt.storage.aio import StorageManagementClient as AioStorageManagementClient

from tests.foreign_clients.steps import refused, tried

AUDIENCE = "https://management.azure.com/.default"
ELSEWHERE = "https://vault.azure.net/.default"


def steps(url: str, account: str) -> dict[str, Callable[[], object]]:
    """account: its ARM id; there is one, with two keys."""
    _, _, subscription, _, group, *_, name = account.split("/")
    options: dict[str, Any] = {"base_url": url, "credential_scopes": [AUDIENCE]}
    identity = ManagedIdentityCredential()
    accounts = StorageManagementClient(identity, subscription, **options).storage_accounts
    strangers = StorageManagementClient(identity, subscription, base_url=url, credential_scopes=[ELSEWHERE])

    def keys() -> dict[str, Any]:
        return {key.key_name: key for key in accounts.list_keys(group, name).keys_property}

    def regenerated(which: str) -> bool:
        before = keys()
        answered = {key.key_name: key for key in accounts.regenerate_key(group, name, {"keyName": which}).keys_property}
        after = keys()
        [other] = {"key1", "key2"} - {which}
        return bool(
            answered[which].value == after[which].value != before[which].value
            and after[other].value == before[other].value
            and after[which].creation_time >= before[which].creation_time
        )

    async def asynchronously() -> bool:
        async with (
            AioManagedIdentityCredential() as own,
            AioStorageManagementClient(own, subscription, **options) as client,
        ):
            listed = await client.storage_accounts.list_keys(group, name)
            made = await client.storage_accounts.regenerate_key(group, name, {"keyName": "key2"})
        return {key.value for key in listed.keys_property} != {key.value for key in made.keys_property}

    def known() -> bool:
        told = accounts.get_properties(group, name)
        return bool(told.id == account and told.name == name and told.primary_endpoints.blob.endswith(f"/{name}/"))

    return {
        "get_properties": known,
        "list_keys": lambda: sorted(keys()) == ["key1", "key2"],
        "list_keys: what is told of a key": lambda: all(
            key.permissions.upper() == "FULL" and key.creation_time for key in keys().values()
        ),
        "list_keys: names in another case": lambda: bool(accounts.list_keys(group.upper(), name.upper()).keys_property),
        "regenerate_key key1": lambda: regenerated("key1"),
        "regenerate_key key2": lambda: regenerated("key2"),
        "regenerate_key: no such key": lambda: (
            refused(lambda: accounts.regenerate_key(group, name, {"keyName": "key3"}), HttpResponseError).status_code
            == 400
        ),
        "list_keys: no such account": lambda: (
            refused(lambda: accounts.list_keys(group, "none"), ResourceNotFoundError).error.code == "ResourceNotFound"
        ),
        "regenerate_key: no such account": lambda: (
            refused(
                lambda: accounts.regenerate_key(group, "none", {"keyName": "key1"}), ResourceNotFoundError
            ).error.code
            == "ResourceNotFound"
        ),
        "list_keys: a token that is meant for another service": lambda: (
            refused(lambda: strangers.storage_accounts.list_keys(group, name), ClientAuthenticationError).status_code
            == 401
        ),
        "list_keys and regenerate_key of the asynchronous client": lambda: asyncio.run(asynchronously()),
    }


if __name__ == "__main__":
    sys.exit(tried("azure-mgmt-storage", steps(*sys.argv[1:])).printed())
