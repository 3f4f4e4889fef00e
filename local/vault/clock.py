"""The vaults' clock: the machine's, shifted. It goes forward only, as the order of versions hangs on it."""

from __future__ import annotations

import math
import time
from email.utils import formatdate


class Clock:
    """Seconds since the epoch plus an offset that tests may raise so that secrets expire."""

    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s

    def now(self) -> float:
        """The vaults' time, in seconds since the epoch."""
        return time.time() + self.offset_s

    def stamp(self) -> int:
        """What `created` and `updated` say: whole seconds, up to one after the Date header of the same answer.

        The service's front end, which writes that header, has another clock than its storage.
        """
        return math.ceil(self.now())

    def shift(self, seconds: float) -> None:
        """Put the clock forward.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("shift_s is negative; the clock goes forward only")
        self.offset_s += seconds

    def http_date(self) -> str:
        """The value of a Date header."""
        return formatdate(self.now(), usegmt=True)
