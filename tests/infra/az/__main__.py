"""The command line: `python -m tests.infra.az ARGUMENT …`."""

import json
import sys
from collections.abc import Callable

import jmespath  # what az itself uses for --query

from tests.infra.az import deployments, directory, parameters, resources, vaults
from tests.infra.az.cloud import HOME, ME, SUBSCRIPTION, Cloud, Json, Options, Refused

GLOBAL = {"--query", "--output", "--only-show-errors", "--subscription"}
FLAGS = {
    "--yes",
    "--all",
    "--include-inherited",
    "--include-groups",
    "--show-mine",
    "--no-progress",
    "--stdout",
    "--only-show-errors",
}


def main(arguments: list[str]) -> int:
    with (HOME / "calls.jsonl").open("a") as log:
        log.write(json.dumps(arguments) + "\n")
    try:
        result, options = answered(Cloud.load(), arguments)
    except Refused as error:
        sys.stderr.write(f"ERROR: {error}\n")
        return error.code
    show(result, options)
    return 0


def answered(cloud: Cloud, arguments: list[str]) -> tuple[Json, Options]:
    words, options = parsed(arguments)
    allowed, handler = COMMANDS[words]
    unknown = set(options) - set(allowed.split()) - GLOBAL
    if unknown:
        raise Refused(f"unrecognized arguments: {' '.join(sorted(unknown))}", 2)
    if not cloud["logged_in"] and words != "version":
        raise Refused("Please run 'az login' to setup account.")
    for command, said in cloud.get("refuse", {}).items():
        if " ".join(arguments).startswith(command):
            raise Refused(said)
    return handler(cloud, options), options


def parsed(arguments: list[str]) -> tuple[str, Options]:
    words = []
    for argument in arguments:
        if argument.startswith("-"):
            break
        words.append(argument)
    command = " ".join(words)
    if command not in COMMANDS:
        raise Refused(f"'{command}' is misspelled or not recognized by the system.", 2)
    options: Options = {}
    current = ""
    for argument in arguments[len(words) :]:
        if argument.startswith("--"):
            current = argument
            options.setdefault(current, [])
        else:
            options[current].append(argument)
    for name, values in options.items():
        if not values and name not in FLAGS:
            raise Refused(f"argument {name}: expected at least one argument", 2)
    return command, options


def show(result: Json, options: Options) -> None:
    if result is None:
        return
    if "--query" in options:
        result = jmespath.search(options["--query"][0], result)
    match options.get("--output", ["json"])[0]:
        case "none":
            pass
        case "tsv":
            rows = result if isinstance(result, list) else [result]
            for row in rows:
                if isinstance(row, list):
                    sys.stdout.write("\t".join(text(cell) for cell in row) + "\n")
                elif row is not None:
                    sys.stdout.write(text(row) + "\n")
        case _:
            sys.stdout.write(json.dumps(result, indent=2) + "\n")


def text(value: Json) -> str:
    return "None" if value is None else value if isinstance(value, str) else json.dumps(value)


def account_show(cloud: Cloud, _options: Options) -> Json:
    return {"id": SUBSCRIPTION, "user": {"name": "ada@example.com", "type": cloud.get("user", "user")}}


def token(_cloud: Cloud, options: Options) -> Json:
    return {"accessToken": "token-for-" + options.get("--scope", ["arm"])[0]}


TOPIC = "--resource-group --system-topic-name"
BLOB = "--account-name --container-name --name --auth-mode"
COMMANDS: dict[str, tuple[str, Callable[[Cloud, Options], Json]]] = {
    "version": ("", lambda cloud, _: {"azure-cli": cloud.get("version", "2.80.0")}),
    "account show": ("", account_show),
    "account get-access-token": ("--scope --resource", token),
    "cloud show": (
        "",
        lambda cloud, _options: {
            "endpoints": {"microsoftGraphResourceId": cloud.get("graph", "https://graph.microsoft.com/")}
        },
    ),
    "provider show": ("--namespace", lambda cloud, _: {"registrationState": cloud.get("provider", "NotRegistered")}),
    "ad app list": ("--display-name --show-mine", directory.app_list),
    "ad app create": ("--display-name --sign-in-audience --app-roles", directory.app_create),
    "ad app update": ("--id --app-roles --identifier-uris", directory.app_update),
    "ad app show": ("--id", directory.the_app),
    "ad app delete": ("--id", directory.app_delete),
    "ad app owner list": ("--id", directory.app_owners),
    "ad signed-in-user show": ("", lambda _cloud, _options: {"id": ME}),
    "ad sp list": ("--filter", directory.sp_list),
    "ad sp show": ("--id", lambda _cloud, _options: {"id": ME}),
    "ad sp create": ("--id", directory.sp_create),
    "rest": ("--method --url --body --headers", resources.rest),
    "deployment sub create": ("--name --location --template-file --parameters", deployments.deployment_create),
    "deployment sub what-if": ("--name --location --template-file --parameters", deployments.deployment_what_if),
    "deployment sub show": ("--name", deployments.deployment_show),
    "deployment sub list": ("", lambda cloud, _: list(cloud["deployments"].values())),
    "deployment sub delete": ("--name", deployments.deployment_delete),
    "storage blob exists": (BLOB, resources.blob_exists),
    "storage blob download": (BLOB + " --file --no-progress", resources.blob_download),
    "resource list": ("--tag --resource-group", resources.resource_list),
    "resource delete": ("--ids", resources.resource_delete),
    "identity show": ("--ids", resources.identity_show),
    "bicep build": ("--file --stdout", parameters.build),
    "bicep build-params": ("--file --stdout", parameters.build_params),
    "bicep install": ("--version", lambda _cloud, _options: None),
    "bicep upgrade": ("", lambda _cloud, _options: None),
    "bicep version": ("", parameters.version),
    "keyvault list": ("--resource-type", vaults.vault_list),
    "keyvault list-deleted": ("--resource-type", vaults.deleted_list),
    "keyvault show": ("--resource-group --name", vaults.vault_show),
    "keyvault delete-policy": ("--resource-group --name --object-id", resources.policy_delete),
    "eventgrid system-topic list": ("", vaults.topic_list),
    "role assignment list": ("--all --assignee --scope --include-inherited --include-groups", resources.assignments),
    "role assignment delete": ("--ids", resources.assignment_delete),
    "role definition list": ("--custom-role-only", lambda cloud, _: cloud["roles"]),
    "role definition delete": ("--name", resources.role_delete),
    "eventgrid system-topic event-subscription list": (TOPIC, resources.events_list),
    "eventgrid system-topic event-subscription delete": (TOPIC + " --name --yes", resources.events_delete),
    "monitor diagnostic-settings list": ("--resource", resources.diagnostics_list),
    "monitor diagnostic-settings delete": ("--resource --name", resources.diagnostics_delete),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
