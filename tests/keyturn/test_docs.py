"""The examples of docs/consumers.md are run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from keyturn import RotatingSecret
from tests.keyturn.played import PlayedVault, Time

DOC = Path(__file__).parents[2] / "docs" / "consumers.md"
OLD, NEW = "the-old-password", "the-new-password"


def example(number: int) -> str:
    found: list[str] = re.findall(r"```python\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    return found[number]


@pytest.mark.parametrize("refused", ["password authentication failed for user", "the server is starting up"])
def test_a_refused_login_is_tried_once_more_with_another_version_and_nothing_else_is(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    space: dict[str, Any] = {}
    exec(example(0), space)  # noqa: S102  our own page
    time = Time()
    vault = PlayedVault(time, OLD)
    space["orders_db"] = RotatingSecret(
        str(space["orders_db"]._known.reference), reader=lambda: vault, monotonic=time.monotonic, sleep=time.sleep
    )
    assert space["orders_db"].value == OLD
    time.at(0.05, lambda: vault.write(NEW))
    asked = []

    def connect(conninfo: str) -> str:
        asked.append(conninfo)
        if conninfo == OLD:
            raise psycopg.OperationalError(refused)
        return "connected"

    monkeypatch.setattr(psycopg, "connect", connect)
    if refused.startswith("password"):
        assert space["connect"]() == "connected"
        assert asked == [OLD, NEW]
    else:
        with pytest.raises(psycopg.OperationalError):
            space["connect"]()
        assert asked == [OLD]


def test_the_other_example_names_what_the_library_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[tuple[str, ...], str]] = []
    monkeypatch.setattr("keyturn.require", lambda *names, vault: asked.append((names, vault)))
    exec(example(1), {})  # noqa: S102  our own page
    assert asked == [(("orders-db", "api-key"), "https://kv-orders-prod.vault.azure.net")]
