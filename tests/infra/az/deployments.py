"""Deployments: what they refuse, and what they leave behind."""

import json
import re
from pathlib import Path

from tests.infra.az import vaults
from tests.infra.az.cloud import SUBSCRIPTION, Cloud, Json, Options, Refused, one
from tests.infra.az.parameters import declared, parameters

PACKAGES = "https://sthost.blob.core.windows.net/packages"


def deployment_create(cloud: Cloud, options: Options) -> Json:
    name, given = deployment(options)
    record: Json = {"name": name, "properties": {"parameters": {key: {"value": value} for key, value in given.items()}}}
    cloud["deployments"][name] = record  # a failed deployment is recorded too, without outputs
    cloud.save()
    record["properties"]["outputs"] = EFFECTS[template(options).name](cloud, given)
    cloud.save()
    return record


def deployment_what_if(_cloud: Cloud, options: Options) -> Json:
    deployment(options)
    return {"changes": []}


def deployment(options: Options) -> tuple[str, Json]:
    one(options, "--location")
    file = template(options)
    given = {}
    for value in options.get("--parameters", []):
        if value.endswith(".bicepparam"):
            given.update(parameters(Path(value)))
            continue
        name, equals, content = value.partition("=")
        if not equals:
            raise Refused(f"Unable to parse parameter: {value}")
        given[name] = json.loads(Path(content[1:]).read_text()) if content.startswith("@") else content
    known = declared(file)
    for name in given:
        if name not in known:
            raise Refused(f"InvalidTemplate: the following parameters were supplied, but do not correspond: '{name}'")
    for name, required in known.items():
        if required and name not in given:
            raise Refused(f"Missing input parameters: {name}")
    return one(options, "--name"), given


def template(options: Options) -> Path:
    files = options.get("--template-file", [])
    for value in options.get("--parameters", []):
        if value.endswith(".bicepparam"):
            (used,) = re.findall(r"^using '(.+)'", Path(value).read_text(), re.MULTILINE)
            files = [str(Path(value).parent / used)]
    if not files or not Path(files[0]).exists():
        raise Refused(f"[Errno 2] No such file or directory: {files}")
    return Path(files[0])


def infrastructure(cloud: Cloud, given: Json) -> Json:
    name = given["name"]
    if given["httpAuth"] == "entra" and not given["entraClientId"]:
        raise Refused("InvalidTemplateDeployment: entraClientId is empty")
    if not isinstance(given["grants"], list):
        raise Refused("InvalidTemplateDeployment: grants is no array")
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-{name}/providers"
    tags = {"keyturn": name}
    app = f"{group}/Microsoft.Web/sites/func-{name}"
    for identity, extra in (
        (app, {}),
        (f"{group}/Microsoft.Web/serverfarms/plan-{name}", {}),
        (f"{group}/Microsoft.Storage/storageAccounts/sthost", {}),
        (f"{group}/Microsoft.Storage/storageAccounts/stledger", {"keyturn-keep": "ledger"}),
        (f"{group}/Microsoft.ManagedIdentity/userAssignedIdentities/id-{name}", {}),
    ):
        cloud["resources"][identity] = {"tags": tags | extra}
    cloud["site"] = {
        "id": app,
        "properties": {
            "defaultHostName": cloud["host"],
            "hostNameSslStates": [
                {"name": "func.azurewebsites.net", "hostType": "Standard"},
                {"name": cloud["host"], "hostType": "Repository"},
            ],
            "functionAppConfig": {
                "deployment": {"storage": {"value": "https://sthost.blob.core.windows.net/packages"}}
            },
        },
    }
    topics = vaults.deployed(cloud, given)
    cloud["auth"] = {
        "platform": {"enabled": given["httpAuth"] == "entra"},
        "identityProviders": {"azureActiveDirectory": {"registration": {"clientId": given["entraClientId"]}}},
    }
    right = f"{group}/Microsoft.Authorization/roleAssignments/1"
    cloud["assignments"] = [right, *(one for one in cloud["assignments"] if one != right)]
    cloud["roles"] = [{"name": "role-1", "roleName": f"Keyturn secrets ({name})"}]
    outputs = {
        "resourcE_GROUP": f"rg-{name}",
        "functioN_APP_ID": app,
        "functioN_APP_URL": f"https://{cloud['host']}",
        "storagE_ACCOUNT_ID": f"{group}/Microsoft.Storage/storageAccounts/sthost",
        "deaD_LETTER_CONTAINER": "dead-letters",
        "identitY_PRINCIPAL_ID": "00000000-0000-0000-0000-0000000000ff",
        "topics": topics,
        "places": {"vault": [cloud["vaults"][one["vault"]]["id"] for one in topics]},
    }
    return {key: {"type": "String", "value": value} for key, value in outputs.items()}


def subscription(cloud: Cloud, given: Json) -> Json:
    if not functions(cloud)["value"]:
        raise Refused("Url validation: Destination endpoint not found. Resource should pre-exist.")
    for topic in given["topics"]:
        key = f"{topic['name']}/{given['name']}"
        schema = given.get("schema", "CloudEventSchemaV1_0")
        if cloud["event_subscriptions"].get(key, schema) != schema:
            raise Refused("Cannot update the event delivery schema of an existing event subscription.")
        cloud["event_subscriptions"][key] = schema
    return {}


def deployment_show(cloud: Cloud, options: Options) -> Json:
    if one(options, "--name") not in cloud["deployments"]:
        raise Refused(f"(DeploymentNotFound) Deployment '{options['--name'][0]}' could not be found.", 3)
    return cloud["deployments"][options["--name"][0]]


def deployment_delete(cloud: Cloud, options: Options) -> Json:
    deployment_show(cloud, options)
    del cloud["deployments"][options["--name"][0]]
    cloud.save()


def functions(cloud: Cloud) -> Json:
    """None before the code is there, and for some looks after."""
    if cloud.get("looks_until_listed", 0) > 0 and "package" in cloud:
        cloud["looks_until_listed"] -= 1
        cloud.save()
        return {"value": []}
    names = ("near_expiry", "rotate", "sweep") if "package" in cloud and not cloud.get("broken_code") else ()
    return {"value": [{"name": f"func/{name}"} for name in names]}


EFFECTS = {"main.bicep": infrastructure, "subscription.bicep": subscription}
