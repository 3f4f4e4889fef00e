"""Is it time? Pure decisions over what the vault, the ledger, the tags and the policy say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rotation.model import Force, RotationRequest, Secret, Spec
from rotation.policy import Permit
from rotation.spec import due_at

EARLY = timedelta(days=1)  # a near-expiry event comes on the day, not on the second
CHECK_SLACK = timedelta(minutes=15)  # a sweep comes on the hour, and the check before it ended a little later


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: why, and until when where that is known. `due` tells a deferral from "nothing to do yet"."""

    detail: str
    until: datetime | None
    due: bool


def next_check(proven: datetime, every: timedelta | None) -> datetime | None:
    """When a version that was proven then is to be checked again; None: never (`verify-hours = 0`).

    A little earlier than asked for: an hourly check would else wait for every second sweep.
    """
    return None if every is None else proven + every - min(every / 4, CHECK_SLACK)


def why_wait(
    request: RotationRequest,
    secret: Secret,
    spec: Spec,
    permit: Permit,
    last_rotated_at: datetime | None,
    now: datetime,
) -> Wait | None:
    """None: rotate now. Else what is waited for: the due date, the interval, or the window."""
    if secret.not_before is not None and now < secret.not_before and not request.demanded:
        begins = secret.not_before
        return Wait(f"its latest version is not valid before {begins:%Y-%m-%d %H:%M} UTC", begins, due=False)
    due = due_at(spec, secret.expires_on, secret.created_on)
    early = EARLY if request.early else timedelta()
    if not request.demanded and now < due - early:
        return Wait(f"due on {due:%Y-%m-%d %H:%M} UTC", due, due=False)
    if request.force is not Force.NO:
        return None
    if last_rotated_at is not None and now < last_rotated_at + permit.min_interval:
        until = last_rotated_at + permit.min_interval
        return Wait(
            f"rotated less than {permit.min_interval} ago; the policy waits until {until:%Y-%m-%d %H:%M} UTC",
            until,
            due=True,
        )
    expired = secret.expires_on is not None and secret.expires_on <= now
    if permit.window is not None and not expired and not permit.window.contains(now):
        until = permit.window.next_open(now)
        return Wait(f"outside the policy's window, which opens {until:%Y-%m-%d %H:%M} UTC", until, due=True)
    return None
