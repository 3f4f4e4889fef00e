"""Keeps a program running with secrets that change: one loop, which every signal and every new version goes through."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from keyturn.command.bindings import Binding, Target
from keyturn.command.child import CantStart, Child, reap_orphans
from keyturn.command.exit_codes import SIGNAL
from keyturn.command.files import CantWrite, Files
from keyturn.command.inbox import Inbox
from keyturn.command.terminal import Terminal
from keyturn.command.watched import Watched

DIRECTORY_VARIABLE = "KEYTURN_FILES"
_ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
_LOOKS_EVERY_S = 0.2
_AGAIN_S = 15.0  # after a file could not be written
# Somebody ended it; it did not fail by itself.
_ENDED = frozenset(
    SIGNAL + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, signal.SIGTERM)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What is done about a new version.

    watches: whether one is looked for at all. signal: what the program gets where the secret is a file; None: it is
    restarted. jitter_s: it is put off by up to so long. restart_every_s: the least time between two starts.
    stop_s: between SIGTERM and SIGKILL.
    """

    watches: bool = True
    signal: signal.Signals | None = None
    jitter_s: float = 0.0
    restart_every_s: float = 0.0
    stop_s: float = 10.0


class Supervisor:
    """One program, from its first start to the end of its last."""

    def __init__(
        self,
        command: Sequence[str],
        bindings: Sequence[Binding],
        *,
        watched: Watched,
        files: Files,
        register: Callable[[Mapping[str, str]], None],
        response: Response,
    ) -> None:
        """register: is given values before the program gets them, so that a pipeline hides them."""
        self._command, self._bindings = command, bindings
        self._watched, self._files, self._register, self._response = watched, files, register, response
        self._terminal = Terminal()
        self._rng = random.Random()  # noqa: S311  spreads restarts; nothing secret depends on it
        self._values: dict[str, str] = {}
        self._child: Child
        self._started_at = 0.0
        self._restart_at: float | None = None
        self._signal_at: float | None = None
        self._kill_at: float | None = None  # it was asked to end, and is started anew once it has
        self._ends = False  # it was asked to end from outside
        self._look_at = 0.0

    def run(self, values: Mapping[str, str]) -> int:
        """Start it with these values, by reference -> its exit code.

        Raises:
            CantStart, CantWrite: not even once.
        """
        with Inbox() as inbox, self._files:
            self._hand_out(values)
            self._start()
            while True:
                for number in inbox.wait(_LOOKS_EVERY_S):
                    self._pass_on(number)
                reap_orphans(self._child.pid)
                code = self._child.ended()
                if code is None:
                    self._go_on()
                elif not self._is_started_again(code, inbox):
                    return code

    def _hand_out(self, values: Mapping[str, str]) -> None:
        self._register(values)
        of_files = [one for one in self._bindings if one.target is Target.FILE and one.reference in values]
        self._files.write({one.name: values[one.reference] for one in of_files})
        self._values |= values

    def _start(self) -> None:
        of_env = [one for one in self._bindings if one.target is Target.ENV]
        environ = {**os.environ, **{one.name: self._values[one.reference] for one in of_env}}
        if len(of_env) < len(self._bindings):
            environ[DIRECTORY_VARIABLE] = str(self._files.directory)
        self._restart_at = self._signal_at = self._kill_at = None
        self._child = Child(self._command, environ, self._terminal, self._response.signal)
        self._started_at = time.monotonic()

    def _pass_on(self, number: int) -> None:
        if number == signal.SIGCHLD:
            return
        self._ends = self._ends or number in _ENDING
        if number == signal.SIGTERM and self._kill_at is not None:
            return  # it has had one for its restart, which does not come now
        self._child.send(number)

    def _go_on(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._child.send_all(signal.SIGKILL)
            return
        if self._response.watches and not self._ends and now >= self._look_at:
            self._note(self._watched.newer(self._values), now)
        if self._signal_at is not None and now >= self._signal_at:
            assert self._response.signal is not None  # noqa: S101  `_note` has looked
            self._signal_at = None
            self._child.send(self._response.signal)
        if self._restart_at is not None and now >= self._restart_at and not self._ends:
            self._kill_at = now + self._response.stop_s
            self._child.send_all(signal.SIGTERM)

    def _note(self, newer: Mapping[str, str], now: float) -> None:
        """Files are written at once. What follows is put off, and done once for all that changes until then."""
        if not newer:
            return
        try:
            self._hand_out(newer)
        except CantWrite as error:
            self._look_at = now + _AGAIN_S
            say(str(error))
            return
        by_signal = self._response.signal is not None and not any(
            one.target is Target.ENV and one.reference in newer for one in self._bindings
        )
        at = now + self._rng.uniform(0.0, self._response.jitter_s)
        if by_signal:
            self._signal_at = min(at, self._signal_at or at)
        else:
            at = max(at, self._started_at + self._response.restart_every_s)
            self._restart_at = min(at, self._restart_at or at)
        does = f"{self._response.signal.name}" if by_signal and self._response.signal else "restart"
        names = ", ".join(str(one) for one in self._bindings if one.reference in newer)
        say(f"a new version of {names}: {does} in {at - now:.1f} s")

    def _is_started_again(self, code: int, inbox: Inbox) -> bool:
        """It ended. Again, if that was for a restart, or if it failed and had a value that is not the newest."""
        if self._kill_at is not None:
            self._child.send_all(signal.SIGKILL)  # what it left behind would hold its port, and old values
            again = True
        else:
            failed = code != 0 and code not in _ENDED and not self._ends
            again = failed and self._response.watches and self._had_old_values(code)
        for number in inbox.wait(0.0):
            self._ends = self._ends or number in _ENDING
        if not again or self._ends:
            return False
        try:
            self._start()
        except CantStart as error:
            say(str(error))
            return False
        return True

    def _had_old_values(self, code: int) -> bool:
        newer = self._watched.look(self._values)
        try:
            self._hand_out(newer)
        except CantWrite as error:
            say(str(error))
            return False
        had = bool(newer) or self._restart_at is not None or self._signal_at is not None
        if had:
            say(f"the program ended with {code}, and had an older version than the vault: it is started again")
        return had


def say(line: str) -> None:
    """A line for the log of whoever started this; never a value, and no trouble if nobody reads it."""
    with suppress(OSError):
        sys.stderr.write(f"keyturn run: {line}\n")
        sys.stderr.flush()
