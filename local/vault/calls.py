"""A record of every call, for tests that count them. Never a value, never a token."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

KEPT = 200_000  # a benchmark's worth; the oldest go first


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call. at: the machine's time, ISO 8601. status: what was answered, None where the connection was dropped."""

    at: str
    vault: str
    method: str
    operation: str
    name: str | None
    version: str | None
    status: int | None
    duration_ms: float


class Calls:
    """The calls so far, oldest first."""

    def __init__(self) -> None:
        self._records: deque[CallRecord] = deque(maxlen=KEPT)

    def add(self, record: CallRecord) -> None:
        """Remember a call."""
        self._records.append(record)

    def clear(self) -> None:
        """Forget all calls."""
        self._records.clear()

    def records(self, **wanted: object) -> list[CallRecord]:
        """The calls whose fields have the wanted values: `records(operation="set", status=200)`."""
        return [one for one in self._records if all(getattr(one, field) == value for field, value in wanted.items())]

    def describe(self, **wanted: object) -> list[dict[str, Any]]:
        """The same as JSON."""
        return [asdict(record) for record in self.records(**wanted)]


def timestamp() -> str:
    """Now, for a record."""
    return datetime.now(UTC).isoformat()
