"""What a program noted of its logins: which failed, and for how long it was locked out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Login:
    """at: when it ended, in seconds of the machine's monotonic clock."""

    at: float
    user: str
    let_in: bool


def read(report: Path) -> list[Login]:
    """All so far; a line that is being written is left out."""
    if not report.exists():
        return []
    return [Login(**json.loads(line)) for line in report.read_text().splitlines(keepends=True) if line.endswith("\n")]


def outages_s(logins: Iterable[Login]) -> list[float]:
    """Seconds from the last login before a refused one to the next that was let in: the whole time that it was out.

    An outage that never ended lasts to the last login.
    """
    found: list[float] = []
    inside: float | None = None  # the last one that was let in
    out_until: float | None = None
    for login in logins:
        if login.let_in:
            if out_until is not None:
                found.append(login.at - (inside if inside is not None else out_until))
            inside, out_until = login.at, None
        else:
            out_until = login.at
    if out_until is not None:
        found.append(out_until - (inside if inside is not None else out_until))
    return found
