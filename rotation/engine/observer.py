"""What looks on while the engine works: it hears of each run and each step, never of a value.

A protocol, so that the core leans on no library of telemetry; `app.telemetry` makes spans and metrics of it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rotation.model import Outcome, RotationRequest


class Observer(Protocol):
    """What it hears belongs to the run in whose context it hears it: many runs go on side by side."""

    def run(self, kind: str, request: RotationRequest) -> AbstractContextManager[None]:
        """Open as long as one request is worked on. kind: "rotation" or "plan". An error that leaves it is its end."""
        ...

    def step(self, name: str, version: str | None = None) -> AbstractContextManager[None]:
        """Open as long as one step of a run goes on. version: the one that it is about, where it is about one."""
        ...

    def asked_for(self, rotator: str) -> None:
        """The secret of this run asks for a rotator."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """What this run came to."""
        ...


class NoObserver:
    """Looks at nothing."""

    def run(self, kind: str, request: RotationRequest) -> AbstractContextManager[None]:  # noqa: ARG002  the port's
        return nullcontext()

    def step(self, name: str, version: str | None = None) -> AbstractContextManager[None]:  # noqa: ARG002  the port's
        return nullcontext()

    def asked_for(self, rotator: str) -> None:
        """Nobody hears of it."""

    def ended(self, outcome: Outcome) -> None:
        """Nobody hears of it."""
