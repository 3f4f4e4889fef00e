"""Who is still to be asked to take the version that was published last, by a secret's records. Pure.

The record that names the published version lists who will be asked, in the same append. So does the record that says
that followers will be written, since those who read a follower are to take that one. What came of it is written
afterwards. So a run that is killed in between leaves the list behind, and the next look asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotation.ledger.records import AboutTo, Record, Step

PUBLISHES = frozenset({Step.PUBLISHED, Step.REPAIRED})
PROVES = frozenset({Step.VERIFIED, Step.ADOPTED, Step.ROTATED, Step.REPAIRED})
FAILED = "failed"
# Waits between two tries. An app may be redeployed, or a right may be granted late; so it goes on for two days.
WAITS = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
)
AT_MOST = len(WAITS) + 1  # tries for one version


@dataclass(frozen=True, slots=True)
class Owed:
    """tries: by name, how many tries have failed. since: when the last of them did, or when it was published.

    published_at, operation_id: of the publication, or of the record that followers would be written.
    """

    version: str
    operation_id: str
    published_at: datetime
    tries: Mapping[str, int]
    since: Mapping[str, datetime]

    def due_at(self, name: str) -> datetime:
        """When one may be asked (again)."""
        tries = self.tries[name]
        return self.since[name] + (WAITS[min(tries, len(WAITS)) - 1] if tries else timedelta())

    @property
    def next_at(self) -> datetime:
        """When the first of all may be asked (again)."""
        return min(map(self.due_at, self.tries))


Waits = Callable[[Mapping[str, str]], bool]


def _nothing_waits(_replaced: Mapping[str, str]) -> bool:
    return False


def owed(records: Sequence[Record], waits: Waits = _nothing_waits) -> Owed | None:
    """None: nobody is to be asked. Also while it is not proven yet that the version works: the next look does that.

    The newest publication counts, or followers that were to be written since, or an adoption that lists somebody: of a
    version that a killed run may have written. A version that a person wrote since does not take the duty away: that
    one should be taken as well.
    waits: whether followers wait to be written still; it gets the versions that were to be replaced, by
    "vault/secret". Then nobody is asked for their sake, and what was owed before them counts.
    """
    tries: dict[str, int] = {}
    since: dict[str, datetime] = {}
    ended: set[str] = set()
    for record in reversed(records):
        for name, state in (record.refreshed or {}).items():
            if state != FAILED:
                ended.add(name)
                continue
            tries[name] = tries.get(name, 0) + 1
            since.setdefault(name, record.at)
        adopted = record.step is Step.ADOPTED and bool(record.refresh)
        follows = record.about_to == AboutTo.FOLLOW and bool(record.refresh) and not waits(record.followers or {})
        if (follows or adopted or record.step in PUBLISHES) and record.version is not None:
            left = [name for name in record.refresh or () if name not in ended]
            if not left or not _is_proven(records, record.version):
                return None
            return Owed(
                record.version, record.operation_id, record.at,
                {name: tries.get(name, 0) for name in left}, {name: since.get(name, record.at) for name in left},
            )  # fmt: skip
    return None


def _is_proven(records: Sequence[Record], version: str) -> bool:
    return any(record.step in PROVES and record.version == version for record in records)
