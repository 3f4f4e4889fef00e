"""Resources, rights, blobs and events, and the raw calls of `az rest`."""

import json
from pathlib import Path

from tests.infra.az.cloud import SUBSCRIPTION, Cloud, Json, Options, Refused, one
from tests.infra.az.deployments import functions
from tests.infra.az.directory import graph_roles


def rest(cloud: Cloud, options: Options) -> Json:
    method, url = one(options, "--method"), one(options, "--url")
    if "/v1.0/applications/" in url and method == "patch":
        app = next(app for app in cloud["apps"].values() if url.endswith("/" + app["id"]))
        api = json.loads(one(options, "--body"))["api"]
        scopes = {scope["id"] for scope in app["api"].get("oauth2PermissionScopes", [])}
        for client in api.get("preAuthorizedApplications", []):
            if not set(client["delegatedPermissionIds"]) <= scopes:
                raise Refused("Bad Request: One or more of the permission ids is invalid.")
        app["api"].update(api)
        cloud.save()
        return None
    if "/v1.0/servicePrincipals/" in url:
        return graph_roles(cloud, method, url, options)
    if not url.startswith("/subscriptions/") or "?api-version=" not in url:
        raise Refused(f"Bad Request: {url}")
    if (about := url.partition("?")[0].removeprefix(f"/subscriptions/{SUBSCRIPTION}")) in PLACES:
        return {"value": PLACES[about](cloud)}
    site = cloud.get("site")
    path = url.split("?")[0]
    if site is None or not path.startswith(site["id"]):
        raise Refused("Not Found: The Resource 'Microsoft.Web/sites' was not found.")
    match method, path.removeprefix(site["id"]):
        case "get", "":
            return site
        case "get", "/functions":
            return functions(cloud)
    return _configured(cloud, method, path.removeprefix(site["id"]))


def _groups(cloud: Cloud) -> Json:
    return cloud.get("groups", [])


def _regions(cloud: Cloud) -> Json:
    """Of Flex Consumption: name -> what stands in orgDomain."""
    told = cloud.get("regions", {"West Europe": "PUBLIC;FLEXCONSUMPTION;FCZONEREDUNDANCY", "West US": "PUBLIC"})
    return [{"name": name, "properties": {"orgDomain": words}} for name, words in told.items()]


def _skus(cloud: Cloud) -> Json:
    """One row for each kind and region, as Azure tells them."""
    names = cloud.get("skus", ["Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_GZRS"])
    kinds = [("storageAccounts", "StorageV2"), ("storageAccounts", "BlobStorage"), ("other", "StorageV2")]
    return [
        {"resourceType": kind, "kind": account, "name": name, "locations": ["westeurope"], "restrictions": []}
        for name in names
        for kind, account in kinds
    ]


PLACES = {
    "/resourcegroups": _groups,
    "/providers/Microsoft.Web/geoRegions": _regions,
    "/providers/Microsoft.Storage/skus": _skus,
}


def _configured(cloud: Cloud, method: str, path: str) -> Json:
    """Who is let in by the app."""
    match method, path:
        case "get", "/config/authsettingsV2":
            return {"properties": cloud["auth"]}
        case "post", "/host/default/listKeys":
            return {"masterKey": "master", "functionKeys": {"default": cloud["function_key"]}}
    raise Refused(f"Not Found: {method} {path}")


def blob_exists(cloud: Cloud, options: Options) -> Json:
    assert options["--auth-mode"] == ["login"]
    return {"exists": "package" in cloud}


def blob_download(cloud: Cloud, options: Options) -> Json:
    if "package" not in cloud:
        raise Refused("The specified blob does not exist. ErrorCode:BlobNotFound", 3)
    Path(one(options, "--file")).write_bytes(Path(cloud["package"]).read_bytes())
    return {}


def resource_list(cloud: Cloud, options: Options) -> Json:
    key, _, value = options.get("--tag", [""])[0].partition("=")
    group = options.get("--resource-group", [""])[0]
    if key and group:
        raise Refused("you cannot use '--tag' with '--resource-group'", 2)
    home = options.get("--subscription", [SUBSCRIPTION])[0]
    return [
        {"id": identity, "type": "/".join(identity.split("/")[6:8]), "tags": resource["tags"]}
        for identity, resource in cloud["resources"].items()
        if identity.startswith(f"/subscriptions/{home}/")
        and (not key or resource["tags"].get(key) == value)
        and (not group or f"/resourceGroups/{group}/" in identity)
    ]


def identity_show(cloud: Cloud, options: Options) -> Json:
    if one(options, "--ids") not in cloud["resources"]:
        raise Refused("(ResourceNotFound) The identity was not found.", 3)
    return {"principalId": "00000000-0000-0000-0000-0000000000ff"}


def resource_delete(cloud: Cloud, options: Options) -> Json:
    identity = one(options, "--ids")
    if identity not in cloud["resources"]:
        raise Refused(f"(ResourceNotFound) The Resource '{identity}' was not found.", 3)
    if "/serverfarms/" in identity and any("/sites/func-" in other for other in cloud["resources"]):
        raise Refused("(Conflict) Server farm cannot be deleted because it has web app(s) assigned to it.")
    if "/vaults/" in identity:
        raise AssertionError("a vault was deleted")
    if identity in cloud.get("locked", []):
        raise Refused("(ScopeLocked) The scope cannot perform delete operation because it is locked.")
    del cloud["resources"][identity]
    if "/sites/" in identity:
        cloud.pop("site", None)
        cloud.pop("package", None)
    cloud.save()


def assignments(cloud: Cloud, options: Options) -> Json:
    """Each stands at the scope that its id names; or as a test tells all of it."""
    scope = options.get("--scope", [""])[0]
    found: list[Json] = [
        one if isinstance(one, dict) else {"id": one, "scope": one.partition("/providers/Microsoft.Authorization/")[0]}
        for one in cloud["assignments"]
    ]
    return [one for one in found if not scope or one["scope"].lower() == scope.lower()]


def assignment_delete(cloud: Cloud, options: Options) -> Json:
    cloud["assignments"].remove(one(options, "--ids"))
    cloud.save()


def policy_delete(cloud: Cloud, options: Options) -> Json:
    properties = cloud["vaults"][one(options, "--name")]["properties"]
    gone = one(options, "--object-id")
    properties["accessPolicies"] = [each for each in properties["accessPolicies"] if each["objectId"] != gone]
    cloud.save()


def role_delete(cloud: Cloud, options: Options) -> Json:
    if cloud["assignments"]:
        raise Refused("(RoleDefinitionHasAssignments) There are existing role assignments referencing role.")
    cloud["roles"] = [role for role in cloud["roles"] if role["name"] != one(options, "--name")]
    cloud.save()


def events_list(cloud: Cloud, options: Options) -> Json:
    topic = one(options, "--system-topic-name")
    return [{"name": key.split("/")[1]} for key in cloud["event_subscriptions"] if key.startswith(f"{topic}/")]


def events_delete(cloud: Cloud, options: Options) -> Json:
    del cloud["event_subscriptions"][f"{one(options, '--system-topic-name')}/{one(options, '--name')}"]
    cloud.save()


def diagnostics_list(cloud: Cloud, options: Options) -> Json:
    """Names; or as a test tells all of it."""
    wanted = one(options, "--resource").lower()
    found = [each for resource, each in cloud["diagnostics"].items() if resource.lower() == wanted]
    return [each if isinstance(each, dict) else {"name": each, "logs": []} for settings in found for each in settings]


def diagnostics_delete(cloud: Cloud, options: Options) -> Json:
    cloud["diagnostics"][one(options, "--resource")].remove(one(options, "--name"))
    cloud.save()
