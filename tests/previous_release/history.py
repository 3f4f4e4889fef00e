"""What a secret's ledger says, as facts the engine can ask for. Pure: records in, answers out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.previous_release.records import Record, Step

NAMES_A_VERSION = frozenset({Step.PUBLISHED, Step.ADOPTED, Step.REPAIRED})
PROVES_A_VERSION = frozenset({Step.VERIFIED, Step.ADOPTED, Step.ROTATED, Step.REPAIRED})


@dataclass(frozen=True, slots=True)
class Staged:
    """A value that the ledger says stands in the companion secret, under `version` there."""

    version: str
    operation_id: str
    slot: str | None
    at: datetime
    settled: bool  # its slot has got a newer, proven credential since: kept as a last resort only


@dataclass(frozen=True, slots=True)
class Open:
    """An operation that may have changed the provider and has no published successor."""

    operation_id: str
    slot: str | None
    base_version: str | None
    reason: str
    actor: str


class History:
    """A view over the records of one secret, oldest first. Reads them anew at each question: appends show at once."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    def __bool__(self) -> bool:
        return bool(self._records)

    def _newest_first(self, steps: Iterable[Step]) -> Iterator[Record]:
        wanted = frozenset(steps)
        return (record for record in reversed(self._records) if record.step in wanted)

    def versions(self) -> dict[str, str]:
        """Every version that the ledger knows -> its slot, the newest first."""
        known: dict[str, str] = {}
        for record in self._newest_first(NAMES_A_VERSION):
            if record.version and record.slot:
                known.setdefault(record.version, record.slot)
        return known

    def open_operation(self) -> Open | None:
        """The operation to finish before anything else. A repair or an adoption closes it: another value won."""
        for record in reversed(self._records):
            if record.step in NAMES_A_VERSION:
                return None
            if record.step is Step.APPLYING:
                return Open(record.operation_id, record.slot, record.previous_version, record.reason, record.actor)
        return None

    def staged(self) -> list[Staged]:
        """All values ever staged, newest first."""
        found: list[Staged] = []
        proven: set[str | None] = set()
        for record in reversed(self._records):
            if record.step in PROVES_A_VERSION:
                proven.add(record.slot)
            elif record.step is Step.STAGED and record.staged_version:
                settled = record.slot in proven
                found.append(Staged(record.staged_version, record.operation_id, record.slot, record.at, settled))
        return found

    def staged_for(self, operation_id: str) -> Staged | None:
        """The newest staged value of one operation."""
        return next((staged for staged in self.staged() if staged.operation_id == operation_id), None)

    def proven_at(self, version: str) -> datetime | None:
        """When this version was last seen to log in."""
        for record in self._newest_first(PROVES_A_VERSION):
            if record.version == version:
                return record.at
        return None

    def publication(self, version: str) -> Record | None:
        """The record that made this version known."""
        return next((record for record in self._newest_first(NAMES_A_VERSION) if record.version == version), None)

    def was_finished(self, operation: str) -> bool:
        """Whether the operation got its final record."""
        return any(record.operation_id == operation for record in self._newest_first({Step.ROTATED}))

    def last_rotated_at(self) -> datetime | None:
        """When a rotation was last published; what the policy's interval counts from."""
        return next((record.at for record in self._newest_first({Step.PUBLISHED})), None)

    def unretired(self, latest_slot: str) -> frozenset[str]:
        """Slots that known versions hold, that the latest does not, and that were not retired since."""
        waiting: set[str] = set()
        retired: set[str] = set()
        for record in reversed(self._records):
            if record.step is Step.RETIRED and record.slot:
                retired.add(record.slot)
            elif record.step in NAMES_A_VERSION and record.slot and record.slot not in retired:
                waiting.add(record.slot)
        return frozenset(waiting - {latest_slot})

    def tags(self) -> Mapping[str, str] | None:
        """The tags of the last version that had any: what `restore` brings back."""
        return next((record.tags for record in self._newest_first(NAMES_A_VERSION) if record.tags), None)

    def last(self) -> Record | None:
        """The newest record."""
        return self._records[-1] if self._records else None
