"""Vaults and their Event Grid topics, as the cloud keeps them: `vaults` by name, `deleted_vaults`, `topics`."""

from tests.infra.az.cloud import SUBSCRIPTION, Cloud, Json, Options, Refused, one

TOPIC_PRINCIPAL = "00000000-0000-0000-0000-0000000000cc"


def vault(name: str, group: str = "rg-orders-prod", subscription: str = SUBSCRIPTION, **properties: Json) -> Json:
    """One with roles, purge protection and no firewall."""
    return {
        "id": f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}",
        "name": name, "location": "westeurope", "resourceGroup": group, "tags": {},
        "properties": {
            "enableRbacAuthorization": True, "enablePurgeProtection": True, "publicNetworkAccess": "Enabled",
            "networkAcls": {"bypass": "AzureServices", "defaultAction": "Allow"}, **properties,
        },
    }  # fmt: skip


def topic(vault_id: str, name: str, tags: Json = None, identity: str | None = "SystemAssigned") -> Json:
    group = vault_id.partition("/providers/")[0]
    return {
        "id": f"{group}/providers/Microsoft.EventGrid/systemTopics/{name}", "name": name, "source": vault_id,
        "location": "westeurope", "tags": tags, "identity": {"type": identity, "principalId": TOPIC_PRINCIPAL},
    }  # fmt: skip


def _subscription(options: Options) -> str:
    return f"/subscriptions/{options.get('--subscription', [SUBSCRIPTION])[0]}/"


def vault_list(cloud: Cloud, options: Options) -> Json:
    found = [each for each in cloud["vaults"].values() if each["id"].startswith(_subscription(options))]
    return [{key: each[key] for key in ("id", "name", "location", "resourceGroup", "tags")} for each in found]


def vault_show(cloud: Cloud, options: Options) -> Json:
    name, group = one(options, "--name"), one(options, "--resource-group")
    found = cloud["vaults"].get(name)
    if found is None or found["resourceGroup"].lower() != group.lower():
        raise Refused(f"(ResourceNotFound) The Resource 'Microsoft.KeyVault/vaults/{name}' was not found.", 3)
    return found


def deleted_list(cloud: Cloud, options: Options) -> Json:
    """All of them are of the deployment's subscription."""
    ours = _subscription(options) == f"/subscriptions/{SUBSCRIPTION}/"
    names = cloud.get("deleted_vaults", []) if ours else []
    return [{"name": name, "properties": {"location": "westeurope"}} for name in names]


def topic_list(cloud: Cloud, options: Options) -> Json:
    return [each for each in cloud["topics"].values() if each["id"].startswith(_subscription(options))]


def deployed(cloud: Cloud, given: Json) -> Json:
    """The output TOPICS, after what main.bicep does for each vault."""
    topics = []
    for asked in given["vaults"]:
        name, group = asked["name"], asked.get("resourceGroup", f"rg-{given['name']}")
        subscription = asked.get("subscriptionId", SUBSCRIPTION)
        if asked.get("create"):
            cloud["vaults"][name] = vault(name, group, subscription) | {"tags": {"keyturn": given["name"]}}
            cloud["resources"][cloud["vaults"][name]["id"]] = {"tags": {"keyturn": given["name"]}}
        if name not in cloud["vaults"]:
            raise Refused(f"(ParentResourceNotFound) no vault {name}")
        there = cloud["vaults"][name]["id"]
        sources = {each["source"]: each["name"] for each in cloud["topics"].values()}
        wanted = asked.get("topicName") or f"evgst-{name}"
        if sources.get(there, wanted) != wanted:
            raise Refused("(InvalidRequest) Only one system topic is allowed per source.")
        made = topic(there, wanted, {"keyturn": given["name"]})
        cloud["topics"].setdefault(made["id"], made)
        for resource in (there, made["id"]):
            cloud["diagnostics"].setdefault(resource, ["of-others"] if resource == there else [])
            cloud["diagnostics"][resource] = sorted({*cloud["diagnostics"][resource], "keyturn"})
        topics.append({"vault": name, "name": wanted, "resourceGroup": group, "subscriptionId": subscription})
    return topics
