"""What would go wrong with the vaults that a deployment is to look after, and how to mend it.

Sources: Microsoft Learn, "System topics in Azure Event Grid" (one for each source, in the source's region); "Key Vault
soft-delete overview" (a deleted vault holds its name); "Configure network security for Azure Key Vault".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# az eventgrid system-topic update says that it sets an identity, and does not: Azure/azure-cli, issues 27108 and 28064.
GIVE_IDENTITY = (
    'az rest --method patch --url "{id}?api-version=2025-02-15" --body \'{{"identity": {{"type": "SystemAssigned"}}}}\''
)


@dataclass(frozen=True, slots=True)
class Vault:
    """One of the parameter `vaults`. open: no private network is asked for. topic: '' where it names none."""

    name: str
    subscription: str
    group: str
    location: str
    create: bool
    topic: str
    open: bool

    @property
    def id(self) -> str:
        """The resource id, in lower case."""
        group = f"/subscriptions/{self.subscription}/resourcegroups/{self.group}"
        return f"{group}/providers/microsoft.keyvault/vaults/{self.name}".lower()


@dataclass(frozen=True, slots=True)
class There:
    """What az tells: of each subscription its vaults, deleted vaults and system topics; of each vault all of it."""

    vaults: Sequence[Mapping[str, Any]]
    deleted: Sequence[Mapping[str, Any]]
    topics: Sequence[Mapping[str, Any]]
    shown: Mapping[str, Mapping[str, Any]]


@dataclass(slots=True)
class Findings:
    """errors: what to mend first, each with its remedy. warnings: what is worth to be known."""

    errors: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def wanted(parameters: Mapping[str, Any], name: str, location: str, subscription: str) -> list[Vault]:
    """The vaults of a parameter file. parameters: its "parameters", as Bicep builds them."""

    def value(key: str) -> Any:
        return parameters.get(key, {}).get("value")

    return [
        Vault(
            name=str(one["name"]).lower(),
            subscription=one.get("subscriptionId") or subscription,
            group=one.get("resourceGroup") or value("resourceGroupName") or f"rg-{name}",
            location=one.get("location") or value("location") or location,
            create=bool(one.get("create")),
            topic=one.get("topicName") or "",
            open=value("network") is None,
        )
        for one in value("vaults") or ()
    ]


def judge(vaults: Sequence[Vault], there: There, deployment: str) -> Findings:
    """What stands in the way of a deployment of that name, for all of its vaults at once."""
    found = Findings()
    for vault in vaults:
        if vault.name in {one.name for one in vaults if one is not vault}:
            found.errors.append((f"vault {vault.name} is named twice", "leave one of the two"))
            break
        same_name = [one for one in there.vaults if str(one["name"]).lower() == vault.name]
        if not any(str(one["id"]).lower() == vault.id for one in same_name):
            found.errors += _absent(vault, same_name, there.deleted)
            continue
        shown = there.shown[vault.name]
        found.errors += _not_as_asked(vault, shown, deployment)
        found.errors += _topic(vault, there.topics, deployment)
        found.warnings += _weak(vault, shown)
    return found


def _absent(
    vault: Vault, same_name: Sequence[Mapping[str, Any]], deleted: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    if same_name:
        group = str(same_name[0]["id"]).split("/")[4]
        wrong = f"vault {vault.name} is in the resource group {group}, and not in {vault.group}"
        made = ", and take `create: true` out" if vault.create else ""
        yield wrong, _write(vault, "resourceGroup", group) + made
    elif not vault.create:
        yield (
            f"there is no vault {vault.name} in the subscription {vault.subscription}",
            "correct its name, or write its subscriptionId beside it; `create: true` makes a new one",
        )
    elif any(str(one["name"]).lower() == vault.name for one in deleted):
        yield (
            f"vault {vault.name} can't be made: one of that name was deleted, and holds it",
            f"az keyvault recover --name {vault.name}, and take `create: true` out; or choose another name",
        )


def _not_as_asked(vault: Vault, shown: Mapping[str, Any], deployment: str) -> Iterator[tuple[str, str]]:
    properties = shown["properties"]
    if vault.create and (shown.get("tags") or {}).get("keyturn") != deployment:
        yield (
            f"vault {vault.name} is there already: to make it would set its firewall and its access model anew",
            f"take `create: true` out, and leave name and resourceGroup: '{vault.group}'",
        )
    if _region(shown["location"]) != _region(vault.location):
        yield (
            f"vault {vault.name} is in {_region(shown['location'])}, and not in {vault.location}",
            _write(vault, "location", _region(shown["location"])),
        )
    rules = properties.get("networkAcls") or {}
    closed = (
        _lower(properties.get("publicNetworkAccess") or "enabled") != "enabled"
        or _lower(rules.get("defaultAction") or "allow") == "deny"
    )
    if vault.open and closed:
        yield (
            f"vault {vault.name} has a firewall, and the app has no fixed address to be let in by",
            "give `network`, as infra/enterprise.bicepparam does: the app then reaches it by a private endpoint",
        )


def _topic(vault: Vault, topics: Sequence[Mapping[str, Any]], deployment: str) -> Iterator[tuple[str, str]]:
    """A vault has one system topic at most; one that others made has to be named."""
    topic = next((one for one in topics if str(one["source"]).lower() == vault.id), None)
    if topic is None:
        if vault.topic:
            yield (
                f"vault {vault.name} has no Event Grid system topic {vault.topic}",
                "take topicName out: the deployment makes one",
            )
        return
    name, group = str(topic["name"]), str(topic["id"]).split("/")[4]
    ours = name == f"evgst-{vault.name}" and (topic.get("tags") or {}).get("keyturn") == deployment
    if name.lower() != vault.topic.lower() and not (ours and not vault.topic):
        yield (
            f"vault {vault.name} has the Event Grid system topic {name} already, and can have one only",
            _write(vault, "topicName", name),
        )
    if group.lower() != vault.group.lower():
        yield (
            f"the Event Grid system topic {name} of vault {vault.name} is in the resource group {group}",
            f"it is needed in {vault.group}: have its owner make it anew there, with what is subscribed to it",
        )
    kind = _lower((topic.get("identity") or {}).get("type") or "none")
    if "systemassigned" not in kind:
        by_hand = "portal: the topic, Identity, System assigned, On"
        yield (
            f"the Event Grid system topic {name} of vault {vault.name} has no identity to write dead letters by",
            GIVE_IDENTITY.format(id=topic["id"]) if kind == "none" else by_hand,
        )


def _weak(vault: Vault, shown: Mapping[str, Any]) -> Iterator[str]:
    properties = shown["properties"]
    if not properties.get("enableRbacAuthorization"):
        yield f"vault {vault.name} decides by access policies: what lets the app in is printed at the end"
    if not properties.get("enablePurgeProtection"):
        yield f"vault {vault.name} has no purge protection: a deleted secret can be lost for good"


def _write(vault: Vault, key: str, value: str) -> str:
    return f"write beside name: '{vault.name}' in the parameters: {key}: '{value}'"


def _lower(text: object) -> str:
    return str(text).lower()


def _region(name: object) -> str:
    """Regions are told as "West Europe" and as "westeurope"."""
    return _lower(name).replace(" ", "")
