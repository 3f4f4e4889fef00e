"""What a secret's ledger says, as facts the engine can ask for. Pure: records in, answers out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotation.ledger.asked import Asked
from rotation.ledger.records import Record, Step
from rotation.ledger.refreshes import Owed, Waits, owed
from rotation.model import Secret
from rotation.spec import DEFAULT_GRACE_HOURS

UNPROMISED_HOURS = DEFAULT_GRACE_HOURS  # the package before wrote no promise
SKEW = timedelta(minutes=5)  # between the vault's clock, which grace is counted by, and ours
REPEATED = timedelta(days=1)  # what comes again and again is written down again
NAMES_A_VERSION = frozenset({Step.PUBLISHED, Step.ADOPTED, Step.REPAIRED})
PROVES_A_VERSION = frozenset({Step.VERIFIED, Step.ADOPTED, Step.ROTATED, Step.REPAIRED})


@dataclass(frozen=True, slots=True)
class Staged:
    """A value that the ledger says is in the companion secret, under `version` there."""

    version: str
    operation_id: str
    slot: str | None
    at: datetime
    superseded: bool  # its slot has got a newer, proven credential since: kept as a last resort only


@dataclass(frozen=True, slots=True)
class Open:
    """An operation that may have changed the provider and has no published successor.

    tags, asked, grace_hours, in_place: as it was begun; None, and false, where the package before began it.
    tries: runs that took it up.
    """

    operation_id: str
    slot: str | None
    base_version: str | None
    reason: str
    actor: str
    tags: Mapping[str, str] | None = None
    asked: Asked | None = None
    grace_hours: int | None = None
    in_place: bool = False
    tries: int = 1


class History:
    """A view over the records of one secret, oldest first. Reads them anew at each question: appends show at once."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records

    def __bool__(self) -> bool:
        return bool(self._records)

    def and_then(self, *records: Record) -> History:
        """What it would say after these."""
        return History([*self._records, *records])

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

    def known_since(self) -> dict[str, datetime]:
        """Every version that the ledger knows -> when it was first named, the oldest first."""
        since: dict[str, datetime] = {}
        for record in self._records:
            if record.step in NAMES_A_VERSION and record.version and record.slot:
                since.setdefault(record.version, record.at)
        return since

    def open_operation(self) -> Open | None:
        """The operation to finish before anything else. A repair or an adoption closes it: another value won."""
        tries: list[Record] = []  # of it, the last one first: each that goes on writes its own record
        for record in reversed(self._records):
            if record.step in NAMES_A_VERSION or record.given_up:
                break
            if record.step is Step.APPLYING and (not tries or record.operation_id == tries[0].operation_id):
                tries.append(record)
        if not tries:
            return None
        last = tries[0]
        asked = next((found for one in reversed(tries) if (found := Asked.from_record(one.asked))), None)
        known = self.versions().get(last.previous_version or "")
        return Open(
            last.operation_id, last.slot, last.previous_version, last.reason, last.actor,
            tags=next((one.tags for one in reversed(tries) if one.tags), None),
            asked=asked,
            grace_hours=max((one.grace_hours for one in tries if one.grace_hours is not None), default=None),
            in_place=last.slot is not None and (last.slot == known or _only(asked) == last.slot),
            tries=len(tries),
        )  # fmt: skip

    def operations(self) -> frozenset[str]:
        """Every operation that may have changed the provider."""
        return frozenset(record.operation_id for record in self._records if record.step is Step.APPLYING)

    def marked(self, operation_id: str, slot: str | None) -> Record | None:
        """Where a run left a mark last, since the provider had begun an operation's change and was not through."""
        records = self._newest_first({Step.APPLYING})
        return next((r for r in records if r.mark and r.operation_id == operation_id and r.slot == slot), None)

    def asked(self) -> Asked | None:
        """What was proven last; None: nothing yet."""
        return next((Asked.from_record(record.asked) for record in reversed(self._records) if record.asked), None)

    def gave_up(self) -> bool:
        """Whether an operation was given up since something was proven: then it is proven anew."""
        last = next((record for record in reversed(self._records) if record.given_up or record.asked), None)
        return last is not None and last.given_up is True

    def tags_of(self, version: str) -> Mapping[str, str] | None:
        """With which tags a version was last known."""
        records = self._newest_first(NAMES_A_VERSION)
        return next((record.tags for record in records if record.version == version and record.tags), None)

    def promised(self, version: str) -> int:
        """For how many hours the slot of a version lives on once it is superseded; 0 where nothing was promised."""
        found = (record for record in self._newest_first(NAMES_A_VERSION) if record.version == version)
        return max((record.grace_hours or 0 for record in found), default=0)

    def in_grace(self, slot: str, now: datetime, latest: Secret) -> bool:
        """Whether the promise to a reader of an older version with `slot` still holds, by the ledger's own times.

        latest: one that the ledger does not know yet, written by hand, ends the newest that it knows.
        """
        # By the vault's own clock, which may differ from that of the ledger's records.
        superseded_at = None if latest.version in self.versions() else now - (latest.read_at - latest.created_on)
        for record in self._newest_first({*NAMES_A_VERSION, Step.RETIRED}):
            if record.step is Step.RETIRED and record.slot == slot:
                return False
            if record.step is Step.RETIRED:
                continue
            if record.slot == slot and superseded_at is not None:
                promise = timedelta(hours=record.grace_hours if record.grace_hours is not None else UNPROMISED_HOURS)
                if now < superseded_at + promise + SKEW:
                    return True
            superseded_at = record.at
        return False

    def staged(self) -> list[Staged]:
        """All values ever staged, newest first."""
        found: list[Staged] = []
        proven: set[str | None] = set()
        for record in reversed(self._records):
            if record.step in PROVES_A_VERSION:
                proven.add(record.slot)
            elif record.step is Step.STAGED and record.staged_version:
                superseded = record.slot in proven
                found.append(Staged(record.staged_version, record.operation_id, record.slot, record.at, superseded))
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

    def published_by(self, operation: str) -> str | None:
        """The version that an operation published; None: none that was recorded."""
        published = self._newest_first({Step.PUBLISHED})
        return next((record.version for record in published if record.operation_id == operation), None)

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

    def waiting(self, latest_slot: str) -> frozenset[str]:
        """Of those, the ones that are still asked for: others neither block a rotation nor are retired."""
        asked = self.asked()
        unretired = self.unretired(latest_slot)
        if asked is None or asked.realm is None:
            return unretired
        return unretired & (frozenset(asked.slots) or self.named_since_proven())

    def named_since_proven(self) -> frozenset[str]:
        """Of slots that the provider assigned: those that were bound. The package before bound none of its own."""
        first = next((place for place, record in enumerate(self._records) if record.asked), len(self._records))
        return frozenset(r.slot for r in self._records[first:] if r.step in NAMES_A_VERSION and r.slot)

    def tags(self) -> Mapping[str, str] | None:
        """The tags of the last version that had any: what `restore` brings back."""
        return next((record.tags for record in self._newest_first(NAMES_A_VERSION) if record.tags), None)

    def last(self) -> Record | None:
        """The newest record."""
        return self._records[-1] if self._records else None

    def last_done(self) -> Record | None:
        """The newest record of something that was done, or that failed."""
        return next((r for r in reversed(self._records) if not r.announces and r.refreshed is None), None)

    def owed(self, waits: Waits | None = None) -> Owed | None:
        """Who is still to be asked to take the version that was published last; None: nobody.

        waits: as in `refreshes.owed`; None: as far as anybody knows no follower waits.
        """
        return owed(self._records) if waits is None else owed(self._records, waits)

    def announced(self, act: Record) -> bool:
        """Whether this was announced within a day, and nothing has come of it since but failures."""
        for record in reversed(self._records):
            if record.announces and record.says_the_same(act):
                return act.at < record.at + REPEATED
            if not record.announces and record.step is not Step.FAILED:
                break
        return False


def _only(asked: Asked | None) -> str | None:
    return asked.slots[0] if asked is not None and len(asked.slots) == 1 else None
