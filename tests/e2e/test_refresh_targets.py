"""Refresh targets are asked to take a rotated secret, on the whole local stack: an app's settings and two pipelines."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from local.stack import Stack
from rotation.formats import read
from tests.e2e.deployment import Deployment, logs_in, opened

SITE = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-local/providers/Microsoft.Web/sites/shop"
CONNECTION = "5e47a0d8-c745-44f8-8f93-784f18ff31c4"
POLICY = f"""
[[rule]]
vaults = ["kv-demo"]
secrets = ["shop-*"]
rotators = ["postgres"]
targets = ["localhost", "127.0.0.1"]
slots = ["*"]
min-interval-hours = 0
tls = "disable"
refresh = [
    {{ app-settings = "{SITE}" }},
    {{ azure-devops = "https://dev.azure.com/shop/web", pipeline = 12, branch = "main" }},
    {{ github = "shop/web", workflow = "refresh.yml", ref = "main", token = "kv-demo/github-token" }},
]

[[rule]]
vaults = ["kv-demo"]
secrets = ["pushed-db"]
rotators = ["postgres"]
targets = ["localhost", "127.0.0.1"]
slots = ["*"]
min-interval-hours = 0
tls = "disable"
refresh = [
    {{ github-secret = "shop/web", secret = "DATABASE_URL", token = "kv-demo/github-token" }},
    {{ azure-devops-connection = "https://dev.azure.com/shop/web", connection = "{CONNECTION}", part = "password" }},
]
"""


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Deployment]:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    with Stack(tmp_path / "stack", policy=policy) as stack:
        async with opened(stack, []) as deployment:
            yield deployment


def asked(app: Deployment) -> list[list[str]]:
    return list(app.stack.azure_control.post("asked", {})["calls"])


async def until(true: Callable[[], bool]) -> None:
    for _ in range(120):
        if true():
            return
        await asyncio.sleep(0.5)
    pytest.fail("it was not asked again")


def refreshed(told: Any) -> list[dict[str, str]]:
    return [record["refreshed"] for record in told["history"] if "refreshed" in record]


async def test_each_refresh_target_is_asked_once_again_after_a_lost_answer_and_its_being_down_changes_nothing(
    app: Deployment,
) -> None:
    control, token = app.stack.azure_control, f"ghp_{base64.b32encode(os.urandom(20)).decode()}"
    control.post("refresh-targets", {"kind": "site", "site_id": SITE})
    control.post("refresh-targets", {"kind": "pipeline", "project": "shop/web", "pipeline": "12", "branch": "main"})
    workflow = {"kind": "workflow", "repository": "shop/web", "workflow": "refresh.yml", "ref": "main"}
    control.post("refresh-targets", workflow | {"token": token})
    await app.put("github-token", token, life=None)
    await app.put("shop-db", await app.role("shop_app"), {"rotator": "postgres"})
    site, run, dispatch = ["refresh", SITE.lower()], ["shop/web", "12", "refs/heads/main"], ["shop/web", "refresh.yml"]
    names = [f"app-settings {SITE.lower()}", "azure-devops shop/web pipeline=12 branch=main"]
    names.append("github shop/web workflow=refresh.yml ref=main")

    answer = await app.rotate("shop-db")
    assert answer.json["outcome"] == "rotated", answer.text
    assert answer.json["refreshed"] == dict.fromkeys(names, "done"), answer.text
    assert sorted(asked(app)) == sorted([site, run, [*dispatch, "main"]]), "side by side: in any order"

    # An answer that is lost: the outcome is that of a rotation, and the queue asks the one refresh target again.
    control.post("faults", {"kind": "drop_after", "path": "configreferences", "times": 1})
    answer = await app.rotate("shop-db")
    assert (answer.status, answer.json["outcome"]) == (200, "rotated"), answer.text
    assert answer.json["refreshed"] == dict.fromkeys(names, "done") | {names[0]: "failed"}
    await until(lambda: asked(app).count(site) == 3)
    assert asked(app).count(run) == 2
    told = await app.read("shop-db")
    assert refreshed(told)[-1] == {names[0]: "done"}

    # All are down: the rotation is what it was, and nobody is locked out.
    control.post("faults", {"kind": "drop_before", "path": "configreferences|_apis|dispatches"})
    answer = await app.rotate("shop-db")
    assert (answer.status, answer.json["outcome"]) == (200, "rotated"), answer.text
    assert set(answer.json["refreshed"].values()) == {"failed"}
    assert await logs_in(await app.value("shop-db"))
    told = await app.read("shop-db")
    assert token not in json.dumps(told)
    assert (told["state"], told["last"]["step"]) == ("current", "rotated")
    control.delete("faults")
    await until(lambda: asked(app).count(site) == 4 and asked(app).count(run) == 3)


async def test_a_value_is_written_on_to_where_no_vault_is_read_and_stands_nowhere_else(app: Deployment) -> None:
    control, token = app.stack.azure_control, f"ghp_{base64.b32encode(os.urandom(20)).decode()}"
    control.post("refresh-targets", {"kind": "github-place", "place": "shop/web", "token": token})
    project = {"projectReference": {"id": "c7e5f0b3", "name": "web"}, "name": "database"}
    connection = {
        "id": CONNECTION, "name": "database", "type": "generic", "url": "https://db.example/", "data": {},
        "authorization": {"scheme": "UsernamePassword", "parameters": {"username": "app", "password": "before"}},
        "serviceEndpointProjectReferences": [project],
    }  # fmt: skip
    target = {"kind": "connection", "organization": "shop", "connection": json.dumps(connection)}
    control.post("refresh-targets", target)
    await app.put("github-token", token, life=None)
    await app.put("pushed-db", await app.role("pushed_app"), {"rotator": "postgres"})

    def there() -> tuple[str, str]:
        secret = control.post("written", {"place": "shop/web", "name": "DATABASE_URL"})
        found = control.post("written", {"organization": "shop", "connection": CONNECTION})
        return secret.get("value", ""), found["authorization"]["parameters"]["password"]

    answer = await app.rotate("pushed-db")
    assert (answer.status, answer.json["outcome"]) == (200, "rotated"), answer.text
    assert set(answer.json["refreshed"].values()) == {"done"}, answer.text
    value = await app.value("pushed-db")
    assert there() == (value.reveal(), read(value).password.reveal())

    # GitHub is down: the rotation is what it was, and the value is written once GitHub is back.
    control.post("faults", {"kind": "drop_before", "path": "public-key"})
    answer = await app.rotate("pushed-db")
    assert (answer.status, answer.json["outcome"]) == (200, "rotated"), answer.text
    newer = await app.value("pushed-db")
    assert there() == (value.reveal(), read(newer).password.reveal())
    control.delete("faults")
    await until(lambda: there()[0] == newer.reveal())
    told = json.dumps(await app.read("pushed-db"))
    for secret in (token, value.reveal(), newer.reveal(), read(value).password.reveal(), read(newer).password.reveal()):
        assert secret not in told + answer.text
