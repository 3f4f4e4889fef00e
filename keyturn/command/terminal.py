"""The terminal, where there is one: it belongs to the program while that runs, so that Ctrl-C reaches it once.

As shells do, and tini (krallin/tini, src/tini.c, `isolate_child`): the program has a process group of its own.
"""

from __future__ import annotations

import os
import signal

_INPUT, _OUTPUT = 0, 1


class Terminal:
    """The terminal at standard input, if this process may hand it on."""

    def __init__(self) -> None:
        # In a pipeline of a shell the other programs' terminal would be gone: `keyturn run … | less`.
        self._given = os.isatty(_INPUT) and os.isatty(_OUTPUT) and _is_ours()
        if os.isatty(_INPUT):
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else taking it back would stop this process

    def give(self, group: int) -> None:
        """To the program, if this process had it."""
        if self._given:
            _hand(group)

    def take_back(self) -> None:
        """For whatever comes after the program."""
        if self._given:
            _hand(os.getpgrp())

    def stopped(self, group: int, number: int) -> None:
        """The program was stopped by this signal: so is this process, until its shell goes on with it."""
        if not os.isatty(_INPUT):
            return
        if number in {signal.SIGTTIN, signal.SIGTTOU} and _is_ours():  # it was quicker than `give`
            self._given = True
        elif self._given:
            self.take_back()
            os.kill(os.getpid(), signal.SIGSTOP)
        if _is_ours():
            self.give(group)
        os.killpg(group, signal.SIGCONT)


def _is_ours() -> bool:
    try:
        return os.tcgetpgrp(_INPUT) == os.getpgrp()
    except OSError:
        return False


def _hand(group: int) -> None:
    try:
        os.tcsetpgrp(_INPUT, group)
    except OSError:
        return  # the group ended already, or the terminal hung up
