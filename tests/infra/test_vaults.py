"""What is said of the vaults before a deployment, and of those that have left."""

import json
from typing import Any

import pytest

from infra.vaults.judged import Findings, There, Vault, judge, wanted
from infra.vaults.left import in_the_way, last, left
from tests.infra.az.cloud import SUBSCRIPTION
from tests.infra.az.vaults import topic, vault
from tests.infra.compiled import INFRA
from tests.infra.shell import NAME

OTHER = "00000000-0000-0000-0000-00000000000b"
ASKED: dict[str, Any] = {"name": "kv-orders-prod", "resourceGroup": "rg-orders-prod"}
ID = vault("kv-orders-prod")["id"]


def parameters(*vaults: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {name: {"value": value} for name, value in {"vaults": list(vaults), **more}.items()}


def filled_in(*vaults: dict[str, Any], **more: Any) -> list[Vault]:
    return wanted(parameters(*vaults, **more), NAME, "westeurope", SUBSCRIPTION)


def judged(
    asked: dict[str, Any] = ASKED, *, shown: dict[str, Any] | None = None, topics: tuple[Any, ...] = (),
    deleted: tuple[str, ...] = (), vault_logs: tuple[Any, ...] = (), topic_logs: tuple[Any, ...] = (), **more: Any,
) -> Findings:  # fmt: skip
    there = [] if shown is None else [shown]
    return judge(
        filled_in(asked, **more),
        There(
            there, [{"name": one} for one in deleted], topics, {one["name"].lower(): one for one in there},
            {"kv-orders-prod": vault_logs}, {"kv-orders-prod": topic_logs},
        ),
        NAME,
    )  # fmt: skip


def sent(workspace: str, name: str = "theirs", *, enabled: bool = True, **log: str) -> dict[str, Any]:
    """A diagnostic setting."""
    return {
        "name": name,
        "workspaceId": workspace,
        "logs": [{"enabled": enabled, **(log or {"category": "AuditEvent"})}],
    }


def test_what_the_parameters_leave_out_is_filled_in_as_the_template_does() -> None:
    (found,) = filled_in({"name": "KV-A"})
    assert found == Vault(
        "kv-a", SUBSCRIPTION, f"rg-{NAME}", "westeurope", create=False, topic="", open=True, audit=True, workspace=""
    )
    more = {"subscriptionId": OTHER, "location": "northeurope", "create": True, "topicName": "t", "audit": False}
    (found,) = filled_in(ASKED | more, network={}, resourceGroupName="rg-x", location="italynorth", workspaceId="w")
    assert found == Vault(
        "kv-orders-prod", OTHER, "rg-orders-prod", "northeurope",
        create=True, topic="t", open=False, audit=False, workspace="w",
    )  # fmt: skip
    (found,) = filled_in({"name": "kv-a"}, resourceGroupName="rg-x", location="italynorth")
    assert (found.group, found.location) == ("rg-x", "italynorth")


def test_of_a_vault_that_is_as_asked_for_nothing_is_said() -> None:
    assert judged(shown=vault("kv-orders-prod")) == Findings([], [])
    ours = vault("kv-orders-prod") | {"tags": {"keyturn": NAME}}
    topics = (topic(ID, "evgst-kv-orders-prod", {"keyturn": NAME}),)
    assert judged(ASKED | {"create": True}, shown=ours, topics=topics) == Findings([], [])
    theirs = (topic(ID.upper(), "theirs"),)
    assert judged(ASKED | {"topicName": "theirs"}, shown=vault("kv-orders-prod"), topics=theirs) == Findings([], [])
    closed = vault("kv-orders-prod", publicNetworkAccess="Disabled")
    assert judged(shown=closed, network={}) == Findings([], [])
    assert judged(ASKED | {"create": True}) == Findings([], [])
    elsewhere = vault("kv-orders-prod") | {"location": "northeurope"}
    assert judged(ASKED | {"topicName": "theirs"}, shown=elsewhere, topics=theirs) == Findings([], [])


def test_what_the_deployment_made_itself_is_no_obstacle_to_it() -> None:
    ours = vault("kv-orders-prod") | {"tags": {"keyturn": NAME}}
    topics = (topic(ID, "evgst-kv-orders-prod", {"keyturn": NAME}, identity=None),)
    assert judged(ASKED | {"create": True}, shown=ours, topics=topics) == Findings([], [])


def test_a_vault_that_was_made_here_and_closed_since_is_not_opened_silently() -> None:
    ours = vault("kv-orders-prod", publicNetworkAccess="Disabled") | {"tags": {"keyturn": NAME}}
    ((error, remedy),) = judged(ASKED | {"create": True}, shown=ours).errors
    assert "would be opened" in error
    assert "`param network = {}` again" in remedy
    assert judged(ASKED | {"create": True}, shown=ours, network={}) == Findings([], [])


def test_logs_that_go_elsewhere_or_are_ours_are_no_obstacle() -> None:
    shown, asked = vault("kv-orders-prod"), ASKED | {"topicName": "theirs"}
    topics = (topic(ID, "theirs"),)
    for one in (sent("other"), sent("W", "keyturn"), sent("W", enabled=False), sent("W", category="Policy")):
        found = judged(asked, shown=shown, topics=topics, vault_logs=(one,), topic_logs=(one,), workspaceId="w")
        assert found == Findings([], [])
    assert judged(asked, shown=shown, topics=topics, vault_logs=(sent(""),)) == Findings([], [])
    told = asked | {"audit": False}
    assert judged(told, shown=shown, topics=topics, vault_logs=(sent("W"),), workspaceId="w") == Findings([], [])


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"shown": vault("kv-orders-prod", "rg-b")}, "is in the resource group rg-b", "resourceGroup: 'rg-b'"),
    ({}, f"there is no vault kv-orders-prod in the subscription {SUBSCRIPTION}", "subscriptionId"),
    (
        {"asked": ASKED | {"create": True}, "shown": vault("kv-orders-prod")},
        "is there already: to make it would set its firewall",
        "take `create: true` out, and leave name and resourceGroup: 'rg-orders-prod'",
    ),
    (
        {"asked": ASKED | {"create": True}, "shown": vault("kv-orders-prod") | {"tags": {"keyturn": "another"}}},
        "is there already", "take `create: true` out",
    ),
    (
        {"asked": {"name": "kv-orders-prod", "create": True}, "shown": vault("kv-orders-prod")},
        "is in the resource group rg-orders-prod",
        "resourceGroup: 'rg-orders-prod' beside name: 'kv-orders-prod' in the parameters, and take `create: true` out",
    ),
    (
        {"asked": ASKED | {"create": True}, "deleted": ("KV-orders-prod",)},
        "one of that name was deleted, and holds it",
        f"az keyvault recover --subscription {SUBSCRIPTION} --name kv-orders-prod",
    ),
    (
        {"shown": vault("kv-orders-prod", "rg-orders-prod", OTHER)},
        f"is in the subscription {OTHER}", f"subscriptionId: '{OTHER}'",
    ),
    (
        {"asked": ASKED | {"create": True, "topicName": "theirs"}},
        "has no Event Grid system topic theirs", "take topicName out",
    ),
    (
        {"shown": vault("kv-orders-prod"), "topics": (topic(ID, "evgst-kv-orders-prod", {"keyturn": "another"}),)},
        "the deployment another looks after vault kv-orders-prod", "take the vault out there first",
    ),
    (
        {"shown": vault("kv-orders-prod"), "vault_logs": (sent("W", categoryGroup="audit"),), "workspaceId": "w"},
        "sends its audit log to that workspace already", "audit: false",
    ),
    (
        {"shown": vault("kv-orders-prod"), "topic_logs": (sent("W", category="DeliveryFailures"),), "workspaceId": "w"},
        "sends its failures to that workspace already", "take DeliveryFailures out of theirs",
    ),
    (
        {"shown": vault("kv-orders-prod") | {"location": "North Europe"}},
        "is in northeurope, and not in westeurope", "location: 'northeurope'",
    ),
    ({"shown": vault("kv-orders-prod", publicNetworkAccess="Disabled")}, "has a firewall", "`param network = {}`"),
    (
        {"shown": vault("kv-orders-prod", networkAcls={"defaultAction": "Deny", "bypass": "AzureServices"})},
        "has a firewall", "docs/deploy.md, A private network",
    ),
    (
        {"shown": vault("kv-orders-prod"), "topics": (topic(ID.upper(), "theirs"),)},
        "has the Event Grid system topic theirs already", "topicName: 'theirs'",
    ),
    (
        {"shown": vault("kv-orders-prod"), "topics": (topic(ID, "evgst-kv-orders-prod"),)},
        "has the Event Grid system topic evgst-kv-orders-prod already", "topicName: 'evgst-kv-orders-prod'",
    ),
    (
        {"asked": ASKED | {"topicName": "gone"}, "shown": vault("kv-orders-prod")},
        "has no Event Grid system topic gone", "take topicName out",
    ),
    (
        {"asked": ASKED | {"topicName": "theirs"}, "shown": vault("kv-orders-prod"),
         "topics": (topic(ID, "theirs") | {"id": topic(ID, "theirs")["id"].replace("rg-orders-prod", "rg-events")},)},
        "is in the resource group rg-events", "needed in rg-orders-prod",
    ),
    (
        {"asked": ASKED | {"topicName": "theirs"}, "shown": vault("kv-orders-prod"),
         "topics": (topic(ID, "theirs", identity=None),)},
        "has no identity",
        (
            f"""az rest --method patch --url "{topic(ID, 'theirs')['id']}?api-version=2025-02-15" """
            """--body '{"identity": {"type": "SystemAssigned"}}'"""
        ),
    ),
    (
        {"asked": ASKED | {"topicName": "theirs"}, "shown": vault("kv-orders-prod"),
         "topics": (topic(ID, "theirs", identity="UserAssigned"),)},
        "has no identity", "portal: the topic, Identity, System assigned, On",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("case", "error", "remedy"), CASES)
def test_what_would_go_wrong_is_one_error_with_the_line_to_write(case: dict[str, Any], error: str, remedy: str) -> None:
    found = judged(**case)
    assert len(found.errors) == 1, found.errors
    ((said, cure),) = found.errors
    assert error in said
    assert remedy in cure
    assert "kv-orders-prod" in said


def test_weak_vaults_are_warned_of_and_deployed() -> None:
    found = judged(shown=vault("kv-orders-prod", enableRbacAuthorization=None, enablePurgeProtection=None))
    assert found.errors == []
    assert ["access policies" in found.warnings[0], "no purge protection" in found.warnings[1]] == [True, True]


def test_all_that_is_wrong_with_all_vaults_is_told_at_once() -> None:
    asked = [ASKED, {"name": "kv-b"}, {"name": "kv-c"}]
    shown = vault("kv-orders-prod", publicNetworkAccess="Disabled") | {"location": "northeurope"}
    found = judge(filled_in(*asked), There([shown], [], [], {"kv-orders-prod": shown}), NAME)
    assert len(found.errors) == 4
    twice = judge(filled_in(ASKED, ASKED), There([shown], [], [], {"kv-orders-prod": shown}), NAME).errors
    assert twice[-1] == ("vault kv-orders-prod is named twice", "leave one of the two")


def recorded(*names: str) -> list[dict[str, str]]:
    return [
        {"vault": one, "name": f"evgst-{one}", "subscriptionId": SUBSCRIPTION, "resourceGroup": "rg-orders-prod"}
        for one in names
    ]


def test_nothing_is_left_where_no_vault_has_left() -> None:
    assert list(left([], filled_in(ASKED), NAME, "--resource-group rg-a")) == []
    assert (
        list(
            left(
                recorded("kv-orders-prod"), filled_in(ASKED | {"name": "KV-Orders-Prod"}), NAME, "--resource-group rg-a"
            )
        )
        == []
    )
    moved = filled_in(ASKED | {"resourceGroup": "rg-b"})
    assert list(left(recorded("kv-orders-prod"), moved, NAME, "--resource-group rg-a")) == []


def test_what_stays_on_a_vault_that_left_is_named_exactly_and_nothing_of_its_neighbour() -> None:
    told = list(left(recorded("kv-orders", "kv-orders-prod"), filled_in(ASKED), NAME, "--resource-group rg-a"))
    assert told[0].startswith("# kv-orders has left")
    gone = vault("kv-orders")["id"]
    account = f"--subscription {SUBSCRIPTION}"
    place = f"{account} --resource-group rg-orders-prod"
    alerts = [one["name"] for one in json.loads((INFRA / "alerts.json").read_text())["metricAlerts"]]
    assert len(alerts) > 1
    delete = f"az eventgrid system-topic event-subscription delete {place}"
    assert [line for line in told if not line.startswith("#")] == [
        f"{delete} --system-topic-name evgst-kv-orders --name keyturn-{NAME} --yes",
        *(f"az monitor metrics alert delete {place} --name keyturn-kv-orders-{name}" for name in alerts),
        f"az monitor diagnostic-settings delete --resource {topic(gone, 'evgst-kv-orders')['id']} --name keyturn",
        f"az monitor diagnostic-settings delete --resource {gone} --name keyturn",
        f'az role assignment delete --role "Keyturn secrets ({NAME})" --scope {gone}',
        f'az keyvault delete-policy {account} --name kv-orders --object-id "$PRINCIPAL"',
        "az network private-endpoint delete --resource-group rg-a --name pe-kv-orders",
        f"az eventgrid system-topic delete {place} --name evgst-kv-orders --yes",
    ]
    theirs = [recorded("kv-orders")[0] | {"name": "theirs"}]
    assert not any(
        "system-topic delete" in line for line in left(theirs, filled_in(ASKED), NAME, "--resource-group rg-a")
    )


def test_the_last_vault_of_a_subscription_is_told_from_the_others() -> None:
    away = [recorded("kv-b")[0] | {"subscriptionId": OTHER}]
    gone = vault("kv-b", "rg-orders-prod", OTHER)["id"]
    assert last([*away, *recorded("kv-c")], filled_in(ASKED), SUBSCRIPTION) == [gone]
    assert last(away, filled_in({"name": "kv-d", "subscriptionId": OTHER}), SUBSCRIPTION) == []
    ((error, remedy),) = in_the_way([gone], NAME)
    assert "vault kv-b has left, the last one of its subscription" in error
    assert remedy == f'az role assignment delete --role "Keyturn secrets ({NAME})" --scope {gone}'
