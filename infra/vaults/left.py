"""What a deployment leaves on a vault that its parameters name no longer: commands, for a person to read and to run.

They are printed and not run: a vault goes out of a parameter file by mistake too, and its topic may serve others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from infra.vaults.judged import Error, Vault

ALERTS = Path(__file__).parents[1] / "alerts.json"
Topic = Mapping[str, Any]  # one of main.bicep's output TOPICS


def gone(recorded: Sequence[Topic], vaults: Sequence[Vault]) -> list[Topic]:
    """The vaults of the deployment before that are looked after no longer."""
    kept = {one.name for one in vaults}
    return [one for one in recorded if str(one["vault"]).lower() not in kept]


def last(recorded: Sequence[Topic], vaults: Sequence[Vault], home: str) -> list[str]:
    """The ids of those that were the last of their subscription. home: the deployment's."""
    kept = {home.lower(), *(one.subscription.lower() for one in vaults)}
    return [_vault(one) for one in gone(recorded, vaults) if str(one["subscriptionId"]).lower() not in kept]


def in_the_way(held: Sequence[str], deployment: str) -> Iterator[Error]:
    """A role can't be taken from a subscription while it is assigned there. held: ids of vaults on which it still is.

    Azure/bicep, issue 17145 (RoleScopeBeingRemovedContainsAssignments).
    """
    for vault in held:
        name = vault.rsplit("/", 1)[1]
        yield (
            f"vault {name} has left, the last one of its subscription, and the app still has a right on it",
            _right(vault, deployment),
        )


def left(recorded: Sequence[Topic], vaults: Sequence[Vault], deployment: str, home: str) -> Iterator[str]:
    """Lines for a shell, where $PRINCIPAL is the app's identity. home: options of az that lead to the app's group."""
    alerts = json.loads(ALERTS.read_text(encoding="utf-8"))["metricAlerts"]
    for one in gone(recorded, vaults):
        vault, topic = str(one["vault"]), str(one["name"])
        account = f"--subscription {one['subscriptionId']}"
        place = f"{account} --resource-group {quote(one['resourceGroup'])}"
        yield f"# {vault} has left: nothing in it is rotated. On it stay events, audit log, alerts and a right:"
        yield (
            f"az eventgrid system-topic event-subscription delete {place} --system-topic-name {topic} "
            f"--name keyturn-{deployment} --yes"
        )
        for alert in alerts:
            yield f"az monitor metrics alert delete {place} --name keyturn-{vault}-{alert['name']}"
        for watched in (
            _id(one, "Microsoft.EventGrid/systemTopics", topic),
            _vault(one),
        ):
            yield f"az monitor diagnostic-settings delete --resource {quote(watched)} --name keyturn"
        yield _right(_vault(one), deployment)
        yield "# Where it decides by access policies:"
        yield f'az keyvault delete-policy {account} --name {vault} --object-id "$PRINCIPAL"'
        yield "# Where the app is in a private network:"
        yield f"az network private-endpoint delete {home} --name pe-{vault}"
        if topic == f"evgst-{vault}":
            yield "# Where the deployment made it, and nobody else is subscribed to it:"
            yield f"az eventgrid system-topic delete {place} --name {topic} --yes"


def _right(vault: str, deployment: str) -> str:
    """The role is the deployment's own, so that nobody else's assignment is meant."""
    return f'az role assignment delete --role "Keyturn secrets ({deployment})" --scope {quote(vault)}'


def _vault(one: Topic) -> str:
    return _id(one, "Microsoft.KeyVault/vaults", str(one["vault"]))


def _id(one: Topic, kind: str, name: str) -> str:
    return f"/subscriptions/{one['subscriptionId']}/resourceGroups/{one['resourceGroup']}/providers/{kind}/{name}"
