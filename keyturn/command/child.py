"""The program: a process group of its own, started without a shell."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from keyturn.command.exit_codes import NOT_EXECUTABLE, NOT_FOUND, NOT_STARTED, SIGNAL
from keyturn.command.terminal import Terminal

# Python ignores the first two, and `Terminal` the third. A program expects them as they are by default.
_AS_BY_DEFAULT = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTOU)
_STATE, _PARENT, _GROUP = 0, 1, 2  # of what comes after the name in /proc/PID/stat (proc(5))


class CantStart(Exception):
    """One line that says why. code: what to exit with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Child:
    """A program that runs.

    Raises:
        CantStart: it does not.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        terminal: Terminal,
        hears: signal.Signals | None = None,
    ) -> None:
        """hears: a signal that it will get, so that it must not inherit its being ignored, as nohup leaves SIGHUP."""
        self._terminal = terminal
        self.pid = _spawned(command, environ, (*_AS_BY_DEFAULT, *([hears] if hears else ())))
        terminal.give(self.pid)

    def ended(self) -> int | None:
        """Its exit code, or 128 and the number of the signal that ended it; None while it runs. Once only."""
        pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
        if not pid:
            return None
        if os.WIFSTOPPED(status):
            self._terminal.stopped(self.pid, os.WSTOPSIG(status))
            return None
        self._terminal.take_back()
        return SIGNAL + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def send(self, number: int) -> None:
        """To the program itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def send_all(self, number: int) -> None:
        """To the program and all that it started, but for what left its process group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _spawned(command: Sequence[str], environ: Mapping[str, str], by_default: Sequence[signal.Signals]) -> int:
    program = command[0]
    try:
        return os.posix_spawnp(program, list(command), environ, setpgroup=0, setsigdef=by_default)
    except FileNotFoundError:
        why, code = f"{program}: there is no such program, or not what its first line names", NOT_FOUND
    except OSError as error:
        why, code = f"{program}: can't be executed: {error.strerror}", NOT_EXECUTABLE
    except ValueError:
        why, code = "a value has a character that no environment variable can have: use --file for it", NOT_STARTED
    raise CantStart(why, code)  # outside the handlers: their errors may show a value


def reap_orphans(program: int) -> None:
    """As process 1 of a container: whose parent ended is our child, and stays a zombie until it is waited for.

    What this process started itself (a login by `az`) is in its own group, and waited for by whoever started it.
    """
    if os.getpid() != 1:
        return
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            fields = path.read_text().rpartition(")")[2].split()
            if fields[_STATE] == "Z" and fields[_PARENT] == "1" and int(fields[_GROUP]) != os.getpgrp():
                _reap(int(path.parent.name), program)


def _reap(pid: int, program: int) -> None:
    if pid != program:
        os.waitpid(pid, os.WNOHANG)
