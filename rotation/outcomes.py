"""What a run came to, in words for a person. Pure."""

from __future__ import annotations

from datetime import datetime

from rotation.due import Wait
from rotation.history import History
from rotation.model import Outcome, Result, RotationRequest, Secret
from rotation.run import Subject, operation_id


def outcome_of(
    result: Result,
    secret: Secret,
    detail: str,
    *,
    version: str | None = None,
    slot: str | None = None,
    operation: str | None = None,
    expires_on: datetime | None = None,
    retry_after_s: int | None = None,
) -> Outcome:
    """An outcome about a secret. `version` given: it came after the one that `secret` is."""
    return Outcome(
        result,
        secret.ref,
        detail,
        version=version or secret.version,
        previous_version=secret.version if version else None,
        operation_id=operation,
        slot=slot,
        expires_on=expires_on,
        retry_after_s=retry_after_s,
    )


def superseded(request: RotationRequest, secret: Secret) -> Outcome:
    """The hint is about a version that is no longer the latest."""
    detail = f"version {request.version} was asked for, and {secret.version} is the latest now"
    return outcome_of(Result.SUPERSEDED, secret, detail, expires_on=secret.expires_on)


def tags_outcome(history: History, secret: Secret) -> Outcome:
    """No tag asks for anything: was it ever otherwise?"""
    if history.tags() is None or secret.version in history.versions():
        return outcome_of(Result.UNMANAGED, secret, "it has no `rotator` tag")
    return outcome_of(
        Result.TAGS_LOST,
        secret,
        "the latest version was written without tags, so nothing rotates it: POST …/rotate?restore_tags=true",
    )


def waiting_for(wait: Wait, secret: Secret, slot: str | None, now: datetime) -> Outcome:
    """Not now."""
    seconds = round((wait.until - now).total_seconds()) if wait.until else None
    return outcome_of(
        Result.DEFERRED if wait.due else Result.NOT_DUE,
        secret,
        wait.detail,
        slot=slot,
        expires_on=secret.expires_on,
        retry_after_s=seconds if wait.due else None,
    )


def planned(subject: Subject, history: History, slot: str | None) -> Outcome:
    """What a rotation would do now. slot: of the latest version, where that is known without a login."""
    secret, spec, claim = subject.secret, subject.spec, subject.claim
    parts = [f"{spec.rotator} would change {', '.join(claim.targets) or 'nothing outside the vault'}"]
    if claim.slots:
        parts.append(f"slots {', '.join(claim.slots)}, now {slot or 'whichever the value proves to be'}")
    asked = history.asked()
    if asked is None or not asked.is_asked_by(spec.rotator, claim):
        parts.append("the value must log in first: what it asks for was not proven to be this secret's")
    left = history.waiting(slot or "")
    if history.open_operation() is not None:
        parts.append("an interrupted rotation would be finished first")
    elif left:
        parts.append(f"once the grace period of {', '.join(sorted(left))} is over")
    parts.append(f"the new version would live {spec.validity_days} days (rule {subject.permit.rule})")
    operation = operation_id(secret.ref, secret.version)
    return outcome_of(Result.PLANNED, secret, "; ".join(parts), slot=slot, operation=operation)
