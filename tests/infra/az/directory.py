"""App registrations and service principals, as Graph keeps them."""

import json

from tests.infra.az.cloud import ME, Cloud, Json, Options, Refused, from_file, one


def app_list(cloud: Cloud, options: Options) -> Json:
    wanted = options.get("--display-name", [""])[0]
    apps = cloud["apps"].values()
    if "--show-mine" in options:
        apps = [app for app in apps if ME in app["owners"]]
    return [app for app in apps if app["displayName"].startswith(wanted)]  # as Graph does: a prefix


def app_create(cloud: Cloud, options: Options) -> Json:
    number = f"00000000-0000-0000-0000-{len(cloud['apps']) + 1:012d}"
    roles = from_file(one(options, "--app-roles"))
    cloud["apps"][number] = {
        "appId": number, "id": f"object-{number}", "displayName": one(options, "--display-name"), "owners": [ME],
        "appRoles": roles, "identifierUris": [], "api": {},
    }  # fmt: skip
    cloud.save()
    return cloud["apps"][number]


def app_update(cloud: Cloud, options: Options) -> Json:
    app = the_app(cloud, options)
    if "--app-roles" in options:
        app["appRoles"] = from_file(one(options, "--app-roles"))
    if "--identifier-uris" in options:
        app["identifierUris"] = options["--identifier-uris"]
    cloud.save()


def app_delete(cloud: Cloud, options: Options) -> Json:
    del cloud["apps"][the_app(cloud, options)["appId"]]
    cloud.save()


def app_owners(cloud: Cloud, options: Options) -> Json:
    return [{"id": owner} for owner in the_app(cloud, options)["owners"]]


def the_app(cloud: Cloud, options: Options) -> Json:
    number = one(options, "--id")
    if number not in cloud["apps"]:
        raise Refused(
            f"Resource '{number}' does not exist or one of its queried reference-property objects are not present."
        )
    return cloud["apps"][number]


def sp_list(cloud: Cloud, options: Options) -> Json:
    return [{"id": f"sp-{number}"} for number in cloud["sps"] if f"'{number}'" in one(options, "--filter")]


def sp_create(cloud: Cloud, options: Options) -> Json:
    if one(options, "--id") in cloud["sps"]:
        raise Refused("The service principal cannot be created because the service principal name is already in use.")
    cloud["sps"].append(one(options, "--id"))
    cloud.save()
    return {}


def graph_roles(cloud: Cloud, method: str, url: str, options: Options) -> Json:
    if method == "get":
        return {"value": cloud["role_holders"]}
    body = json.loads(one(options, "--body"))
    if body in cloud["role_holders"]:
        raise Refused("Bad Request: Permission being assigned already exists on the object")
    cloud["role_holders"].append(body)
    cloud.save()
    return body
