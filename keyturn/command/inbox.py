"""Signals that this process gets, as numbers that one loop takes one after the other."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Self

# Not for the program: what its own faults raise, what no process can catch, what this process needs, and those of job
# control, which `keyturn.command.terminal` handles.
_OURS = {
    "SIGKILL", "SIGSTOP", "SIGCHLD", "SIGPIPE", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT", "SIGSYS",
    "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT", "SIGXCPU", "SIGXFSZ", "SIGPROF", "SIGVTALRM",
}  # fmt: skip
PASSED_ON = tuple(
    number
    for number in sorted(signal.valid_signals())
    if not (isinstance(number, signal.Signals) and number.name in _OURS)
)
_TAKEN_AT_ONCE = 4096


class Inbox:
    """From `with` on, signals are kept for `wait` instead of ending this process. Of the main thread.

    What was ignored before stays ignored, by the program too: that is how nohup works.
    """

    def __enter__(self) -> Self:
        self._reads, self._writes = os.pipe()
        os.set_blocking(self._reads, False)
        os.set_blocking(self._writes, False)
        self._before_fd = signal.set_wakeup_fd(self._writes, warn_on_full_buffer=False)
        caught = [number for number in PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, _noted) for number in (*caught, signal.SIGCHLD)}
        return self

    def wait(self, seconds: float) -> list[int]:
        """The signals that came, in order; empty after so many seconds without one."""
        if not select.select([self._reads], [], [], seconds)[0]:
            return []
        return list(os.read(self._reads, _TAKEN_AT_ONCE))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._before_fd)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reads)
        os.close(self._writes)


def leave_at_signals() -> None:
    """Until an `Inbox` is there, what asks to end ends this process at once: as process 1 the kernel would drop it."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The number is in the pipe already."""
