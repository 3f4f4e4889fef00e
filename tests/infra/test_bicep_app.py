"""The function app: its settings are what the app reads, and nobody comes in who should not."""

import json
import re

from handlers.callers import Role
from handlers.settings import from_environment
from tests.infra.bicep import INFRA, ROOT, Computed, Value, at, read
from tests.infra.promised import holds

MAIN = read(INFRA / "main.bicep")
APP = read(INFRA / "modules/function-app.bicep")
STORAGE = (
    "/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts"
)


def settings() -> dict[str, Value]:
    """The app settings, as the module writes them."""
    text = APP.variables["settings"].value
    assert isinstance(text, Computed)
    found: dict[str, Value] = dict(re.findall(r"^\s+(\w+): (.+)$", text.text, re.MULTILINE))
    return found | dict(re.findall(r"\{ (\w+): (\w+) \}", text.text))


def test_the_app_starts_with_the_settings_that_are_deployed() -> None:
    answers = {
        "ROTATION_VAULTS": "https://kv-a.vault.azure.net,https://kv-b.vault.azure.net",
        "ROTATION_LEDGER": "https://stlkeyturn.blob.core.windows.net/ledger",
        "ROTATION_HTTP_AUTH": "entra",
        "ROTATION_SWEEP_SCHEDULE": str(MAIN.params["sweepSchedule"].value),
        "ROTATION_OUTCOME_TOPIC": "https://evgt.westeurope-1.eventgrid.azure.net/api/events",
        "ROTATION_OWN_ACCOUNTS": f"{STORAGE}/stkeyturn,{STORAGE}/stlkeyturn",
        "ROTATION_POLICY": "policy.toml",
        "ROTATION_ARM_ENDPOINT": "https://management.azure.com/",
        "ROTATION_GRAPH_ENDPOINT": "https://graph.microsoft.com",
        "ROTATION_POSTGRES_SCOPE": "https://ossrdbms-aad.database.windows.net/.default",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
        "AZURE_CLIENT_ID": "44444444-4444-4444-4444-444444444444",
        "AzureWebJobsStorage__blobServiceUri": "https://stkeyturn.blob.core.windows.net",
        "AzureWebJobsStorage__queueServiceUri": "https://stkeyturn.queue.core.windows.net",
    }
    assert answers.keys() <= settings().keys()
    read_back = from_environment(answers | {"WEBSITE_AUTH_ENABLED": "True"}, ROOT)
    assert read_back.queue_service == "https://stkeyturn.queue.core.windows.net"
    assert read_back.storage_account == "stkeyturn"
    assert read_back.own_accounts == (f"{STORAGE}/stkeyturn", f"{STORAGE}/stlkeyturn")
    assert read_back.endpoints.arm == "https://management.azure.com"


def test_every_setting_that_the_app_reads_is_deployed() -> None:
    source = (ROOT / "handlers" / "settings.py").read_text()
    reads = set(re.findall(r'"((?:ROTATION|AZURE|AzureWebJobs)_?\w+)"', source))
    assert reads - settings().keys() == {"AzureWebJobsStorage__accountName"}  # what the two URIs stand for


def test_the_app_is_told_of_every_storage_account_that_it_lives_on() -> None:
    assert settings()["ROTATION_OWN_ACCOUNTS"] == "join(ownAccountIds, ',')"
    told = at(MAIN.modules["app"].body, "params.ownAccountIds")
    assert told == [Computed("hostStorageId"), Computed("ledgerStorageId")]
    made = {at(one.body, "params.name") for one in MAIN.modules.values() if one.type == "modules/storage.bicep"}
    ids = {str(MAIN.variables[name].value) for name in ("hostStorageId", "ledgerStorageId")}
    assert made == {Computed("hostAccount"), Computed("ledgerAccount")}
    assert all(any(f"/storageAccounts/${{{one.text}}}'" in told for told in ids) for one in made)  # type: ignore[union-attr]


def test_the_host_signs_in_by_the_identity_and_no_setting_pretends_to_be_the_platform_s() -> None:
    found = settings()
    assert found["AzureWebJobsStorage__credential"] == "'managedidentity'"
    assert found["AzureWebJobsStorage__clientId"] == found["AZURE_CLIENT_ID"] == "identityClientId"
    assert not {name for name in found if name.startswith(("WEBSITE_", "FUNCTIONS_"))}
    assert "AzureWebJobsStorage" not in found


def test_the_app_runs_on_flex_consumption_with_python_3_13_by_its_own_identity() -> None:
    assert at(APP.resources["plan"].body, "sku") == {"name": "FC1", "tier": "FlexConsumption"}
    holds(APP, "site", functionAppConfig__runtime={"name": "python", "version": "3.13"})
    holds(APP, "site", functionAppConfig__deployment__storage__authentication={
        "type": "UserAssignedIdentity", "userAssignedIdentityResourceId": Computed("identityId"),
    })  # fmt: skip
    holds(APP, "site", functionAppConfig__scaleAndConcurrency={
        "alwaysReady": Computed("alwaysReady"), "maximumInstanceCount": Computed("maximumInstances"),
        "instanceMemoryMB": Computed("instanceMemoryMB"),
    })  # fmt: skip


def test_the_app_speaks_tls_from_version_1_2_only_and_takes_no_passwords() -> None:
    holds(APP, "site", httpsOnly=True)
    holds(APP, "site", siteConfig__minTlsVersion="1.2", siteConfig__scmMinTlsVersion="1.2")
    holds(APP, "site", siteConfig__remoteDebuggingEnabled=False)
    passwords = APP.resources["passwords"]
    assert (passwords.over, at(passwords.body, "properties.allow")) == ("['ftp', 'scm']", False)


def test_nobody_comes_in_without_a_token_but_to_health_and_the_webhook() -> None:
    holds(APP, "signIn", globalValidation__excludedPaths=[
        "/api/health", "/runtime/webhooks/eventgrid", "/runtime/webhooks/EventGrid",
    ])  # fmt: skip
    entra = Computed("httpAuth == 'entra'")
    holds(APP, "signIn", platform__enabled=entra, globalValidation__requireAuthentication=entra)
    holds(APP, "signIn", globalValidation__unauthenticatedClientAction="Return401", httpSettings__requireHttps=True)
    assert MAIN.params["httpAuth"].value == "entra"
    assert "fail('entraClientId is missing" in str(MAIN.variables["clientId"].value)


def test_the_app_registration_has_the_roles_that_the_app_asks_for() -> None:
    roles = json.loads((INFRA / "app-roles.json").read_text())
    assert {role["value"] for role in roles} == {role.value for role in Role}
    assert len({role["id"] for role in roles}) == len(roles)
