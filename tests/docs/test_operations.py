"""The HTTP commands of docs/operations.md are run as they stand there, from top to bottom, and answer what is said."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from local.stack import Stack
from rotation.model import SecretValue
from tests.docs.commands import Shown, blocks
from tests.docs.said import ROOT
from tests.e2e.deployment import Deployment, logs_in, opened

PAGE = "operations.md"
VAULT = "kv-orders-prod"
POLICY = Path(__file__).parent / "policy.toml"


def calls() -> list[Shown]:
    return [shown for shown in blocks(PAGE) if shown.text.startswith("curl ")]


async def run(app: Deployment, command: str) -> Any:
    """As an operator's shell does it."""
    environment = os.environ | {
        "APP": app.stack.ready["functions"],
        "AUTH": f"x-functions-key: {app.stack.ready['function_key']}",
    }
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


def holds(answer: Any, expected: str) -> bool:
    """Whether the answer, or each secret that it lists, has the fact of the comment."""
    [(name, fact)] = json.loads("{" + expected + "}").items()
    return all(one.get(name) == fact for one in answer.get("secrets", [answer]))


async def put_in_turns(app: Deployment, roles: tuple[str, str]) -> SecretValue:
    first, second = [await app.role(role) for role in roles]
    tags = {"rotator": "postgres-alternating", "slots": ",".join(roles)}
    await app.put("turns", first, life=None, vault=VAULT)
    await app.put("turns", second, tags, vault=VAULT)
    return second


async def test_each_call_answers_what_its_comment_says(tmp_path: Path) -> None:
    shown = calls()
    assert len(shown) >= 10
    with Stack(tmp_path / "stack", policy=POLICY, vaults=[VAULT]) as stack:
        async with opened(stack, []) as app:
            await app.put("orders-db", await app.role("orders_app"), {"rotator": "postgres"}, vault=VAULT)
            leaked = await put_in_turns(app, ("orders_a", "orders_b"))
            for call in shown:
                if "restore_tags" in call.text:  # somebody wrote a version by hand
                    read = await app.client(VAULT).get_secret("orders-db")
                    await app.put("orders-db", read.value or "", vault=VAULT)
                answer = await run(app, call.text)
                assert holds(answer, call.expected), (call, answer)
                await app.idle()
                if '["*"]' in call.text and '"force": true' in call.text:
                    assert await logs_in(leaked), "the page says that the old one lives on"
            assert not await logs_in(leaked), "what leaked still works after the last call"


async def test_onboarding_takes_three_commands() -> None:
    text = (ROOT / "docs" / PAGE).read_text()
    section = text.partition("## Put a secret under rotation")[2]
    assert len(section.partition("```\n")[2].partition("```")[0].strip().splitlines()) == 3


async def test_every_alert_has_its_row_and_its_description_leads_there() -> None:
    alerts = json.loads((ROOT / "infra" / "alerts.json").read_text())
    section = (ROOT / "docs" / PAGE).read_text().partition("## Alerts")[2].partition("\n## ")[0]
    for alert in [*alerts["logAlerts"], *alerts["metricAlerts"]]:
        assert f"`{alert['name']}`" in section
        assert alert["description"].endswith("docs/operations.md, Alerts.")


async def test_whatever_the_page_names_is_there() -> None:
    for page in (PAGE, "troubleshooting.md"):
        for shown in blocks(page):
            for word in shown.text.split():
                path = word.strip('"$()').removeprefix("cat ")
                if path.startswith(("infra/", "docs/")) and "my.bicepparam" not in path:
                    assert (ROOT / path).exists(), (page, path)
