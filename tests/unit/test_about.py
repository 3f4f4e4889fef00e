"""What anybody is told of the app: whether it serves, which package it is, and the document of its functions."""

import json
from pathlib import Path
from typing import Any

import pytest

from app import bootstrap
from app.settings import Settings, from_environment
from handlers.about import document, health
from handlers.http import HttpRequest, HttpResponse, answered
from tests.e2e.contract import DOCUMENT, Contract


def settings(http_auth: str = "key") -> Settings:
    environment = {
        "ROTATION_VAULTS": "https://kv-a.vault.azure.net,https://kv-b.vault.azure.net",
        "ROTATION_LEDGER": "file:ledger",
        "ROTATION_HTTP_AUTH": http_auth,
    }
    return from_environment(environment, Path("/app"))


async def asked(http_auth: str = "key", url: str = "") -> Any:
    answer = await answered(lambda: health(settings(http_auth), HttpRequest({}, url)))
    headers = {"Content-Type": "application/json", **answer.headers}
    assert Contract.of_file().objection("GET", "/api/health", answer.status, headers, json.dumps(answer.body)) is None
    return answer.body if answer.status == 200 else answer.status


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app's folder, as far as its package's number is concerned."""
    monkeypatch.setattr(bootstrap, "__file__", str(tmp_path / "app" / "bootstrap.py"))
    return tmp_path


async def test_an_app_that_started_serves_and_counts_its_vaults(root: Path) -> None:
    assert await asked() == {"status": "ok", "vaults": 2}


async def test_a_deployed_app_says_which_package_it_is(root: Path) -> None:
    (root / "package.txt").write_text("0a1b2c3d4e5f\n")
    assert await asked() == {"status": "ok", "vaults": 2, "package": "0a1b2c3d4e5f"}


async def test_an_app_that_serves_no_calls_says_why() -> None:
    body = await asked("entra")
    assert body["status"] == "http_closed"
    assert "WEBSITE_AUTH_ENABLED" in body["detail"]


async def test_the_document_is_served_as_it_lies_there() -> None:
    answer = await document(HttpRequest({}))
    assert (answer.status, answer.body) == (200, DOCUMENT.read_bytes())


async def test_who_asks_for_more_than_there_is_is_refused() -> None:
    assert await asked(url="https://x/api/health?detail=all") == 400
    refused: HttpResponse = await answered(lambda: document(HttpRequest({}, "https://x/api/openapi.json?version=3")))
    assert refused.status == 400
