"""What would go wrong with the vaults that a deployment is to look after, and how to mend it.

Sources: Microsoft Learn, "System topics in Azure Event Grid" (one for each source, in the source's region); "Key Vault
soft-delete overview" (a deleted vault holds its name); "Configure network security for Azure Key Vault".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

# az eventgrid system-topic update says that it sets an identity, and does not: Azure/azure-cli, issues 27108 and 28064.
GIVE_IDENTITY = (
    'az rest --method patch --url "{id}?api-version=2025-02-15" --body \'{{"identity": {{"type": "SystemAssigned"}}}}\''
)
Error: TypeAlias = tuple[str, str]  # what is wrong, and the remedy


@dataclass(frozen=True, slots=True)
class Vault:
    """One of the parameter `vaults`. open: without a private network. topic, workspace: '' where none is named."""

    name: str
    subscription: str
    group: str
    location: str
    create: bool
    topic: str
    open: bool
    audit: bool
    workspace: str

    @property
    def id(self) -> str:
        """The resource id, in lower case."""
        group = f"/subscriptions/{self.subscription}/resourcegroups/{self.group}"
        return f"{group}/providers/microsoft.keyvault/vaults/{self.name}".lower()


@dataclass(frozen=True, slots=True)
class There:
    """What az tells, of each subscription and of each vault. logs: the diagnostic settings, by the vault's name."""

    vaults: Sequence[Mapping[str, Any]]
    deleted: Sequence[Mapping[str, Any]]
    topics: Sequence[Mapping[str, Any]]
    shown: Mapping[str, Mapping[str, Any]]
    vault_logs: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    topic_logs: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(slots=True)
class Findings:
    """errors: what to mend first, each with its remedy. warnings: what is worth to be known."""

    errors: list[Error] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def group_of(parameters: Mapping[str, Any], name: str) -> str:
    """The app's resource group."""
    return str(parameters.get("resourceGroupName", {}).get("value") or f"rg-{name}")


def wanted(parameters: Mapping[str, Any], name: str, location: str, subscription: str) -> list[Vault]:
    """The vaults of a parameter file. parameters: its "parameters", as Bicep builds them."""

    def value(key: str) -> Any:
        return parameters.get(key, {}).get("value")

    return [
        Vault(
            name=str(one["name"]).lower(),
            subscription=one.get("subscriptionId") or subscription,
            group=one.get("resourceGroup") or group_of(parameters, name),
            location=one.get("location") or value("location") or location,
            create=bool(one.get("create")),
            topic=one.get("topicName") or "",
            open=value("network") is None,
            audit=one.get("audit", True),
            workspace=value("workspaceId") or "",
        )
        for one in value("vaults") or ()
    ]


def judge(vaults: Sequence[Vault], there: There, deployment: str) -> Findings:
    """What stands in the way of a deployment of that name, for all of its vaults at once."""
    found = Findings()
    for n, vault in enumerate(vaults):
        if vault.name in {one.name for one in vaults[:n]}:
            found.errors.append((f"vault {vault.name} is named twice", "leave one of the two"))
            continue
        shown = there.shown.get(vault.name)
        if shown is None or str(shown["id"]).lower() != vault.id:
            found.errors += _absent(vault, there)
            continue
        topic = topic_of(vault, there.topics)
        found.errors += _not_as_asked(vault, shown, deployment)
        found.errors += _no_topic(vault) if topic is None else _topic(vault, topic, deployment)
        found.errors += _logs(vault, there)
        found.warnings += _weak(vault, shown)
    return found


def _absent(vault: Vault, there: There) -> Iterator[Error]:
    place = next((str(one["id"]).split("/") for one in there.vaults if _lower(one["name"]) == vault.name), None)
    if place is not None:
        made = ", and take `create: true` out" if vault.create else ""
        if place[2].lower() != vault.subscription.lower():
            where, remedy = f"subscription {place[2]}", _write(vault, "subscriptionId", place[2])
        else:
            where, remedy = f"resource group {place[4]}", _write(vault, "resourceGroup", place[4])
        yield f"vault {vault.name} is in the {where}, and not where the parameters look for it", remedy + made
    elif not vault.create:
        yield (
            f"there is no vault {vault.name} in the subscription {vault.subscription}, or this account may not see it",
            "correct its name, write its subscriptionId beside it, or get Reader on it; `create: true` makes a new one",
        )
    elif any(_lower(one["name"]) == vault.name for one in there.deleted):
        yield (
            f"vault {vault.name} can't be made: one of that name was deleted, and holds it",
            f"az keyvault recover --subscription {vault.subscription} --name {vault.name}, and take `create: true` out",
        )
    elif vault.topic:
        yield from _no_topic(vault)


def _not_as_asked(vault: Vault, shown: Mapping[str, Any], deployment: str) -> Iterator[Error]:
    ours = _tag(shown) == deployment
    if vault.create and not ours:
        yield (
            f"vault {vault.name} is there already: to make it would set its firewall and its access model anew",
            f"take `create: true` out, and leave name and resourceGroup: '{vault.group}'",
        )
    # Of a vault that is there, the region is that of the topic that is made for it.
    if _region(shown["location"]) != _region(vault.location) and (vault.create or not vault.topic):
        yield (
            f"vault {vault.name} is in {_region(shown['location'])}, and not in {vault.location}",
            _write(vault, "location", _region(shown["location"])),
        )
    properties = shown["properties"]
    rules = properties.get("networkAcls") or {}
    public = _lower(properties.get("publicNetworkAccess") or "enabled") == "enabled"
    closed = not public or _lower(rules.get("defaultAction") or "allow") == "deny"
    if vault.open and closed and vault.create and ours:
        yield (
            f"vault {vault.name} was made here, has a firewall now, and would be opened",
            (
                "write `param network = {}` again; or let it be open by: "
                f"az keyvault update --name {vault.name} --public-network-access Enabled --default-action Allow"
            ),
        )
    elif vault.open and closed:
        yield (
            f"vault {vault.name} has a firewall, and the app has no fixed address to be let in by",
            "write `param network = {}`, and who deploys in allowedAddresses: docs/deploy.md, A private network",
        )


def topic_of(vault: Vault, topics: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The system topic of a vault; it has one at most."""
    return next((one for one in topics if _lower(one["source"]) == vault.id), None)


def _no_topic(vault: Vault) -> Iterator[Error]:
    if vault.topic:
        yield (
            f"vault {vault.name} has no Event Grid system topic {vault.topic}",
            "take topicName out: the deployment makes one",
        )


def _topic(vault: Vault, topic: Mapping[str, Any], deployment: str) -> Iterator[Error]:
    """One that others made has to be named; one of another Keyturn means that two would rotate the same."""
    name, group, owner = str(topic["name"]), str(topic["id"]).split("/")[4], _tag(topic)
    if owner not in {"", deployment}:
        yield (
            f"the deployment {owner} looks after vault {vault.name}, and two must not rotate the same",
            (
                "take the vault out there first, and run what that prints; if it is gone: "
                f"az tag update --resource-id {topic['id']} --operation Delete --tags keyturn={owner}"
            ),
        )
        return
    if owner == deployment and name == f"evgst-{vault.name}" and not vault.topic:
        return
    if name.lower() != vault.topic.lower():
        yield (
            f"vault {vault.name} has the Event Grid system topic {name} already, and can have one only",
            _write(vault, "topicName", name),
        )
    if group.lower() != vault.group.lower():
        yield (
            f"the Event Grid system topic {name} of vault {vault.name} is in the resource group {group}",
            f"it is needed in {vault.group}: ask its owner to make it anew there, with what is subscribed to it",
        )
    kind = _lower((topic.get("identity") or {}).get("type") or "none")
    if "systemassigned" not in kind:
        by_hand = "portal: the topic, Identity, System assigned, On"
        yield (
            f"the Event Grid system topic {name} of vault {vault.name} has no identity to write dead letters by",
            GIVE_IDENTITY.format(id=topic["id"]) if kind == "none" else by_hand,
        )


def _logs(vault: Vault, there: There) -> Iterator[Error]:
    """Azure refuses a second setting that sends the same log of a resource to the same workspace."""
    already = "to that workspace already, and can do so once only: by the setting"
    by = _sender(there.vault_logs.get(vault.name, ()), vault.workspace, {"auditevent", "audit", "alllogs"})
    if by and vault.audit:
        yield f"vault {vault.name} sends its audit log {already} {by}", _write(vault, "audit", "false", quote="")
    by = _sender(there.topic_logs.get(vault.name, ()), vault.workspace, {"deliveryfailures", "alllogs"})
    if by:
        yield (
            f"the Event Grid system topic of vault {vault.name} sends its failures {already} {by}",
            f"have its owner take DeliveryFailures out of {by}, or name another workspaceId",
        )


def _sender(settings: Sequence[Mapping[str, Any]], workspace: str, logs: Collection[str]) -> str:
    """The name of the diagnostic setting of somebody else that sends one of these logs to a workspace."""
    for setting in settings:
        if setting["name"] == "keyturn" or not workspace or _lower(setting.get("workspaceId")) != workspace.lower():
            continue
        if any(
            one["enabled"] and _lower(one.get("category") or one.get("categoryGroup")) in logs
            for one in (setting.get("logs") or ())
        ):
            return str(setting["name"])
    return ""


def _weak(vault: Vault, shown: Mapping[str, Any]) -> Iterator[str]:
    properties = shown["properties"]
    if not properties.get("enableRbacAuthorization"):
        yield f"vault {vault.name} decides by access policies: step 9 prints what lets the app in"
    if not properties.get("enablePurgeProtection"):
        yield f"vault {vault.name} has no purge protection: a deleted secret can be lost for good"


def _write(vault: Vault, key: str, value: str, quote: str = "'") -> str:
    return f"write {key}: {quote}{value}{quote} beside name: '{vault.name}' in the parameters"


def _tag(resource: Mapping[str, Any]) -> str:
    """The deployment that made it; nothing where none did."""
    return str((resource.get("tags") or {}).get("keyturn") or "")


def _lower(text: object) -> str:
    return str(text).lower()


def _region(name: object) -> str:
    """Regions are told as "West Europe" and as "westeurope"."""
    return _lower(name).replace(" ", "")
