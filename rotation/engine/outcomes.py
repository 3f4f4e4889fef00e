"""What a run came to, in words for a person. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from rotation.engine.decision import Act, Decision, Deferral
from rotation.engine.lead import Follower
from rotation.engine.managed_secret import ManagedSecret, operation_id
from rotation.ledger.history import History
from rotation.model import Outcome, Result, RotationRequest, Secret


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


def nothing_to_do(
    decision: Decision, request: RotationRequest, secret: Secret, slot: str | None, now: datetime
) -> Outcome:
    """What is said where there is nothing to do, or nothing but to say so."""
    if decision.act is Act.SUPERSEDED:
        detail = f"version {request.version} was asked for, and {secret.version} is the latest now"
        return outcome_of(Result.SUPERSEDED, secret, detail, expires_on=secret.expires_on)
    if decision.act is Act.TAGS_LOST:
        detail = "the latest version was written without tags, so nothing rotates it: POST …/rotate?restore_tags=true"
        return outcome_of(Result.TAGS_LOST, secret, detail)
    if decision.wait is not None:
        return _waiting_for(decision.wait, secret, slot, now)
    return outcome_of(Result.UNMANAGED, secret, "it has no `rotator` tag")


def _waiting_for(wait: Deferral, secret: Secret, slot: str | None, now: datetime) -> Outcome:
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


def planned(managed: ManagedSecret, history: History, acts: Collection[Act], over: Collection[str] = ()) -> Outcome:
    """What would be done now. over: the old slots that RETIRE would be about."""
    secret, spec, access = managed.secret, managed.spec, managed.access
    slot = history.versions().get(secret.version) or access.current_slot
    parts = []
    rotates = not {Act.FINISH, Act.ROTATE}.isdisjoint(acts)
    if rotates:
        parts.append(f"{spec.rotator} would change {', '.join(access.targets) or 'nothing outside the vault'}")
        if access.slots:
            in_use = f"{slot or 'the one that the value proves to be'} is in use"
            alone = access.slots == (slot,)
            parts.append(f"slot {slot}" if alone else f"slots {', '.join(access.slots)}, of which {in_use}")
    asked = history.asked()
    if asked is None or not asked.is_asked_by(spec.rotator, access):
        parts.append(
            "it would first log in with the value, since nothing proves yet that this secret owns what it asks for"
        )
    if Act.RESTORE in acts:
        parts.append("the lost tags would be restored")
    if Act.FINISH in acts or Act.CHECK in acts:
        parts.append("an interrupted rotation would be finished first")
    if Act.RETIRE in acts:
        parts.append(f"{', '.join(sorted(over))} would be retired: the grace period is over")
    if rotates:
        parts.append(f"the new version would live {spec.validity_days} days (rule {managed.terms.rule})")
        if managed.terms.refresh:
            parts.append(f"then asked to take it: {', '.join(one.name for one in managed.terms.refresh)}")
    operation = operation_id(secret.ref, secret.version)
    return outcome_of(Result.PLANNED, secret, "; ".join(parts), slot=slot, operation=operation)


def would_follow(followers: Iterable[Follower]) -> str:
    """What would be written beside, or after it."""
    return f"followers would be written: {', '.join(str(one.ref) for one in followers)}"
