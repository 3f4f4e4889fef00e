"""`keyturn run` as a process of its own, with the program beside this file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PROGRAM = (sys.executable, "-S", "-E", str(Path(__file__).with_name("program.py")))
ROOT = Path(__file__).parents[2]
WAITS_S = 60.0  # on a busy machine


def _signals_by_default() -> None:
    """A run of the tests that was started by nohup, or in the background of a script, ignores some of them."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


class Run:
    """One `keyturn run`. `notes`: what its program noted."""

    def __init__(self, report: Path, environ: Mapping[str, str]) -> None:
        self._report = report
        self._environ = {**environ, "REPORT": str(report)}
        self.process: Process

    async def start(self, *options: str, program: tuple[str, ...] = PROGRAM, **how: Any) -> None:
        """options: of `keyturn run`, then the program's words after `--`."""
        ours, words = (options[: options.index("--")], options[options.index("--") + 1 :]) if "--" in options else (
            options, (),
        )  # fmt: skip
        prefix = how.pop("prefix", ())
        environ = {**self._environ, **how.pop("environ", {})}
        self.process = await asyncio.create_subprocess_exec(
            *prefix, sys.executable, "-m", "keyturn", "run", *ours, "--", *program, *words,
            cwd=ROOT, env=environ,
            **{"stdin": DEVNULL, "stdout": PIPE, "stderr": PIPE, "preexec_fn": _signals_by_default, **how},
        )  # fmt: skip

    @property
    def notes(self) -> list[dict[str, Any]]:
        if not self._report.exists():
            return []
        return [json.loads(line) for line in self._report.read_text().splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        """What was noted of one kind of event."""
        return [note for note in self.notes if note["event"] == event]

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for what the program notes."""
        async with asyncio.timeout(WAITS_S):
            while not holds():
                if self.process.returncode is not None:
                    raise AssertionError(f"it ended with {self.process.returncode}: {self.notes}")
                await asyncio.sleep(0.02)

    async def started(self, times: int = 1) -> dict[str, Any]:
        """The note of the program's nth start."""
        await self.until(lambda: len(self.of("start")) >= times)
        return self.of("start")[times - 1]

    async def ends(self) -> tuple[int, str, str]:
        """Its exit code, what it printed and what it complained of."""
        out, err = await asyncio.wait_for(self.process.communicate(), WAITS_S)
        assert self.process.returncode is not None
        return self.process.returncode, (out or b"").decode(), (err or b"").decode()

    async def stop(self) -> tuple[int, str, str]:
        """As `ends`, after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ends()

    def clean_up(self) -> None:
        """End what a failed test left behind."""
        for pid in {note["pid"] for note in self.notes}:
            if _is_the_program(pid):
                os.kill(pid, signal.SIGKILL)
        if getattr(self, "process", None) is not None and self.process.returncode is None:
            self.process.kill()


def _is_the_program(pid: int) -> bool:
    try:
        return PROGRAM[-1].encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def is_there(pid: int) -> bool:
    """Whether a process is there that is no zombie."""
    return state_of(pid) not in {None, "Z"}


def state_of(pid: int) -> str | None:
    """As /proc/PID/stat says it: S sleeps, T is stopped, Z is a zombie. None: there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


async def gone(pid: int) -> None:
    """Wait for the end of a process that is not ours."""
    async with asyncio.timeout(WAITS_S):
        while is_there(pid):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.02)


def mode_of(path: Path) -> int | None:
    """Who may do what with a file; None: it is not there."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


def children_of(pid: int) -> list[int]:
    """Zombies included."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_keyturn(pid: int) -> bool:
    return b"keyturn" in Path(f"/proc/{pid}/cmdline").read_bytes()
