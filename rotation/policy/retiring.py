"""`retire` and `max-grace-hours` of a rule: when an old slot is ended. Loaded only for a rule that has one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rotation.policy.table import Table

AFTER_GRACE, WHEN_UNREAD = "after-grace", "when-unread"
MAX_GRACE_HOURS = 168  # where a rule says nothing
_LEAST, _MOST = 1, 8760


def read_max_grace_hours(table: Table) -> int | None:
    """For how many hours an old slot waits for its readers at most; None: for none of them."""
    retire = table.parsed("retire", _retire) or AFTER_GRACE
    place = (*table.place, "max-grace-hours")
    if retire == AFTER_GRACE:
        if "max-grace-hours" in table.values and table.values.get("retire", AFTER_GRACE) == AFTER_GRACE:
            message = f'`max-grace-hours` is the bound of `retire = "{WHEN_UNREAD}"`: write that too, or take this out'
            table.problems.add(place, message)
        return None
    most = table.number("max-grace-hours", _LEAST, _MOST, MAX_GRACE_HOURS)
    least = table.values.get("min-grace-hours")
    if isinstance(least, int) and most < least:
        table.problems.add(place, f"`max-grace-hours` {most} is below the rule's `min-grace-hours` {least}: raise it")
    return most


def _retire(text: str) -> str:
    if text not in {AFTER_GRACE, WHEN_UNREAD}:
        raise ValueError(f'write "{AFTER_GRACE}" or "{WHEN_UNREAD}"')
    return text
