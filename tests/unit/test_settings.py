"""What the app makes of its settings, beyond the mistakes that the start refuses."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from handlers.settings import Settings, from_environment
from handlers.start import load_policy
from rotation.errors import Misconfigured

ENOUGH = {"ROTATION_VAULTS": "https://kv-a.vault.azure.net", "ROTATION_LEDGER": "file:l", "ROTATION_HTTP_AUTH": "key"}
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-app"


def settings(more: Mapping[str, str], root: Path = Path()) -> Settings:
    return from_environment(ENOUGH | dict(more), root)


@pytest.mark.parametrize(
    ("more", "account"),
    [
        ({}, None),
        ({"AzureWebJobsStorage__accountName": "stapp"}, "stapp"),
        ({"AzureWebJobsStorage__blobServiceUri": "https://stapp.blob.core.windows.net"}, "stapp"),
        ({"AzureWebJobsStorage__queueServiceUri": "https://stapp.queue.core.chinacloudapi.cn/"}, "stapp"),
        ({"AzureWebJobsStorage__queueServiceUri": "https://localhost:10001/devstoreaccount1"}, None),
    ],
)
def test_the_app_knows_its_own_storage_account_by_a_name_or_by_an_address(
    more: Mapping[str, str], account: str | None
) -> None:
    assert settings(more).storage_account == account


def test_a_policy_that_covers_the_account_of_an_address_is_refused(tmp_path: Path) -> None:
    account = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stapp"
    (tmp_path / "policy.toml").write_text(
        '[[rule]]\nvaults = ["kv-a"]\nsecrets = ["*"]\nrotators = ["storage-key"]\n'
        f'targets = ["{account}"]\nslots = ["key1", "key2"]\n'
    )
    own = {"AzureWebJobsStorage__blobServiceUri": "https://stapp.blob.core.windows.net"}
    with pytest.raises(Misconfigured, match="its own storage"):
        load_policy(settings(own, tmp_path))
