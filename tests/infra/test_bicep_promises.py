"""What a deployment promises, seen in the parsed files: no keys, nothing in clear, least rights, nothing lost."""

import json
import re
from collections.abc import Iterator, Mapping

import pytest

from handlers.callers import Role
from handlers.settings import QUEUE, from_environment
from tests.infra.bicep import INFRA, ROOT, Computed, Declared, File, Value, all_files, at, read
from tests.infra.deployed import Resource, deployed

FILES = all_files()
MAIN = read(INFRA / "main.bicep")
STORAGE = read(INFRA / "modules/storage.bicep")
APP = read(INFRA / "modules/function-app.bicep")
VAULT = read(INFRA / "modules/vault.bicep")
EVENTS = read(INFRA / "modules/event-subscription.bicep")
ROLES = read(INFRA / "modules/roles.bicep")
WATCHED = read(INFRA / "modules/watched-vault.bicep")
SECRET = re.compile(
    r"listKeys|listSecrets|getSecret|list\w*\(|password|accountKey|SharedAccess|primaryKey|\bsas\b", re.IGNORECASE
)


def made(kind: str) -> list[tuple[File, Declared]]:
    """Every resource of a type that is made here."""
    return [
        (file, resource)
        for file in FILES
        for resource in file.resources.values()
        if resource.type.partition("@")[0] == kind and not resource.existing
    ]


def holds(file: File, resource: str, **expected: Value) -> None:
    body = file.resources[resource].body
    for path, value in expected.items():
        found = at(body, "properties." + path.replace("__", "."))
        assert found == value, f"{file.name}, {resource}: {path} is {found}"


def test_storage_takes_identities_only() -> None:
    (one,) = made("Microsoft.Storage/storageAccounts")
    assert one[0] is STORAGE  # so that no account is made past this module
    holds(STORAGE, "account", allowSharedKeyAccess=False, allowBlobPublicAccess=False, isLocalUserEnabled=False)
    holds(STORAGE, "account", defaultToOAuthAuthentication=True, allowCrossTenantReplication=False)
    assert at(STORAGE.resources["blobContainers"].body, "properties.publicAccess") == "None"


def test_storage_speaks_tls_from_version_1_2_only() -> None:
    holds(STORAGE, "account", supportsHttpsTrafficOnly=True, minimumTlsVersion="TLS1_2")


def test_the_app_speaks_tls_from_version_1_2_only_and_takes_no_passwords() -> None:
    holds(APP, "site", httpsOnly=True)
    holds(APP, "site", siteConfig__minTlsVersion="1.2", siteConfig__scmMinTlsVersion="1.2")
    holds(APP, "site", siteConfig__remoteDebuggingEnabled=False)
    passwords = APP.resources["passwords"]
    assert (passwords.over, at(passwords.body, "properties.allow")) == ("['ftp', 'scm']", False)


def test_the_outcome_topic_and_the_telemetry_take_identities_only() -> None:
    topic, monitoring = read(INFRA / "modules/outcome-topic.bicep"), read(INFRA / "modules/monitoring.bicep")
    holds(topic, "topic", disableLocalAuth=True, minimumTlsVersionAllowed="1.2")
    holds(monitoring, "insights", DisableLocalAuth=True)
    holds(monitoring, "workspace", features__disableLocalAuth=True)


def test_a_new_vault_gives_rights_by_roles_and_loses_nothing() -> None:
    (one,) = made("Microsoft.KeyVault/vaults")
    assert one[0] is VAULT
    holds(VAULT, "vault", enableRbacAuthorization=True, enablePurgeProtection=True, enableSoftDelete=True)
    holds(VAULT, "vault", softDeleteRetentionInDays=90)


def test_every_vault_tells_log_analytics_who_read_and_wrote() -> None:
    audit = read(INFRA / "modules/vault-audit.bicep").resources["audit"].body
    assert at(audit, "properties.logs") == [{"category": "AuditEvent", "enabled": True}]
    assert at(audit, "properties.logAnalyticsDestinationType") == "Dedicated"
    audited = WATCHED.modules["audit"]
    assert (audited.type, audited.condition, audited.over) == ("vault-audit.bicep", None, None)
    assert (MAIN.modules["watchedVaults"].over, MAIN.modules["watchedVaults"].condition) == ("allVaults", None)


def test_only_a_vault_that_is_asked_for_is_made_and_each_has_one_topic() -> None:
    assert WATCHED.modules["vault"].condition == "(create)"
    assert WATCHED.modules["events"].condition == "(empty(topicName))"
    (one,) = made("Microsoft.EventGrid/systemTopics")
    assert one[0].name == "modules/event-topic.bicep"
    assert at(one[1].body, "properties.topicType") == "Microsoft.KeyVault.vaults"


def test_the_ledger_stands_apart_from_the_host_keeps_versions_and_can_be_made_immutable() -> None:
    host, ledger = MAIN.modules["hostStorage"].body, MAIN.modules["ledgerStorage"].body
    assert at(host, "params.name") != at(ledger, "params.name")
    assert at(ledger, "params.containers") == [
        {"name": Computed("ledgerContainer"), "immutableDays": Computed("ledgerImmutableDays")}
    ]
    holds(STORAGE, "blobs", isVersioningEnabled=True)
    holds(STORAGE, "immutability", allowProtectedAppendWrites=True)
    assert at(ledger, "params.expiringPrefix") == ""  # no lifecycle rule takes anything out of the ledger


def test_the_queue_of_the_app_is_made() -> None:
    assert at(MAIN.modules["hostStorage"].body, "params.queues") == [QUEUE, f"{QUEUE}-poison"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_output_and_no_default_holds_a_secret(file: File) -> None:
    for output in file.outputs.values():
        assert not SECRET.search(f"{output.name} {output.value}"), output.name
    for param in file.params.values():
        secret = re.search(r"password|secret(?!s)|key$|token", param.name, re.IGNORECASE)
        assert not secret or ("secure" in param.decorators and "required" in param.decorators), param.name
        assert not SECRET.search(str(param.value)), param.name


def test_no_file_asks_for_a_key() -> None:
    for file in FILES:
        code = re.sub(r"//.*", "", file.source.decode())
        assert not re.search(r"\blist(Keys|AccountSas|ServiceSas|Secrets|Credentials)\w*\(|connectionString'", code), (
            file
        )


def test_every_right_comes_out_of_the_one_loop_over_the_table() -> None:
    grants = read(INFRA / "modules/grant.bicep")
    assert {file.name for file, _ in made("Microsoft.Authorization/roleAssignments")} == {grants.name}
    users = [(file.name, name) for file in FILES for name, module in file.modules.items() if "grant" in module.type]
    assert users == [("modules/roles.bicep", "assignments")]
    assert ROLES.modules["assignments"].over == "rights"
    assert ROLES.variables["table"].value == Computed("loadJsonContent('../roles.json')")
    guid = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
    assert not [file.name for file in FILES if guid.search(file.source.decode())]  # no role is named past the table


def rows() -> list[dict[str, str | None]]:
    """Every grant of the table, to the app and to Event Grid."""
    table = json.loads((INFRA / "roles.json").read_text())
    return [*table["grants"], *table["eventGrid"]]


def test_every_kind_of_place_in_the_table_is_known_to_main_and_the_other_way_round() -> None:
    places = MAIN.variables["places"].value
    assert isinstance(places, Mapping)
    scopes = {str(row["scope"]) for row in rows()}
    assert scopes - {"target"} == places.keys()


def test_every_row_of_the_table_is_a_built_in_role_or_a_custom_one_that_is_defined() -> None:
    custom = json.loads((INFRA / "roles.json").read_text())["customRoles"]
    for row in rows():
        assert (row["roleId"] is None) != (row["customRole"] is None), row["key"]
        assert row["customRole"] is None or row["customRole"] in custom
        assert row["roleId"] is None or re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", row["roleId"])


def test_every_type_of_resource_that_is_a_place_or_a_target_can_be_given_a_right() -> None:
    grants = read(INFRA / "modules/grant.bicep").resources.values()
    conditions = "\n".join(str(resource.condition) for resource in grants if not resource.existing)
    can = {kind.lower() for kind in re.findall(r"'(microsoft\.\w+/\w+)'", conditions)}
    places = "\n".join(str(MAIN.variables[name].value) for name in ("places", "allVaults", "hostStorageId", "topicId"))
    needed = set(re.findall(r"/(Microsoft\.\w+/\w+)/", places))
    needed |= {"Microsoft.Storage/storageAccounts", "Microsoft.DBforPostgreSQL/flexibleServers"}  # a policy's targets
    assert {kind.lower() for kind in needed} == can


def test_a_right_is_given_on_a_place_only_where_the_place_is_of_that_type() -> None:
    grants = read(INFRA / "modules/grant.bicep").resources
    given = [one for one in grants.values() if not one.existing]
    looked_up = {str(one.body["scope"].text) for one in given if isinstance(one.body.get("scope"), Computed)}  # type: ignore[union-attr]
    assert looked_up | {"blobs"} == {name for name, one in grants.items() if one.existing}
    for one in given:
        place = one.body.get("scope")
        if isinstance(place, Computed):
            where, alone = str(one.condition), str(grants[place.text].condition)
            assert where in {alone, alone.replace(")", " && !isContainer)")}, one.name


def test_custom_roles_have_exactly_the_actions_of_the_table() -> None:
    holds(ROLES, "definitions", permissions=[{
        "actions": Computed("table.customRoles[key].actions"),
        "notActions": [],
        "dataActions": Computed("table.customRoles[key].dataActions"),
        "notDataActions": [],
    }])  # fmt: skip


def test_the_subscription_takes_both_events_and_no_other() -> None:
    holds(EVENTS, "events", filter__includedEventTypes=[
        "Microsoft.KeyVault.SecretNearExpiry", "Microsoft.KeyVault.SecretExpired",
    ])  # fmt: skip
    holds(EVENTS, "events", filter__subjectBeginsWith=Computed("subjectBeginsWith"))
    holds(EVENTS, "events", filter__subjectEndsWith=Computed("subjectEndsWith"), filter__isSubjectCaseSensitive=False)


def test_the_subscription_goes_to_the_app_s_own_function() -> None:
    holds(EVENTS, "events", destination__endpointType="AzureFunction")
    called = read(INFRA / "subscription.bicep").modules["events"].body
    assert at(called, "params.functionId") == Computed("'${functionAppId}/functions/near_expiry'")
    assert "async def near_expiry(" in (ROOT / "function_app.py").read_text()


def test_events_are_tried_for_a_day_and_then_kept_by_the_topic_s_own_identity() -> None:
    outer = read(INFRA / "subscription.bicep").params
    assert (outer["maxDeliveryAttempts"].value, outer["eventTimeToLiveMinutes"].value) == (30, 24 * 60)
    holds(EVENTS, "events", retryPolicy__maxDeliveryAttempts=Computed("maxDeliveryAttempts"))
    holds(EVENTS, "events", retryPolicy__eventTimeToLiveInMinutes=Computed("eventTimeToLiveMinutes"))
    holds(EVENTS, "events", deadLetterWithResourceIdentity__identity__type="SystemAssigned", deadLetterDestination=None)
    holds(EVENTS, "events", deadLetterWithResourceIdentity__deadLetterDestination__endpointType="StorageBlob")
    topic = read(INFRA / "modules/event-topic.bicep").resources["topic"].body
    assert at(topic, "identity.type") == "SystemAssigned"
    containers = at(MAIN.modules["hostStorage"].body, "params.containers")
    assert {"name": Computed("deadLetterContainer"), "immutableDays": 0} in list(containers)  # type: ignore[arg-type]


@pytest.mark.parametrize("file", [EVENTS, read(INFRA / "subscription.bicep")], ids=lambda file: file.name)
def test_both_schemas_can_be_asked_for(file: File) -> None:
    assert file.params["schema"].decorators["allowed"] == ["CloudEventSchemaV1_0", "EventGridSchema"]


def test_every_event_topic_has_alerts_on_what_event_grid_could_not_deliver() -> None:
    assert WATCHED.modules["eventsWatch"].condition is None
    alerts = read(INFRA / "modules/event-topic-watch.bicep").resources["alerts"]
    metrics = {row["metric"] for row in json.loads((INFRA / "alerts.json").read_text())["metricAlerts"]}
    assert alerts.over == "metricAlerts"
    assert {"DeadLetteredCount", "DroppedEventCount"} <= metrics


def test_every_log_alert_has_its_query() -> None:
    alerts = read(INFRA / "modules/alerts.bicep")
    rows = json.loads((INFRA / "alerts.json").read_text())["logAlerts"]
    queries = alerts.variables["queries"].value
    assert isinstance(queries, Mapping)
    assert queries == {row["name"]: Computed(f"loadTextContent('../queries/{row['query']}')") for row in rows}
    assert alerts.resources["rules"].over == "logAlerts"


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
    assert read_back.endpoints.arm == "https://management.azure.com"


def test_every_setting_that_the_app_reads_is_deployed() -> None:
    source = (ROOT / "handlers" / "settings.py").read_text()
    reads = set(re.findall(r'"((?:ROTATION|AZURE|AzureWebJobs)_?\w+)"', source))
    assert reads - settings().keys() == {"AzureWebJobsStorage__accountName"}  # what the two URIs stand for


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


def test_in_a_private_network_only_event_grid_and_named_ranges_come_in_from_outside() -> None:
    doors = APP.variables["doors"].value
    assert isinstance(doors, Computed)
    assert re.findall(r"ipAddress: (.+)", doors.text) == ["'AzureEventGrid'", "addresses"]
    closed = Computed("closed ? 'Deny' : 'Allow'")
    holds(APP, "site", siteConfig__ipSecurityRestrictionsDefaultAction=closed)
    holds(APP, "site", siteConfig__scmIpSecurityRestrictionsDefaultAction=closed)
    holds(STORAGE, "account", networkAcls__defaultAction=Computed("closed ? 'Deny' : 'Allow'"))
    assert at(MAIN.modules["ledgerStorage"].body, "params.trustedServices") is False


def test_the_enterprise_example_leaves_no_door_open_but_the_app_s_to_event_grid() -> None:
    by_type: dict[str, list[Resource]] = {}
    for one in deployed(INFRA / "enterprise.bicepparam"):
        by_type.setdefault(one.type.removeprefix("Microsoft."), []).append(one)

    def told(kind: str, path: str) -> list[object]:
        return [at(one.body, f"properties.{path}") for one in by_type[kind]]

    assert told("Storage/storageAccounts", "networkAcls.defaultAction") == ["Deny", "Deny"]
    assert told("EventGrid/topics", "publicNetworkAccess") == ["Disabled"]
    assert told("Web/sites", "siteConfig.ipSecurityRestrictionsDefaultAction") == ["Deny"]
    assert told("Web/sites", "siteConfig.scmIpSecurityRestrictionsDefaultAction") == ["Deny"]
    assert "Network/privateEndpoints" in by_type


def test_the_small_example_needs_no_network_and_no_identity_s_key() -> None:
    kinds = {one.type for one in deployed(INFRA / "small.bicepparam")}
    assert not {kind for kind in kinds if kind.startswith("Microsoft.Network/") and "private" not in kind}
    assert "Microsoft.KeyVault/vaults" in kinds


def test_a_private_network_leads_to_all_that_the_app_calls() -> None:
    endpoints = str(MAIN.variables["endpoints"].value)
    assert sorted(set(re.findall(r"service: '(\w+)'", endpoints))) == ["blob", "queue", "sites", "topic", "vault"]
    zones = at(MAIN.modules["privateNetwork"].body, "params.zoneNames")
    assert isinstance(zones, Mapping)
    assert sorted(zones) == ["blob", "queue", "sites", "topic", "vault"]


def test_every_cloud_has_what_bicep_s_environment_does_not_know() -> None:
    clouds = json.loads((INFRA / "clouds.json").read_text())
    assert clouds.keys() == {"AzureCloud", "AzureUSGovernment", "AzureChinaCloud"}
    assert {tuple(sorted(cloud)) for cloud in clouds.values()} == {("graph", "sitesZone", "topicZone")}


def test_everything_that_can_be_tagged_is() -> None:
    for file, resource in everything():
        assert ("location" in resource.body) == ("tags" in resource.body), f"{file.name}: {resource.name}"


def everything() -> Iterator[tuple[File, Declared]]:
    for file in FILES:
        yield from ((file, resource) for resource in file.resources.values() if not resource.existing)
