"""What still waits for its retirement, and when nobody was promised it any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from rotation.ledger.asked import Asked
from rotation.ledger.history import History
from rotation.model import Versions
from rotation.policy import RuleTerms


def left_over(
    history: History, terms: RuleTerms, asked: Asked | None, latest_slot: str | None, ours: frozenset[str] | None
) -> list[str]:
    """Older slots that are asked for and ours, so that they will be retired. All others are left alone.

    ours: the slots that are bound to this secret; None: nobody looked.
    """
    found = history.unretired(latest_slot or "")
    if asked is not None and asked.slots:
        found &= frozenset(asked.slots)
    if asked is not None and asked.realm is not None:
        if ours is not None:
            found &= ours
        elif not asked.slots:
            found &= history.named_since_proven()
    return sorted(slot for slot in found if terms.allows(slot))  # the policy may have changed since


def over_at(history: History, version: str, superseded_at: datetime, hours: int) -> datetime:
    """When nobody was promised a version any more. hours: what tags and policy say now; it only lengthens a promise."""
    return superseded_at + timedelta(hours=max(history.promised(version), hours))


def longest_promise(history: History, hours: int) -> int:
    """For how many hours any known version's slot lives on; hours: what tags and policy say now."""
    return max([hours, *(history.promised(version) for version in history.versions())])


def over_by_versions(
    history: History, listed: Versions, slots: Iterable[str], hours: int, now: datetime
) -> frozenset[str]:
    """Of some slots, those whose grace is over by the vault's own clock, for every version that held them.

    It counts from when a version was superseded: the successor's creation, against the Date of the answer that
    listed it. Each version was promised its own. Where none is listed any more, since the secret was deleted, the
    promise to its readers holds all the same: by the ledger's times, and `now` is of that clock.
    """
    known = history.versions()
    ends: dict[str, list[datetime]] = {slot: [] for slot in slots}
    for place, one in enumerate(listed.items):
        slot = known.get(one.version)
        if slot in ends:
            superseded_at = listed.items[max(place - 1, 0)].created_on
            ends[slot].append(over_at(history, one.version, superseded_at, hours))
    return frozenset(
        slot
        for slot, moments in ends.items()
        if (listed.read_at >= max(moments) if moments else now >= over_by_ledger(history, slot, hours))
    )


def over_by_ledger(history: History, slot: str, hours: int) -> datetime:
    """When a slot's grace is over, as far as the ledger knows: it has no time of what was written by hand."""
    known, named = history.versions(), history.known_since()
    successors = dict(zip(named, list(named.values())[1:], strict=False))
    return max(
        (
            over_at(history, version, superseded_at, hours)
            for version, superseded_at in successors.items()
            if known.get(version) == slot
        ),
        default=datetime.min.replace(tzinfo=UTC),
    )
