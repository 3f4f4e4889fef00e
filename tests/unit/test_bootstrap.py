"""What happens before anything is asked: the policy is held against the settings, and the app is built once."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from app.bootstrap import LazyApp, load_policy
from app.settings import from_environment
from rotation.errors import Misconfigured, Unreachable
from rotation.policy import Policy

ENOUGH = {"ROTATION_VAULTS": "https://kv-a.vault.azure.net", "ROTATION_LEDGER": "file:l", "ROTATION_HTTP_AUTH": "key"}
RULE = """[[rule]]
vaults = ["VAULT"]
secrets = ["shop-db"]
rotators = ["postgres"]
targets = ["db.example.com"]
slots = ["shop"]
refresh = [HOOKS]
"""


def lazy(more: Mapping[str, str] | None = None) -> LazyApp:
    return LazyApp(from_environment(ENOUGH | dict(more or {}), Path("/app")), Policy())


@pytest.fixture
def build(mocker: MockerFixture) -> Any:
    return mocker.patch("app.wiring.build", mocker.AsyncMock(side_effect=lambda *_: object()))


async def test_calls_that_come_at_once_share_the_app_that_the_first_one_builds(build: Any) -> None:
    running = lazy()
    first, second = await asyncio.gather(running.app(), running.app())
    assert first is second is await running.app()
    assert build.await_count == 1
    assert build.call_args.args == (running.settings, Policy())


async def test_an_app_that_could_not_be_built_is_built_at_the_next_call(build: Any) -> None:
    running = lazy()
    build.side_effect = [Unreachable("no identity for now"), app := object()]
    with pytest.raises(Unreachable):
        await running.app()
    assert await running.app() is app
    assert await running.app() is app
    assert build.await_count == 2


async def test_a_call_that_is_given_up_does_not_end_the_building_that_others_wait_for(build: Any) -> None:
    go, built = asyncio.Event(), object()

    async def slow(*_: object) -> object:
        await go.wait()
        return built

    build.side_effect = slow
    running = lazy()
    first, second = asyncio.ensure_future(running.app()), asyncio.ensure_future(running.app())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    go.set()
    assert await second is built


async def test_that_http_is_closed_is_an_error_in_the_log_once(build: Any, caplog: pytest.LogCaptureFixture) -> None:
    running = lazy({"ROTATION_HTTP_AUTH": "entra"})
    await running.app()
    [line] = caplog.records
    await running.app()
    assert caplog.records == [line]
    assert (line.levelname, getattr(line, "keyturn.event")) == ("ERROR", "http_closed")
    assert "WEBSITE_AUTH_ENABLED" in line.getMessage()
    caplog.clear()
    await lazy().app()
    assert caplog.records == []


def hook(secret: str) -> str:
    return f'{{ webhook = "https://h.example/{secret}", key = "{secret}" }}'


@pytest.mark.parametrize(
    ("vault", "secrets", "vaults"),
    [
        ("kv-a", ["kv-a/hook"], "kv-a"),
        ("kv-a", ["kv-a/hook", "kv-b/hook"], "kv-a,kv-b"),
        ("kv-z", ["kv-b/hook"], "kv-a"),  # of a vault that another deployment looks after
    ],
)
def test_a_secret_that_signs_for_a_refresh_target_may_be_in_any_vault_of_ours(
    tmp_path: Path, vault: str, secrets: list[str], vaults: str
) -> None:
    policy_of(tmp_path, vault, secrets, vaults)


@pytest.mark.parametrize("secrets", [["kv-b/hook"], ["kv-a/hook", "kv-b/hook"]])
def test_one_in_a_vault_that_is_not_ours_stops_the_start(tmp_path: Path, secrets: list[str]) -> None:
    with pytest.raises(Misconfigured, match=r"^rule 1 of the policy: `refresh` names a secret of vault 'kv-b'") as told:
        policy_of(tmp_path, "kv-a", secrets, "kv-a")
    assert told.value.field == "ROTATION_POLICY"


def test_a_refresh_target_that_needs_no_secret_may_stand_in_any_rule(tmp_path: Path) -> None:
    site = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Web/sites/shop"
    text = RULE.replace("VAULT", "kv-a").replace("HOOKS", f'{{ app-settings = "{site}" }}')
    (tmp_path / "policy.toml").write_text(text)
    assert load_policy(from_environment(ENOUGH, tmp_path)).rules[0].terms.refresh[0].secret is None


def policy_of(root: Path, vault: str, secrets: list[str], vaults: str) -> Policy:
    text = RULE.replace("VAULT", vault).replace("HOOKS", ", ".join(map(hook, secrets)))
    (root / "policy.toml").write_text(text)
    urls = ",".join(f"https://{name}.vault.azure.net" for name in vaults.split(","))
    return load_policy(from_environment(ENOUGH | {"ROTATION_VAULTS": urls}, root))
