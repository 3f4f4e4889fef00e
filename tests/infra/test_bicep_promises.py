"""What a deployment promises, seen in the parsed files: no keys, nothing in clear, nothing lost, nothing open."""

import json
import re
from collections.abc import Iterator, Mapping

import pytest

from handlers.settings import QUEUE
from tests.infra.bicep import INFRA, ROOT, Computed, Declared, File, all_files, at, read
from tests.infra.deployed import Resource, deployed
from tests.infra.promised import holds, made

FILES = all_files()
MAIN = read(INFRA / "main.bicep")
STORAGE = read(INFRA / "modules/storage.bicep")
APP = read(INFRA / "modules/function-app.bicep")
VAULT = read(INFRA / "modules/vault.bicep")
EVENTS = read(INFRA / "modules/event-subscription.bicep")
WATCHED = read(INFRA / "modules/watched-vault.bicep")
SECRET = re.compile(
    r"listKeys|listSecrets|getSecret|list\w*\(|password|accountKey|SharedAccess|primaryKey|\bsas\b", re.IGNORECASE
)


def test_storage_takes_identities_only() -> None:
    (one,) = made("Microsoft.Storage/storageAccounts")
    assert one[0] is STORAGE  # so that no account is made past this module
    holds(STORAGE, "account", allowSharedKeyAccess=False, allowBlobPublicAccess=False, isLocalUserEnabled=False)
    holds(STORAGE, "account", defaultToOAuthAuthentication=True, allowCrossTenantReplication=False)
    assert at(STORAGE.resources["blobContainers"].body, "properties.publicAccess") == "None"


def test_storage_speaks_tls_from_version_1_2_only() -> None:
    holds(STORAGE, "account", supportsHttpsTrafficOnly=True, minimumTlsVersion="TLS1_2")


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
    audited = WATCHED.modules["auditLog"]
    assert (audited.type, audited.condition, audited.over) == ("vault-audit.bicep", "(audit)", None)
    assert "audit: vault.?audit ?? true" in (INFRA / "main.bicep").read_text()
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
