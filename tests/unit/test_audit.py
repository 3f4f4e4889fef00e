"""The audit of what is deployed: an audit that looked at nothing must not pass for one that found nothing."""

import json
import subprocess
from typing import Any

import pytest
from pytest_mock import MockerFixture

from local.audit import main


def answered(mocker: MockerFixture, dependencies: list[dict[str, Any]] | None) -> None:
    text = "Traceback: no network" if dependencies is None else json.dumps({"dependencies": dependencies})
    mocker.patch("local.audit.subprocess.run", return_value=subprocess.CompletedProcess([], 1, text, ""))


SOUND = {"name": "aiohttp", "version": "3.0", "vulns": []}
WEAK = {"name": "yarl", "version": "1.0", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": []}]}
SKIPPED = {"name": "wrapt", "skip_reason": "not found"}


@pytest.mark.parametrize("found", [None, [], [SOUND, SKIPPED]])
def test_what_could_not_be_looked_at_is_said_and_fails_where_it_is_required(
    found: list[dict[str, Any]] | None, mocker: MockerFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(mocker, found)
    assert main([]) == 0
    assert main(["--required"]) == 1
    assert capsys.readouterr().out.count("audit: not done") == 2


def test_an_audit_that_does_not_end_is_none(mocker: MockerFixture) -> None:
    mocker.patch("local.audit.subprocess.run", side_effect=subprocess.TimeoutExpired([], 1))
    assert main(["--required"]) == 1


def test_a_known_weakness_is_named_and_fails(mocker: MockerFixture, capsys: pytest.CaptureFixture[str]) -> None:
    answered(mocker, [SOUND, WEAK])
    assert main([]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "audit: yarl 1.0: PYSEC-2026-1",
        "audit: 2 packages looked at, 1 with known weaknesses",
    ]


def test_nothing_known_is_a_success(mocker: MockerFixture) -> None:
    answered(mocker, [SOUND])
    assert main(["--required"]) == 0
