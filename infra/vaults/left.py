"""What a deployment leaves on a vault that its parameters name no longer: commands, for a person to read and to run.

They are printed and not run: a vault goes out of a parameter file by mistake too, and its topic may serve others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.vaults.judged import Vault

ALERTS = Path(__file__).parents[1] / "alerts.json"


def left(recorded: Sequence[Mapping[str, Any]], vaults: Sequence[Vault], deployment: str) -> Iterator[str]:
    """Lines for a shell, where $PRINCIPAL is the app's identity.

    recorded: the topics of the deployment before, as main.bicep's output TOPICS tells them.
    """
    kept = {one.id for one in vaults}
    alerts = json.loads(ALERTS.read_text(encoding="utf-8"))["metricAlerts"]
    for one in recorded:
        vault, topic = str(one["vault"]), str(one["name"])
        group = f"/subscriptions/{one['subscriptionId']}/resourceGroups/{one['resourceGroup']}"
        vault_id, topic_id = (
            f"{group}/providers/Microsoft.{what}"
            for what in (f"KeyVault/vaults/{vault}", f"EventGrid/systemTopics/{topic}")
        )
        if vault_id.lower() in kept:
            continue
        place = f"--subscription {one['subscriptionId']} --resource-group {one['resourceGroup']}"
        yield f"# {vault} has left: nothing in it is rotated. On it stay events, audit log, alerts and a right:"
        yield (
            f"az eventgrid system-topic event-subscription delete {place} --system-topic-name {topic} "
            f"--name keyturn-{deployment} --yes"
        )
        for alert in alerts:
            yield f"az monitor metrics alert delete {place} --name keyturn-{vault}-{alert['name']}"
        for watched in (topic_id, vault_id):
            yield f"az monitor diagnostic-settings delete --resource {watched} --name keyturn"
        role = f'--role "Keyturn secrets ({deployment})"'
        yield f'az role assignment delete --assignee "$PRINCIPAL" {role} --scope {vault_id}'
        if topic == f"evgst-{vault}":
            yield f"az eventgrid system-topic delete {place} --name {topic} --yes   # if it serves nobody else"
