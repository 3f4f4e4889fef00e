"""The function app, as previewed: its settings are what the app reads, and nobody comes in who should not."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.settings import from_environment
from handlers.callers import Role
from rotation.errors import Misconfigured
from tests.infra.compiled import EXAMPLES, INFRA, ROOT
from tests.infra.preview import CLOUDS, Preview

SMALL, ENTERPRISE = Preview("small"), Preview("enterprise")
BOTH = pytest.mark.parametrize("preview", [SMALL, ENTERPRISE], ids=EXAMPLES)
# What others than the app read: the Functions host, Application Insights in the Python worker, azure-identity.
OTHERS = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__clientId", "AzureWebJobsStorage__credential", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME",
}  # fmt: skip
# What the platform sets by itself, what the app is given another setting for, and what is the same in every cloud:
# Azure DevOps Server takes no tokens of Entra, so there is one Azure DevOps.
OTHERWISE = {
    "WEBSITE_AUTH_ENABLED", "WEBSITE_SITE_NAME", "AzureWebJobsStorage__accountName", "PYTHON_ENABLE_OPENTELEMETRY",
    "ROTATION_DEVOPS_ENDPOINT",
}  # fmt: skip


class Watched(dict[str, str]):
    """Settings that remember which of them were looked for."""

    asked: set[str]

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)


def unsettled(settings: Mapping[str, str]) -> Iterator[str]:
    """Where the settings of a deployment are not those that its app reads, a line each."""
    watched = Watched(settings, WEBSITE_AUTH_ENABLED="True")
    watched.asked = set()
    try:
        from_environment(watched, ROOT)
    except Misconfigured as error:
        yield str(error)
        return
    yield from (f"{name} is set, and nobody reads it" for name in sorted(settings.keys() - watched.asked - OTHERS))
    yield from (f"{name} is not set" for name in sorted((watched.asked | OTHERS) - settings.keys() - OTHERWISE))


@BOTH
def test_the_settings_are_those_that_the_app_reads_and_no_others(preview: Preview) -> None:
    assert list(unsettled(preview.settings())) == []


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_the_app_starts_with_the_settings_that_are_deployed(example: str, cloud: str) -> None:
    preview = Preview(example, cloud=cloud)
    settings = preview.settings()
    read_back = from_environment({**settings, "WEBSITE_AUTH_ENABLED": "True"}, ROOT)
    accounts = {one["name"]: one["id"] for one in preview.every("Storage/storageAccounts")}
    (ledger,) = [name for name in accounts if name.startswith("stl")]
    (host,) = accounts.keys() - {ledger}
    its = CLOUDS[cloud]
    assert read_back.queue_service == f"https://{host}.queue.{its['storage']}"
    assert read_back.storage_account == host
    assert read_back.ledger == f"https://{ledger}.blob.{its['storage']}/ledger"
    assert sorted(read_back.own_accounts) == sorted(accounts.values()), "no rule may cover what the app lives on"
    assert f"{read_back.endpoints.arm}/" == its["arm"]
    assert all(url.endswith(its["vault"]) for url in read_back.vaults.values())
    assert read_back.http_auth == "entra"


@BOTH
def test_the_host_signs_in_by_the_identity_and_no_setting_pretends_to_be_the_platform_s(preview: Preview) -> None:
    found = preview.settings()
    assert found["AzureWebJobsStorage__credential"] == "managedidentity"
    assert found["AzureWebJobsStorage__clientId"] == found["AZURE_CLIENT_ID"]
    assert not {name for name in found if name.startswith(("WEBSITE_", "FUNCTIONS_"))}
    assert "AzureWebJobsStorage" not in found


def test_the_app_runs_on_flex_consumption_with_python_3_13_by_its_own_identity() -> None:
    assert ENTERPRISE.one("Web/serverfarms")["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
    identity = ENTERPRISE.one("ManagedIdentity/userAssignedIdentities")["id"]
    config = ENTERPRISE.one("Web/sites")["properties"]["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert config["deployment"]["storage"]["authentication"] == {
        "type": "UserAssignedIdentity", "userAssignedIdentityResourceId": identity,
    }  # fmt: skip
    assert config["scaleAndConcurrency"]["maximumInstanceCount"] == 100
    assert list(ENTERPRISE.one("Web/sites")["identity"]["userAssignedIdentities"]) == [identity]


@BOTH
def test_the_app_speaks_tls_from_version_1_2_only_and_takes_no_passwords(preview: Preview) -> None:
    properties = preview.one("Web/sites")["properties"]
    site = properties["siteConfig"]
    assert properties["httpsOnly"] is True
    assert (site["minTlsVersion"], site["scmMinTlsVersion"], site["remoteDebuggingEnabled"]) == ("1.2", "1.2", False)
    passwords = preview.every("Web/sites/basicPublishingCredentialsPolicies")
    assert {one["id"].rpartition("/")[2]: one["properties"]["allow"] for one in passwords} == {
        "ftp": False, "scm": False,
    }  # fmt: skip


@BOTH
def test_nobody_comes_in_without_a_token_but_to_health_and_the_webhook(preview: Preview) -> None:
    sign_in = preview.one("Web/sites/config", "/authsettingsV2")["properties"]
    assert sign_in["platform"]["enabled"] is True
    assert sign_in["globalValidation"] == {
        "requireAuthentication": True, "unauthenticatedClientAction": "Return401",
        "excludedPaths": ["/api/health", "/runtime/webhooks/eventgrid", "/runtime/webhooks/EventGrid"],
    }  # fmt: skip
    assert sign_in["httpSettings"] == {"requireHttps": True}


def test_the_app_registration_has_the_roles_that_the_app_asks_for() -> None:
    roles = json.loads((INFRA / "app-roles.json").read_text())
    assert {role["value"] for role in roles} == {role.value for role in Role}
    assert len({role["id"] for role in roles}) == len(roles)
