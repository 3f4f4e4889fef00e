"""Which older versions are still good: those that somebody may have read and was promised for a while. Pure.

The service disables an older version of what it made once its grace period is over; until then the tag
`grace-hours` says for how long it is promised. A later tag only lengthens it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from keyturn.held import Listed

DEFAULT_HOURS = 72  # what no tag means


def in_grace(versions: Iterable[Listed], latest: str, now: datetime) -> list[str]:
    """Ids of the older versions that are still good at `now` (the vault's clock), the newest first."""
    ordered = sorted(versions, key=lambda one: one.created_on, reverse=True)
    newest = next((one for one in ordered if one.id == latest), None)  # which one is the latest, a read has said
    if newest is None:
        return []
    asked_last = _hours(newest.tags)
    good = []
    for older in ordered:
        # `created` has whole seconds: of two made in one second either may be the later one.
        later = [one.created_on for one in ordered if one.created_on > older.created_on]
        superseded_at = min(later, default=newest.created_on)
        promised = timedelta(hours=max(_hours(older.tags), asked_last))
        if older.enabled and older.id != latest and now < superseded_at + promised:
            good.append(older.id)
    return good


def _hours(tags: Mapping[str, str]) -> int:
    try:
        return max(0, int(tags.get("grace-hours", DEFAULT_HOURS)))
    except ValueError:
        return DEFAULT_HOURS
