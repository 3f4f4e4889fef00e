"""A process of the stack: started with a ready file, watched, and stopped by its process id."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
STARTS_WITHIN_S = 60.0
STOPS_WITHIN_S = 15.0
LOOKS_EVERY_S = 0.02


class DoesNotStart(Exception):
    """A part of the stack did not come up; the message is one line, and names the log."""


class Child:
    """`python -m MODULE OPTIONS --ready-file …`; it ends with this process, however that ends.

    lock: the descriptor of the data folder's lock, which the child holds on to: whoever gets the lock knows that all
    children of an earlier stack are gone.
    """

    def __init__(
        self,
        module: str,
        options: Sequence[str],
        data: Path,
        *,
        environment: Mapping[str, str],
        lock: int,
        popen: Callable[..., Any] = subprocess.Popen,
    ) -> None:
        """popen: starts a process as `subprocess.Popen` does."""
        self.module = module
        self._name = module.rpartition(".")[2]
        self.log_path = data / f"{self._name}.log"
        self._ready_file = data / f"{self._name}-ready.json"
        self._ready_file.unlink(missing_ok=True)
        self._started_by = (tuple(options), dict(environment))
        command = [sys.executable, "-m", module, *options, "--ready-file", str(self._ready_file), "--with-stdin"]
        with self.log_path.open("ab") as log:
            self._process = popen(
                command, cwd=ROOT, env=dict(environment), stdin=subprocess.PIPE, stdout=log, stderr=log,
                pass_fds=(lock,), start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def ended(self) -> int | None:
        """The exit code; negative: the signal. None: it runs."""
        code: int | None = self._process.poll()
        return code

    def was_started_by(self, options: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Whether these are its options and its environment."""
        return self._started_by == (tuple(options), dict(environment))

    def ready(self) -> dict[str, Any]:
        """What it wrote once it served.

        Raises:
            DoesNotStart: it ended before, or it takes too long.
        """
        until = time.monotonic() + STARTS_WITHIN_S
        while not self._ready_file.exists():
            if self.ended is not None or time.monotonic() > until:
                raise DoesNotStart(f"{self._last_line()} (log: {self.log_path})")
            time.sleep(LOOKS_EVERY_S)
        return dict(json.loads(self._ready_file.read_text()))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and see that it is gone."""
        self._process.send_signal(how)
        try:
            self._process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _last_line(self) -> str:
        lines = self.log_path.read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), f"{self._name} does not start")
