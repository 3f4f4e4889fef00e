"""(a) What our start costs over an app with the same triggers and empty bodies.

A cold start is a new process: interpreter, worker library, azure.functions, and then the app. The bound is on that
whole, which is what somebody waits for; the part that is the app's own import and indexing is stated beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.figures import Figure, median
from local.children import ROOT

RUNS = 25
FUNCTIONS = 10
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
        ours.append(_start(ROOT))
        empty.append(_start(EMPTY))
    (mine, my_part), (theirs, their_part) = _middle(ours[1:]), _middle(empty[1:])
    whole_ratio, part_ratio = _middle([_over(*pair) for pair in zip(ours[1:], empty[1:], strict=True)])
    whole = f"{mine * 1000:.0f} ms from a new process to this app's functions, {theirs * 1000:.0f} ms to those of an "
    part = f"{my_part * 1000:.0f} and {their_part * 1000:.0f} ms: importing and indexing alone, in that process"
    return [
        Figure("a  cold start", whole_ratio, "x", whole + "app with the same triggers and empty bodies", 1.15),
        Figure("a  of it indexing", part_ratio, "x", part),
    ]


def _middle(runs: list[tuple[float, float]]) -> tuple[float, float]:
    return median([whole for whole, _ in runs]), median([part for _, part in runs])


def _over(ours: tuple[float, float], empty: tuple[float, float]) -> tuple[float, float]:
    """Two starts right after one another: a machine that is slow for a while is so for both."""
    return ours[0] / empty[0], ours[1] / empty[1]


def _start(app: Path) -> tuple[float, float]:
    """(seconds of the whole process, seconds of indexing in it)."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | SETTINGS
    command = [sys.executable, "-c", SCRIPT, str(app), str(ROOT)]
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=app, capture_output=True, text=True, check=True)
    whole = time.perf_counter() - started
    seconds, functions = done.stdout.split()
    assert int(functions) == FUNCTIONS, "both apps have the same functions"
    return whole, float(seconds)
