"""Rights: what the previews give is what the table says, on each place that it is for, and on no other."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from rotation.rotators import ROTATORS
from tests.infra.compiled import INFRA, PREVIEWS, Infra
from tests.infra.preview import Preview, Right

TABLE = json.loads((INFRA / "roles.json").read_text())
ROWS = [*TABLE["grants"], *TABLE["eventGrid"]]
DEPLOYMENTS = PREVIEWS[:3]


def misplaced(name: str, infra: Infra | None = None) -> Iterator[str]:
    """Where a deployment's rights are not the table's, a line each."""
    infra = infra or Infra()
    preview, given = Preview(name, infra), infra.parameters(f"{name}.bicepparam")
    wanted = set(_wanted(preview, given, f" ({given['name']['value']})"))
    found = preview.rights()
    yield from sorted(f"too much: {right.role} on {right.scope} for {right.who}" for right in found - wanted)
    yield from sorted(f"missing: {right.role} on {right.scope} for {right.who}" for right in wanted - found)


def _wanted(preview: Preview, given: dict[str, dict[str, list[dict[str, str]]]], named: str) -> Iterator[Right]:
    app = preview.one("ManagedIdentity/userAssignedIdentities")["id"]
    for row in TABLE["grants"]:
        role = row["roleId"] or TABLE["customRoles"][row["customRole"]]["roleName"] + named
        for place in _places(preview, given, row):
            yield Right(app, role, place)
    for row in TABLE["eventGrid"]:
        for place in _places(preview, given, row):
            yield from (Right(topic, row["roleId"], place) for topic in _topics(preview))


def _places(preview: Preview, given: dict[str, dict[str, list[dict[str, str]]]], row: dict[str, str]) -> list[str]:
    """What the resources themselves say; for a target, what was asked for."""
    containers = [one["id"] for one in preview.every("Storage/storageAccounts/blobServices/containers")]
    packages = [one for one in containers if one.endswith("/packages")]
    targets = given.get("grants", {}).get("value", [])
    places = {
        "target": [one["scope"] for one in targets if one["grant"] == row["key"]],
        "vault": [vault for vault, _ in _watched(preview)],
        "ledgerContainer": [one for one in containers if one.endswith("/ledger")],
        "hostStorage": [one.partition("/blobServices/")[0] for one in packages],
        "deploymentContainer": [],  # in the host's account, which the host owns
        "deadLetterContainer": [one for one in containers if one.endswith("/dead-letters")],
        "outcomeTopic": [one["id"] for one in preview.every("EventGrid/topics")],
        "applicationInsights": [one["id"] for one in preview.every("Insights/components")],
        "workspace": _workspaces(preview) if given.get("auditReaders", {}).get("value") else [],
    }
    return places[row["scope"]]


def _workspaces(preview: Preview) -> list[str]:
    """Where the app's own telemetry goes, as the vaults' audit logs do: made here, or there already."""
    return [one["properties"]["WorkspaceResourceId"] for one in preview.every("Insights/components")]


def _watched(preview: Preview) -> list[tuple[str, str]]:
    """(vault, its system topic), as ids: each topic's alerts are named for its vault."""
    scopes = [(one["name"], one["properties"]["scopes"][0]) for one in preview.every("Insights/metricAlerts")]
    found = [(re.fullmatch(r"keyturn-(.+)-dead-letters", name), topic) for name, topic in scopes]
    home = "/providers/Microsoft.KeyVault/vaults/"
    return [(f"{topic.partition('/providers/')[0]}{home}{match[1]}", topic) for match, topic in found if match]


def _topics(preview: Preview) -> list[str]:
    return [topic for _, topic in _watched(preview)]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_each_right_is_given_on_its_places_and_nowhere_else(name: str) -> None:
    assert list(misplaced(name)) == []


def test_every_row_of_the_table_and_every_type_of_place_is_seen_in_a_preview() -> None:
    rights = {right for name in DEPLOYMENTS for right in Preview(name).rights()}
    roles = {right.role.partition(" (")[0] for right in rights}
    # Of resources with two keys, one with a namespace's role beside it and one without are enough: a loop reads them.
    of_table = {name for name, kind in ROTATORS.items() if kind.row} - {
        "service-bus-key",
        "cosmos-key",
        "cosmos-read-only-key",
    }
    rows = [
        row for row in ROWS if row["scope"] != "deploymentContainer" and not of_table & set(row.get("rotators", ()))
    ]
    assert roles == {row["roleId"] or TABLE["customRoles"][row["customRole"]]["roleName"] for row in rows}
    assert {kind_of(right.scope) for right in rights} == {
        "", "Microsoft.KeyVault/vaults", "Microsoft.Storage/storageAccounts", "Microsoft.EventGrid/topics",
        "Microsoft.Storage/storageAccounts/blobServices/containers", "Microsoft.Insights/components",
        "Microsoft.DBforPostgreSQL/flexibleServers", "Microsoft.DBforMySQL/flexibleServers",
        "Microsoft.OperationalInsights/workspaces", "microsoft.web/sites", "microsoft.web/sites/slots",
        "microsoft.app/containerapps", "microsoft.containerservice/managedclusters",
        "Microsoft.ServiceBus/namespaces", "Microsoft.ServiceBus/namespaces/authorizationRules",
        "Microsoft.DocumentDB/databaseAccounts",
    }  # fmt: skip


def kind_of(scope: str) -> str:
    """A resource's type; nothing for a group."""
    namespace, *rest = scope.partition("/providers/")[2].split("/")
    return "/".join([namespace, *rest[::2]])


def test_every_row_of_the_table_is_a_built_in_role_or_a_custom_one_that_is_defined() -> None:
    for row in ROWS:
        assert (row["roleId"] is None) != (row["customRole"] is None), row["key"]
        assert row["customRole"] is None or row["customRole"] in TABLE["customRoles"]
        assert row["roleId"] is None or re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", row["roleId"])


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_custom_roles_have_exactly_the_actions_of_the_table_and_reach_no_further_than_its_subscriptions(
    name: str,
) -> None:
    preview = Preview(name)
    subscriptions = {"/".join(right.scope.split("/")[:3]) for right in preview.rights()}
    by_name = {one["roleName"]: one for one in TABLE["customRoles"].values()}
    for one in preview.every("Authorization/roleDefinitions"):
        asked = by_name[one["properties"]["roleName"].partition(" (")[0]]
        assert one["properties"]["permissions"] == [
            {"actions": asked["actions"], "notActions": [], "dataActions": asked["dataActions"], "notDataActions": []}
        ]
        assert set(one["properties"]["assignableScopes"]) == subscriptions


def test_no_role_is_named_past_the_table() -> None:
    guid = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
    files = {file.name: file.read_text() for file in INFRA.rglob("*.bicep")}
    files["workbook.bicep"] = re.sub(r"(?m)^\s*id: '.*'$", "", files["workbook.bicep"])  # the ids of a workbook's parts
    assert not [name for name, text in files.items() if guid.search(text)]


def test_a_role_is_given_on_whatever_type_of_resource_a_row_of_the_table_names() -> None:
    given = [one for one in _every(Infra().template()) if one.get("type") == "Microsoft.Authorization/roleAssignments"]
    places = {one["scope"] for one in given if "scope" in one}
    assert places == {"[variables('resource')]"}, "by its id alone: no block for each type"


def _every(template: Any) -> Iterator[Any]:
    resources = template["resources"]
    for one in resources.values() if isinstance(resources, dict) else resources:
        yield one
        if one["type"] == "Microsoft.Resources/deployments":
            yield from _every(one["properties"]["template"])
