"""The service's own limits: "Azure Key Vault service limits", secrets, in 10 seconds for each vault.

Off unless asked for: a test of something else should not meet them.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from local.vault import errors
from local.vault.operations import Operation


@dataclass(frozen=True, slots=True)
class Rates:
    """How many calls a vault takes in `window_s` seconds: those that create a secret's version, and all others.

    retry_after: whether a 429 says when to come back; the service does not always (AzureSignTool#219).
    """

    creates: int = 300
    others: int = 4_000
    window_s: float = 10.0
    retry_after: bool = True


class Limits:
    """Counts calls in a sliding window. Those that were answered 429 do not count ("throttling guidance")."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.rates: Rates | None = None
        self._monotonic = monotonic
        self._taken: dict[tuple[str, bool], deque[float]] = {}

    def set(self, rates: Rates | None) -> None:
        """Begin to count anew by `rates`; None: no limits."""
        self.rates = rates
        self._taken.clear()

    def take(self, vault: str, operation: Operation) -> None:
        """Count a call.

        Raises:
            ServiceError: 429, with the seconds until the next one would pass.
        """
        if self.rates is None:
            return
        creates = operation in {Operation.SET, Operation.RESTORE}
        allowed = self.rates.creates if creates else self.rates.others
        taken = self._taken.setdefault((vault, creates), deque())
        now = self._monotonic()
        while taken and taken[0] <= now - self.rates.window_s:
            taken.popleft()
        if len(taken) >= allowed:
            wait = taken[0] + self.rates.window_s - now if taken else self.rates.window_s
            raise errors.throttled(max(1, math.ceil(wait)) if self.rates.retry_after else None)
        taken.append(now)
