"""(d) The gap of a change in place: from the change at PostgreSQL until the vault shows the new login."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bench.figures import Figure, median


def altered_at(log: str, role: str) -> datetime:
    """When the last ALTER of a role was done, by PostgreSQL's log of statements and how long they took.

    Raises:
        IndexError: the log has none.
    """
    found = re.findall(rf'^(\S+ \S+) UTC .*ALTER ROLE "?{re.escape(role)}\b', log, re.MULTILINE)
    return datetime.fromisoformat(f"{found[-1]}+00:00")


def shown_at(calls: Sequence[Mapping[str, Any]], secrets: Collection[tuple[str, str]]) -> datetime:
    """When the last of these secrets had its new version, by the vault's record of calls (`GET /control/calls`).

    secrets: (vault, name).

    Raises:
        ValueError: one of them was written never, or twice: the record is not of one rotation.
    """
    written: dict[tuple[str, str], datetime] = {}
    for one in calls:
        secret = (one["vault"], one["name"])
        if secret not in secrets or (one["operation"], one["status"]) != ("set", 200):
            continue
        if secret in written:
            raise ValueError(f"{secret} was written twice")
        written[secret] = datetime.fromisoformat(one["at"]) + timedelta(milliseconds=one["duration_ms"])
    if missing := set(secrets) - set(written):
        raise ValueError(f"{sorted(missing)} was not written")
    return max(written.values())


def figure(name: str, until: str, gaps: Sequence[float], writes: Sequence[float], at_most: float) -> Figure:
    """The middle gap in middle vault writes. gaps, writes: seconds, measured in one run. until: where a gap ends."""
    gap, write = median(gaps), median(writes)
    how = f"{gap * 1000:.1f} ms from the old password's end to {until}, {write * 1000:.1f} ms one vault write"
    return Figure(name, gap / write, "x", how, at_most)
