"""(a) What our start costs over an app with the same triggers and empty bodies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.figures import Figure, median
from local.children import ROOT

RUNS = 9
FUNCTIONS = 8
EMPTY = Path(__file__).parent / "empty_app"
SCRIPT = """
import asyncio, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from local.host.worker import Worker
from azure_functions_runtime import handle_event
worker = Worker(lambda queue, bodies: None)
started = time.perf_counter()
asyncio.run(worker.index(Path(sys.argv[1])))
print(time.perf_counter() - started, len(worker.functions))
"""
SETTINGS = {
    "ROTATION_VAULTS": "https://kv-demo.vault.azure.net",
    "ROTATION_LEDGER": "file:ledger",
    "ROTATION_HTTP_AUTH": "key",
}


def run() -> list[Figure]:
    """Fresh processes, in turn; the first of each writes the byte code that a package carries, and does not count."""
    ours, empty = [], []
    for _ in range(RUNS + 1):
        ours.append(_index(ROOT))
        empty.append(_index(EMPTY))
    mine, theirs = median(ours[1:]), median(empty[1:])
    how = f"{mine * 1000:.0f} ms to index this app, {theirs * 1000:.0f} ms one with the same triggers and empty bodies"
    return [Figure("a  indexing", mine / theirs, "x", how, 1.15)]


def _index(app: Path) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | SETTINGS
    command = [sys.executable, "-c", SCRIPT, str(app), str(ROOT)]
    done = subprocess.run(command, env=environment, cwd=app, capture_output=True, text=True, check=True)
    seconds, functions = done.stdout.split()
    assert int(functions) == FUNCTIONS, "both apps have the same functions"
    return float(seconds)
