"""The end of this process, asked for by SIGTERM: nothing more is begun, and what was begun goes on to its publication.

Where an instance goes, Azure sends SIGTERM to the Python worker itself (azure-functions-host, issue 10479). It has
no handler of its own, so that it dies in the middle of whatever it does, with code 143; of the host's message
WorkerTerminate it knows nothing (azure-functions-python-worker, `proxy_worker/dispatcher.py`). A host that is stopped
waits ten seconds for what runs, and then kills its worker.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from app.log_fields import log_fields

log = logging.getLogger("keyturn.rotate")
LAST_WORDS_S = 1.0  # in which the worker tells the host what its last calls came to


class Shutdown:
    """Hears the signal, and passes it on to what listened before, once no call is at work."""

    def __init__(self) -> None:
        self.asked = False
        self._at_work = 0
        self._before: Callable[[int, FrameType | None], object] | int | None = None

    def listen(self) -> None:
        """Begin. To be called where the app's calls run: outside of the main thread Python lets nobody listen."""
        if threading.current_thread() is not threading.main_thread():
            log.warning("SIGTERM is heard in the main thread alone, and this is another", extra=log_fields("unheard"))
            return
        self._before = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, self._heard)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Open as long as one request is worked on, in an event loop."""
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1
            if self.asked:
                asyncio.get_running_loop().call_later(LAST_WORDS_S, self._pass_on)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        log.warning("stopping: %d under way are finished first", self._at_work, extra=log_fields("stopping"))
        self._pass_on()

    def _pass_on(self) -> None:
        if self._at_work:
            return
        if callable(self._before):
            self._before(signal.SIGTERM, None)
        elif self._before == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
