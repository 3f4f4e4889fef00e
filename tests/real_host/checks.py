"""What a lane saw: checks that held or did not, and figures."""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Checks:
    """figures: by what was measured, then by whose host; in seconds. told: hears a line as each act ends."""

    told: Callable[[str], None]
    done: int = 0
    failed: list[str] = field(default_factory=list)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)

    def holds(self, what: str, held: object, seen: object = "") -> None:
        """One check. what: a sentence that is true where it holds. seen: told where it does not."""
        self.done += 1
        if not held:
            self.failed.append(f"{what}: {str(seen)[:300]}" if seen != "" else what)
            self.told(f"FAILED  {self.failed[-1]}")

    def equal(self, what: str, found: object, wanted: object) -> None:
        """One check."""
        self.holds(what, found == wanted, f"{found!r}, not {wanted!r}")

    def measured(self, what: str, whose: str, seconds: float) -> None:
        """A figure."""
        self.figures.setdefault(what, {})[whose] = seconds

    async def act(self, name: str, call: Callable[[], Awaitable[None]]) -> None:
        """Some checks in a row; where they end in an error, that is a check that failed."""
        began = time.monotonic()
        try:
            await call()
        except Exception as error:  # noqa: BLE001  an act's end must not be the lane's
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{where.filename.rpartition('/')[2]}:{where.lineno}"
            self.holds(f"{name} comes to its end", held=False, seen=f"{type(error).__name__} at {place}: {error}")
        self.told(f"{name}: {time.monotonic() - began:.0f} s")
