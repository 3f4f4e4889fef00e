"""What the app tells the platform when it starts, and how it refuses to."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GOOD = {
    "ROTATION_VAULTS": "https://kv-orders-prod.vault.azure.net",
    "ROTATION_LEDGER": "https://stkeyturn.blob.core.windows.net/ledger",
    "ROTATION_HTTP_AUTH": "key",
}
LEDGER_ACCOUNT = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/stkeyturn"
RULE = """
[[rule]]
vaults = ["kv-orders-prod"]
secrets = ["orders-*"]
rotators = ["postgres"]
targets = ["orders.example.com"]
slots = ["orders_app"]
"""


async def start(tmp_path: Path, **settings: str) -> tuple[int, str, str]:
    """Index the app as Azure does -> exit code, standard output, standard error."""
    plain = {
        name: text for name, text in os.environ.items() if not name.startswith(("ROTATION_", "AZURE_", "WEBSITE_"))
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local.host", "--app", str(ROOT), "--data", str(tmp_path), "--list",
        cwd=ROOT, env={**plain, **{name: text for name, text in (GOOD | settings).items() if text}},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def test_the_worker_library_lists_what_the_design_promises(tmp_path: Path) -> None:
    code, out, error = await start(tmp_path)
    assert code == 0, error
    found = {one["name"]: one["bindings"] for one in json.loads(out)}
    assert {name: triggers(bindings) for name, bindings in found.items()} == {
        "near_expiry": ("eventGridTrigger",),
        "rotate": ("queueTrigger", "rotation-requests"),
        "sweep": ("timerTrigger", "0 0 * * * *"),
        "rotate_now": ("httpTrigger", "vaults/{vault}/secrets/{name}/rotate", ["POST"], "FUNCTION"),
        "rotate_many": ("httpTrigger", "rotations", ["POST"], "FUNCTION"),
        "list_secrets": ("httpTrigger", "vaults/{vault}/secrets", ["GET"], "FUNCTION"),
        "read_secret": ("httpTrigger", "vaults/{vault}/secrets/{name}", ["GET"], "FUNCTION"),
        "read_readers": ("httpTrigger", "vaults/{vault}/secrets/{name}/readers", ["GET"], "FUNCTION"),
        "health": ("httpTrigger", "health", ["GET"], "ANONYMOUS"),
        "openapi": ("httpTrigger", "openapi.json", ["GET"], "ANONYMOUS"),
    }
    outputs = {name: outputs_of(bindings) for name, bindings in found.items()}
    queue = [("queue", "rotation-requests", "AzureWebJobsStorage")]
    assert outputs == {
        "near_expiry": queue, "sweep": queue, "rotate_many": queue,
        "rotate": [], "rotate_now": [], "list_secrets": [], "read_secret": [], "read_readers": [],
        "health": [], "openapi": [],
    }  # fmt: skip


async def test_the_document_names_the_functions_that_http_starts_and_their_routes(tmp_path: Path) -> None:
    _, out, _ = await start(tmp_path)
    http = {one["name"]: triggers(one["bindings"]) for one in json.loads(out)}
    served = [(name, *trigger[1:3]) for name, trigger in http.items() if trigger[0] == "httpTrigger"]
    paths = json.loads((ROOT / "handlers" / "openapi.json").read_text())["paths"]
    assert {(name, f"/api/{route}", *methods) for name, route, methods in served} == {
        (told["operationId"], path, method.upper())
        for path, methods in paths.items() for method, told in methods.items() if method != "parameters"
    }  # fmt: skip


def triggers(bindings: list[dict[str, Any]]) -> tuple[Any, ...]:
    (trigger,) = (one for one in bindings if one["type"].endswith("Trigger"))
    wanted = ("type", "queueName", "schedule", "route", "methods", "authLevel")
    return tuple(trigger[name] for name in wanted if trigger.get(name) is not None)


def outputs_of(bindings: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(one["type"], one["queueName"], one["connection"]) for one in bindings if one["type"] == "queue"]


async def test_with_app_service_authentication_in_front_no_key_is_asked_for(tmp_path: Path) -> None:
    code, out, _ = await start(tmp_path, ROTATION_HTTP_AUTH="entra", WEBSITE_AUTH_ENABLED="True")
    assert code == 0
    http = [one for one in json.loads(out) if triggers(one["bindings"])[0] == "httpTrigger"]
    assert {triggers(one["bindings"])[-1] for one in http} == {"ANONYMOUS"}


async def test_without_it_the_app_starts_and_its_http_functions_answer_by_themselves(tmp_path: Path) -> None:
    code, out, error = await start(tmp_path, ROTATION_HTTP_AUTH="")
    assert code == 0, error
    http = [one for one in json.loads(out) if triggers(one["bindings"])[0] == "httpTrigger"]
    assert {triggers(one["bindings"])[-1] for one in http} == {"ANONYMOUS"}  # a 503 that says why, instead of a 401


async def test_an_azure_functions_that_loses_the_type_of_events_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import azure.functions as f\nf.__version__ = '1.24.0'\n")
    await refused(tmp_path, "azure-functions 1.24.0", PYTHONPATH=str(tmp_path))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ROTATION_VAULTS": ""}, "ROTATION_VAULTS"),
        ({"ROTATION_VAULTS": "http://kv.vault.azure.net"}, "ROTATION_VAULTS"),
        ({"ROTATION_LEDGER": ""}, "ROTATION_LEDGER"),
        ({"ROTATION_LEDGER": "somewhere"}, "ROTATION_LEDGER"),
        ({"ROTATION_HTTP_AUTH": "none"}, "ROTATION_HTTP_AUTH"),
        ({"ROTATION_OUTCOME_TOPIC": "http://topic"}, "ROTATION_OUTCOME_TOPIC"),
        ({"ROTATION_POLICY": "nowhere.toml"}, "nowhere.toml"),
        ({"ROTATION_SWEEP_SCHEDULE": "every hour"}, "ROTATION_SWEEP_SCHEDULE"),
        ({"ROTATION_SWEEP_SCHEDULE": "0 0 3 * * 7"}, "ROTATION_SWEEP_SCHEDULE"),
        ({"ROTATION_SWEEP_SCHEDULE": "0 0 22-2 * * *"}, "backwards"),
        ({"ROTATION_SWEEP_SCHEDULE": "0 0 0 31 2 *"}, "never comes"),
        ({"ROTATION_OWN_ACCOUNTS": "stkeyturn"}, "ROTATION_OWN_ACCOUNTS"),
    ],
)
async def test_a_missing_or_wrong_setting_stops_the_start(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    await refused(tmp_path, said, **settings)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("this is no TOML", "policy.toml:1: "),
        (RULE.replace('"orders.example.com"', '"orders-*.postgres.database.azure.com"'), "targets"),
        (RULE + 'admin = "secret:orders-admin"\n', "orders-admin"),
        (RULE.replace("postgres", "storage-key").replace("orders.example.com", LEDGER_ACCOUNT), "stkeyturn"),
        (RULE.replace('s"]\n', 's-alternating"]\n').replace('"orders_app"', '"a", "b", "c"'), 'pairs = [["a", "b"]]'),
        (RULE + 'admin = "secret:pg"\nadmin-user = "orders_app"\n', "policy.toml:7: `slots` names the administrator"),
        (RULE + 'admin = "secret:pg"\ntls = "disable"\n', 'write tls = "verify-full"'),
        (RULE + 'admin = "secret:pg--staged"\n', "staged values"),
        (RULE + 'admin = "identity"\n', "this app's own token"),
    ],
    ids=[
        "no-toml",
        "glob-over-hosts",
        "covers-its-administrator",
        "covers-its-ledger",
        "no-pairs",
        "administrator-among-slots",
        "no-tls",
        "administrator-in-a-companion",
        "token-elsewhere",
    ],
)
async def test_a_policy_that_cant_stand_stops_the_start(tmp_path: Path, policy: str, said: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(policy)
    await refused(tmp_path, said, ROTATION_POLICY=str(file))


async def test_a_scope_over_the_apps_own_accounts_stops_the_start_where_their_ids_are_told(tmp_path: Path) -> None:
    scope = f"{LEDGER_ACCOUNT.partition('/providers')[0]}/*"
    file = tmp_path / "policy.toml"
    file.write_text(RULE.replace("postgres", "storage-key").replace("orders.example.com", scope))
    own = {"ROTATION_POLICY": str(file), "ROTATION_OWN_ACCOUNTS": LEDGER_ACCOUNT}
    await refused(tmp_path, "stkeyturn", **own)
    code, _, error = await start(tmp_path, **(own | {"ROTATION_OWN_ACCOUNTS": ""}))
    assert code == 0, error  # known by its name alone: denied at each rotation


async def refused(tmp_path: Path, said: str, **settings: str) -> None:
    code, out, error = await start(tmp_path, **settings)
    assert code == 1, out
    (line,) = error.strip().splitlines()
    assert line.startswith("host: the app does not start: ")
    assert said in line
