"""What a deployment promises, held against what Azure's compiler previews: no keys, nothing in clear, nothing open."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from app.settings import QUEUE
from tests.infra.compiled import INFRA, PREVIEWS, ROOT, Infra
from tests.infra.preview import Preview

SMALL, ENTERPRISE, MADE, EVENTS = (Preview(name) for name in PREVIEWS)
DEPLOYMENTS = (SMALL, ENTERPRISE, MADE)
EACH = pytest.mark.parametrize("preview", DEPLOYMENTS, ids=PREVIEWS[:3])


def holds(resource: Any, **expected: Any) -> None:
    """`a__b=1`: properties.a.b is 1."""
    for path, value in expected.items():
        found = resource["properties"]
        for step in path.split("__"):
            found = found.get(step)
        assert found == value, f"{resource['id']}: {path} is {found}"


def taking_events(settings: Mapping[str, str]) -> list[str]:
    """The functions of Event Grid that the app has when it starts with the settings of a deployment."""
    started = subprocess.run(
        [sys.executable, "-c", """
import function_app
for one in function_app.app.get_functions():
    if one.get_trigger().get_binding_name() == "eventGridTrigger":
        print(one.get_function_name())
"""],
        cwd=ROOT, env={**os.environ, **settings, "WEBSITE_AUTH_ENABLED": "True"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return started.stdout.split()


@EACH
def test_storage_takes_identities_only_and_speaks_tls_from_version_1_2_only(preview: Preview) -> None:
    accounts = preview.every("Storage/storageAccounts")
    assert len(accounts) == 2
    for account in accounts:
        holds(account, allowSharedKeyAccess=False, allowBlobPublicAccess=False, isLocalUserEnabled=False)
        holds(account, defaultToOAuthAuthentication=True, allowCrossTenantReplication=False)
        holds(account, supportsHttpsTrafficOnly=True, minimumTlsVersion="TLS1_2")
    for container in preview.every("Storage/storageAccounts/blobServices/containers"):
        holds(container, publicAccess="None")


@EACH
def test_topics_and_telemetry_take_identities_only(preview: Preview) -> None:
    for topic in preview.every("EventGrid/topics"):
        holds(topic, disableLocalAuth=True, minimumTlsVersionAllowed="1.2")
    holds(preview.one("Insights/components"), DisableLocalAuth=True)
    for workspace in preview.every("OperationalInsights/workspaces"):
        holds(workspace, features__disableLocalAuth=True)


def test_there_is_an_outcome_topic_unless_none_is_wanted() -> None:
    assert [len(preview.every("EventGrid/topics")) for preview in DEPLOYMENTS] == [1, 1, 0]
    assert SMALL.settings()["ROTATION_OUTCOME_TOPIC"].startswith("https://")
    assert MADE.settings()["ROTATION_OUTCOME_TOPIC"] == ""


def test_only_a_vault_that_is_asked_for_is_made_and_it_gives_rights_by_roles_and_loses_nothing() -> None:
    assert [len(preview.every("KeyVault/vaults")) for preview in DEPLOYMENTS] == [0, 0, 1]
    vault = MADE.one("KeyVault/vaults")
    holds(vault, enableRbacAuthorization=True, enablePurgeProtection=True, enableSoftDelete=True)
    holds(vault, softDeleteRetentionInDays=90, publicNetworkAccess="Disabled", networkAcls__defaultAction="Deny")


@pytest.mark.parametrize(
    ("preview", "vaults"), [(SMALL, {"kv-orders-prod"}), (ENTERPRISE, {"kv-orders-prod", "kv-billing-prod"})]
)
def test_every_vault_tells_log_analytics_who_read_and_wrote_but_where_it_does_already(
    preview: Preview, vaults: set[str]
) -> None:
    settings = [one for one in preview.every("Insights/diagnosticSettings") if "/vaults/" in one["id"]]
    assert {one["id"].split("/")[8] for one in settings} == vaults
    for one in settings:
        holds(one, logs=[{"category": "AuditEvent", "enabled": True}], logAnalyticsDestinationType="Dedicated")


def test_each_vault_has_one_topic_with_an_identity_and_one_that_is_there_is_left_alone() -> None:
    topics = ENTERPRISE.every("EventGrid/systemTopics")
    assert {one["name"] for one in topics} == {"evgst-kv-orders-prod", "evgst-kv-shared-prod"}
    for topic in topics:
        holds(topic, topicType="Microsoft.KeyVault.vaults")
        assert topic["identity"]["type"] == "SystemAssigned"


@EACH
def test_the_ledger_stands_apart_from_the_host_keeps_versions_and_nothing_takes_anything_out_of_it(
    preview: Preview,
) -> None:
    (ledger,) = [one for one in preview.every("Storage/storageAccounts") if one["name"].startswith("stl")]
    containers = preview.every("Storage/storageAccounts/blobServices/containers")
    assert [one["id"].rpartition("/")[2] for one in containers if ledger["id"] in one["id"]] == ["ledger"]
    assert ledger["tags"]["keyturn-keep"] == "ledger"
    for service in preview.every("Storage/storageAccounts/blobServices"):
        holds(service, isVersioningEnabled=True, deleteRetentionPolicy__enabled=True)
    for policy in preview.every("Storage/storageAccounts/managementPolicies"):
        assert ledger["id"] not in policy["id"]


def test_the_ledger_can_be_made_immutable_but_for_appending() -> None:
    kind = "Storage/storageAccounts/blobServices/containers/immutabilityPolicies"
    holds(ENTERPRISE.one(kind), immutabilityPeriodSinceCreationInDays=365, allowProtectedAppendWrites=True)
    assert SMALL.every(kind) == []


@EACH
def test_the_queue_of_the_app_is_made(preview: Preview) -> None:
    queues = preview.every("Storage/storageAccounts/queueServices/queues")
    assert [one["id"].rpartition("/")[2] for one in queues] == [QUEUE, f"{QUEUE}-poison"]


@pytest.mark.parametrize("name", PREVIEWS)
def test_no_preview_asks_for_a_key_or_tells_one(name: str) -> None:
    text = (INFRA / f"{name}.snapshot.json").read_text()
    assert not re.search(r"\blist\w*\(|accountkey|sharedaccess|primarykey|password\"|\bsas\b", text, re.IGNORECASE)


def test_no_parameter_is_a_secret() -> None:
    for name, one in Infra().template()["parameters"].items():
        assert not re.search(r"password|secret(?!s)|key$|token", name, re.IGNORECASE), name
        assert not re.search(r"secure", one.get("type", ""), re.IGNORECASE), name


def test_the_subscriptions_take_both_events_and_go_to_the_app_s_own_function() -> None:
    both = EVENTS.every("EventGrid/systemTopics/eventSubscriptions")
    assert [one["id"].split("/")[2:9:6] for one in both] == [
        ["00000000-0000-0000-0000-00000000000a", "evgst-kv-orders-prod"],
        ["11111111-1111-1111-1111-111111111111", "evgst-billing"],
    ]
    assert "near_expiry" in taking_events(SMALL.settings())
    app = Infra().parameters("checked/events.bicepparam")["functionAppId"]["value"]
    for one in both:
        holds(
            one, filter__subjectBeginsWith="orders-", filter__subjectEndsWith="", filter__isSubjectCaseSensitive=False
        )
        holds(one, filter__includedEventTypes=[
            "Microsoft.KeyVault.SecretNearExpiry", "Microsoft.KeyVault.SecretExpired",
        ])  # fmt: skip
        holds(one, destination__endpointType="AzureFunction")
        holds(one, destination__properties__resourceId=f"{app}/functions/near_expiry")
        holds(one, eventDeliverySchema="CloudEventSchemaV1_0")


def test_events_are_tried_for_a_day_and_then_kept_by_the_topic_s_own_identity() -> None:
    for one in EVENTS.every("EventGrid/systemTopics/eventSubscriptions"):
        holds(one, retryPolicy={"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 24 * 60})
        holds(one, deadLetterWithResourceIdentity__identity={"type": "SystemAssigned"}, deadLetterDestination=None)
        kept = one["properties"]["deadLetterWithResourceIdentity"]["deadLetterDestination"]
        assert (kept["endpointType"], kept["properties"]["blobContainerName"]) == ("StorageBlob", "dead-letters")


def test_both_schemas_can_be_asked_for() -> None:
    schema = Infra().template("subscription.bicep")["parameters"]["schema"]
    assert schema["allowedValues"] == ["CloudEventSchemaV1_0", "EventGridSchema"]


@EACH
def test_every_event_topic_has_alerts_on_what_event_grid_could_not_deliver(preview: Preview) -> None:
    watched: dict[str, set[str]] = {}
    for alert in preview.every("Insights/metricAlerts"):
        (criterion,) = alert["properties"]["criteria"]["allOf"]
        watched.setdefault(alert["properties"]["scopes"][0], set()).add(criterion["metricName"])
    failures = [one for one in preview.every("Insights/diagnosticSettings") if "/systemTopics/" in one["id"]]
    assert watched.keys() == {one["id"].partition("/providers/Microsoft.Insights/")[0] for one in failures}
    assert all(metrics == {"DeadLetteredCount", "DroppedEventCount"} for metrics in watched.values())


@EACH
def test_every_log_alert_has_its_query(preview: Preview) -> None:
    rows = json.loads((INFRA / "alerts.json").read_text())["logAlerts"]
    asked = [
        one["properties"]["criteria"]["allOf"][0]["query"] for one in preview.every("Insights/scheduledQueryRules")
    ]
    assert asked == [(INFRA / "queries" / row["query"]).read_text() for row in rows]


def test_alerts_tell_whoever_is_named() -> None:
    existing = Infra().parameters("enterprise.bicepparam")["actionGroupIds"]["value"]
    for preview, groups in ((SMALL, []), (ENTERPRISE, existing), (MADE, [MADE.one("Insights/actionGroups")["id"]])):
        for alert in preview.every("Insights/scheduledQueryRules"):
            assert alert["properties"]["actions"]["actionGroups"] == groups
        for alert in preview.every("Insights/metricAlerts"):
            assert [one["actionGroupId"] for one in alert["properties"]["actions"]] == groups


@pytest.mark.parametrize("preview", [ENTERPRISE, MADE])
def test_in_a_private_network_only_event_grid_and_named_ranges_come_in_from_outside(preview: Preview) -> None:
    site = preview.one("Web/sites")["properties"]["siteConfig"]
    named = ["203.0.113.0/28"] if preview is ENTERPRISE else []
    assert [door["ipAddress"] for door in site["ipSecurityRestrictions"]] == ["AzureEventGrid", *named]
    assert [door["ipAddress"] for door in site["scmIpSecurityRestrictions"]] == named
    assert (site["ipSecurityRestrictionsDefaultAction"], site["scmIpSecurityRestrictionsDefaultAction"]) == (
        "Deny", "Deny",
    )  # fmt: skip
    for account in preview.every("Storage/storageAccounts"):
        ledger = account["name"].startswith("stl")
        holds(account, networkAcls__defaultAction="Deny", networkAcls__bypass="None" if ledger else "AzureServices")
        holds(account, publicNetworkAccess="Disabled" if ledger else "Enabled")
    for topic in preview.every("EventGrid/topics"):
        holds(topic, publicNetworkAccess="Disabled")


def test_the_small_example_needs_no_network() -> None:
    assert not [one["id"] for one in SMALL.resources if one["type"].startswith("Microsoft.Network/")]


def test_a_private_network_leads_to_all_that_the_app_calls_and_a_name_to_each() -> None:
    reached = [
        one["properties"]["privateLinkServiceConnections"] for one in ENTERPRISE.every("Network/privateEndpoints")
    ]
    kinds = [one[0]["properties"]["groupIds"][0] for one in reached]
    assert sorted(kinds) == ["blob", "blob", "queue", "sites", "topic", "vault", "vault"]
    assert len(ENTERPRISE.every("Network/privateEndpoints/privateDnsZoneGroups")) == len(kinds)
    assert (
        len(MADE.every("Network/privateDnsZones"))
        == len(MADE.every("Network/privateDnsZones/virtualNetworkLinks"))
        == 5
    )


def test_no_two_private_endpoints_of_one_account_are_made_at_once() -> None:
    """Storage answers AnotherOperationInProgress, and the deployment fails."""
    by_target: dict[str, list[str]] = {}
    for one in ENTERPRISE.every("Network/privateEndpoints"):
        (link,) = one["properties"]["privateLinkServiceConnections"]
        by_target.setdefault(link["properties"]["privateLinkServiceId"], []).append(one["name"])
    (shared,) = [names for names in by_target.values() if len(names) > 1]
    assert [name.rpartition("-")[2] for name in shared] == ["blob", "queue"]
    assert "privateEndpoints" in Infra().template()["resources"]["queueEndpoint"]["dependsOn"]


def test_the_app_has_a_way_out_of_a_network_that_is_made_here_and_its_own_address() -> None:
    subnets = {one["name"]: one["properties"] for one in MADE.one("Network/virtualNetworks")["properties"]["subnets"]}
    way_out = MADE.one("Network/natGateways")
    assert subnets["app"]["natGateway"]["id"] == way_out["id"]
    assert "natGateway" not in subnets["endpoints"]
    address = MADE.one("Network/publicIPAddresses")
    assert way_out["properties"]["publicIpAddresses"] == [{"id": address["id"]}]
    holds(address, publicIPAllocationMethod="Static")
    assert ENTERPRISE.every("Network/natGateways") == [], "one's own network has its own"


def test_every_cloud_has_what_bicep_s_environment_does_not_know() -> None:
    clouds = json.loads((INFRA / "clouds.json").read_text())
    assert clouds.keys() == {"AzureCloud", "AzureUSGovernment", "AzureChinaCloud"}
    assert {tuple(sorted(cloud)) for cloud in clouds.values()} == {("graph", "logs", "sitesZone", "topicZone")}


@EACH
def test_everything_that_has_a_place_has_the_deployment_s_tag(preview: Preview) -> None:
    """infra/destroy.sh goes by it."""
    for one in preview.resources:
        assert ("location" in one) == ("keyturn" in one.get("tags", {})), one["id"]
