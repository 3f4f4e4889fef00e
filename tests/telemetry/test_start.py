"""What a start pays for telemetry: nothing, where it is not asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import from_environment
from app.telemetry import Instruments, Off, telemetry

ROOT = Path(__file__).parents[2]
SETTINGS = {"ROTATION_VAULTS": "https://kv.vault.azure.net", "ROTATION_LEDGER": "file:.", "ROTATION_HTTP_AUTH": "key"}
BUILT = """
import asyncio, sys
import function_app
asyncio.run(function_app.running.app())
print(any(name.startswith("opentelemetry") for name in sys.modules))
"""


@pytest.mark.parametrize("asked", [False, True])
def test_the_library_is_loaded_by_a_built_app_only_where_the_settings_ask_for_it(asked: bool, tmp_path: Path) -> None:
    environment = {**os.environ, **SETTINGS, "ROTATION_LEDGER": f"file:{tmp_path}"}
    environment["PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"] = str(asked).lower()
    told = subprocess.run(
        [sys.executable, "-c", BUILT], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert told.stdout.split() == [str(asked)], told.stderr


@pytest.mark.parametrize("name", ["PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", "PYTHON_ENABLE_OPENTELEMETRY"])
def test_either_of_the_workers_settings_turns_it_on(name: str) -> None:
    assert from_environment({**SETTINGS, name: "True"}, ROOT).telemetry
    assert from_environment({**SETTINGS, name: "1"}, ROOT).telemetry
    assert not from_environment({**SETTINGS, name: "false"}, ROOT).telemetry
    assert isinstance(telemetry(on=True), Instruments)
    assert isinstance(telemetry(on=False), Off)
