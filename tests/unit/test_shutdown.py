"""SIGTERM, as Azure sends it to a Python worker: a process of its own is asked to end while it is at work."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# What the worker does: an event loop in the main thread, in which the app is built at the first call.
WORKER = """
import asyncio, signal, sys
from app.shutdown import Shutdown

async def call(shutdown, seconds):
    with shutdown.at_work():
        await asyncio.sleep(seconds)
        print("published", flush=True)

async def main():
    LISTENED_BEFORE
    shutdown = Shutdown()
    shutdown.listen()
    work = [asyncio.create_task(call(shutdown, seconds)) for seconds in SECONDS]
    await asyncio.sleep(0)  # so that each has begun
    print("at work", flush=True)
    while not shutdown.asked:
        await asyncio.sleep(0.01)
    print("asked", flush=True)
    await asyncio.gather(*work)
    await asyncio.sleep(GOES_ON)
    sys.exit(3)

asyncio.run(main())
"""


def stopped(seconds: str, *, before: str = "pass", goes_on_s: float = 60) -> tuple[int, list[str]]:
    """-> how it ended, and what it said. seconds: how long each of its calls takes.

    goes_on_s: for how long it would go on after them; then it ends by itself, with 3.
    """
    script = WORKER.replace("SECONDS", seconds).replace("LISTENED_BEFORE", before).replace("GOES_ON", f"{goes_on_s}")
    worker = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert worker.stdout is not None
    with worker:
        said = [worker.stdout.readline().strip()]
        worker.send_signal(signal.SIGTERM)
        said += worker.stdout.read().split("\n")[:-1]
    return worker.returncode, said


def test_a_worker_with_nothing_to_do_ends_as_it_does_without_the_app() -> None:
    assert stopped("[]") == (-signal.SIGTERM, ["at work"])


def test_a_worker_that_is_at_work_ends_once_all_is_done() -> None:
    assert stopped("[0.3, 0.1]") == (-signal.SIGTERM, ["at work", "asked", "published", "published"])


BEFORE = "signal.signal(signal.SIGTERM, lambda *_: (print('cleaned up', flush=True), sys.exit(0)))"
BY_THE_LOOP = "asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)"


@pytest.mark.parametrize("before", [BEFORE, f"{BY_THE_LOOP}; {BEFORE}"])
def test_whoever_listened_before_decides_how_it_ends(before: str) -> None:
    assert stopped("[0.3]", before=before) == (0, ["at work", "asked", "published", "cleaned up"])


def test_a_worker_that_ignores_the_signal_goes_on_but_begins_nothing() -> None:
    before = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    assert stopped("[0.1]", before=before, goes_on_s=0.5) == (3, ["at work", "asked", "published"])


def test_in_another_thread_nobody_listens_and_nothing_breaks() -> None:
    script = (
        "import threading; from app.shutdown import Shutdown\n"
        "one = threading.Thread(target=Shutdown().listen); one.start(); one.join(); print('well')"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "well\n"
