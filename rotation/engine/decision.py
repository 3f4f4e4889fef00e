"""Is there anything to do for a secret, and when? The only place that decides it. Pure.

A run's first look, the run under its lease, a plan and the sweep all ask here. A run asks again after each thing that
it did, since that changes what the history says. See docs/adr/0038-one-decider.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from rotation.engine.grace import left_over, longest_promise, over_by_ledger
from rotation.engine.managed_secret import operation_id, promise_h
from rotation.ledger.asked import Asked
from rotation.ledger.history import History
from rotation.model import Force, Reason, RequestedAccess, RotationRequest, Secret, Spec
from rotation.policy import RuleTerms
from rotation.spec import due_at

EARLY = timedelta(days=1)  # a near-expiry event comes on the day, not on the second
CHECK_SLACK = timedelta(minutes=15)  # a sweep comes on the hour, and the check before it ended a little later
IMMEDIATELY, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Act(Enum):
    """What is to be done next."""

    SUPERSEDED = auto()  # nothing: the request is about a version that is no longer the latest
    FINISH = auto()  # an operation on the latest version may have changed the provider: go on with it
    RESTORE = auto()  # bring back the tags that a version written by hand lost
    TAGS_LOST = auto()  # say that they are lost
    UNMANAGED = auto()  # nothing: no tag asks for it
    CHECK = auto()  # log in with the latest version, and write down whose it is
    DENIED = auto()  # say that it is due, and that the policy permits no longer what was proven last
    RETIRE = auto()  # end the old slots whose grace period is over
    ROTATE = auto()
    WAIT = auto()  # nothing now: `Decision.wait` says why


NOTHING = frozenset({Act.SUPERSEDED, Act.UNMANAGED, Act.WAIT})


@dataclass(frozen=True, slots=True)
class Deferral:
    """Not now: why, and until when where that is known. `due` tells a deferral from "nothing to do yet"."""

    detail: str
    until: datetime | None
    due: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """wait: with WAIT alone. confirmed: with CHECK, what was proven last, if it is what is asked for now, and ours."""

    act: Act
    wait: Deferral | None = None
    confirmed: Asked | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen outside the history; None: nobody looked, and the history's word counts.

    access: what tags and value ask for. ours: the slots that are bound to this secret.
    over: of the slots that wait for their retirement, those whose grace period is over. A run leaves that to
    `retirement.retire_due`, and says afterwards that nothing more is over.
    checked: whether the latest version logged in just now.
    not_past: followers some reader of which may still need an older slot. blocked: why one of them can't be written
    beside a change in place.
    """

    access: RequestedAccess | None = None
    ours: frozenset[str] | None = None
    over: frozenset[str] | None = None
    checked: bool = False
    not_past: tuple[str, ...] = ()
    blocked: Deferral | None = None


UNSEEN = Looked()


def at_once(request: RotationRequest, secret: Secret, history: History) -> Decision | None:
    """What comes before all that the tags say. None: nothing does."""
    if request.version is not None and request.version != secret.version:
        return Decision(Act.SUPERSEDED)
    begun = history.open_operation()
    if begun is not None and begun.operation_id == operation_id(secret.ref, secret.version):
        # The provider may have changed already: finish, whatever due date, window, interval and grace say.
        return Decision(Act.FINISH)
    return None


def decide(
    request: RotationRequest,
    secret: Secret,
    spec: Spec | None,
    terms: RuleTerms | None,
    history: History,
    now: datetime,
    looked: Looked = UNSEEN,
) -> Decision:
    """What is to be done next for a secret whose latest version is `secret`.

    spec: None where no tag asks for anything. terms: None where the policy permits no longer what was proven last; a
    run finds that out earlier, and raises `Denied`.
    """
    first = at_once(request, secret, history)
    if first is not None:
        return first
    if spec is None:
        return Decision(Act.RESTORE if _restores(request, history) else without_tags(secret, history))
    wait = None if terms is None else deferral_of(request, secret, spec, terms, history.last_rotated_at(), now)
    if wait is not None and not history and request.reason != Reason.SWEEP:
        return Decision(Act.WAIT, wait)  # so that no history is left behind for what is none of our business yet
    confirmed = is_confirmed(history, spec, secret.version, looked)
    # An open operation is on another version here, by `at_once`, and may have ended the credential that this one holds.
    # A version that the history does not know was never proven: `next_check` says IMMEDIATELY.
    interrupted = history.open_operation() is not None
    if not looked.checked and (confirmed is None or interrupted or now >= next_check(history, secret.version, terms)):
        return Decision(Act.CHECK, confirmed=confirmed)
    if terms is None:
        due = now >= due_at(spec, secret.expires_on, secret.created_on)
        return (
            Decision(Act.DENIED) if due else Decision(Act.WAIT, Deferral("not due, and not permitted", None, due=False))
        )
    return _when_sound(request, secret, spec, terms, history, wait, looked)


def _when_sound(
    request: RotationRequest,
    secret: Secret,
    spec: Spec,
    terms: RuleTerms,
    history: History,
    wait: Deferral | None,
    looked: Looked,
) -> Decision:
    """The latest version works: retire what is over, then rotate if it is time."""
    left = left_over(history, terms, history.asked(), history.versions().get(secret.version), looked.ours)
    may_be_over = looked.over is None or not looked.over.isdisjoint(left)
    held = bool(looked.not_past) and request.force != Force.GRACE
    if left and may_be_over and not held and (wait is None or request.reason == Reason.SWEEP):
        return Decision(Act.RETIRE)
    if wait is None and left and held:
        detail = f"{', '.join(left)} lives on until its followers are past it: {', '.join(looked.not_past)}"
        wait = Deferral(detail, None, due=True)
    if wait is None and left and request.force != Force.GRACE:
        hours, most = longest_promise(history, promise_h(spec, terms)), terms.max_grace_hours or 0
        period = f"{hours} h" if most <= hours else f"{hours} to {most} h"
        wait = Deferral(f"{', '.join(left)} is still in its grace period of {period}", None, due=True)
    if wait is None and request.force != Force.GRACE and _is_in_place(history, secret, looked):
        wait = looked.blocked
    return Decision(Act.ROTATE) if wait is None else Decision(Act.WAIT, wait)


def _is_in_place(history: History, secret: Secret, looked: Looked) -> bool:
    """Whether a change would end the credential that the latest version holds: it is the only one that is asked for."""
    return looked.access is not None and looked.access.slots == (history.versions().get(secret.version),)


def _restores(request: RotationRequest, history: History) -> bool:
    """Whether lost tags are to be brought back, and there are any."""
    return (request.restore_tags or request.force != Force.NO) and history.tags() is not None


def without_tags(secret: Secret, history: History) -> Act:
    """No tag asks for anything: was it ever otherwise?"""
    return Act.UNMANAGED if history.tags() is None or secret.version in history.versions() else Act.TAGS_LOST


def is_confirmed(history: History, spec: Spec, version: str, looked: Looked) -> Asked | None:
    """What was proven last, if it is what is asked for now, and all of it is still bound to this secret.

    None: the latest version must prove whose it is, and what it asks for be bound.
    """
    asked = history.asked()
    if asked is None or history.gave_up() or asked.rotator != spec.rotator:
        return None
    if looked.access is not None and not asked.is_asked_by(spec.rotator, looked.access):
        return None
    slot = history.versions().get(version)
    needed = frozenset(asked.slots or ((slot,) if slot else ()))
    ours = asked.realm is None or looked.ours is None or (bool(needed) and needed <= looked.ours)
    return asked if ours else None


def deferral_of(
    request: RotationRequest,
    secret: Secret,
    spec: Spec,
    terms: RuleTerms,
    last_rotated_at: datetime | None,
    now: datetime,
) -> Deferral | None:
    """None: rotate now. Else what is waited for: the due date, the interval, or the window."""
    if secret.not_before is not None and now < secret.not_before and not request.demanded:
        begins = secret.not_before
        return Deferral(f"its latest version is not valid before {begins:%Y-%m-%d %H:%M} UTC", begins, due=False)
    due = due_at(spec, secret.expires_on, secret.created_on)
    early = EARLY if request.early else timedelta()
    if not request.demanded and now < due - early:
        return Deferral(f"due on {due:%Y-%m-%d %H:%M} UTC", due, due=False)
    if request.force != Force.NO:
        return None
    if last_rotated_at is not None and now < last_rotated_at + terms.min_interval:
        until = last_rotated_at + terms.min_interval
        return Deferral(
            f"rotated less than {terms.min_interval} ago; the policy waits until {until:%Y-%m-%d %H:%M} UTC",
            until,
            due=True,
        )
    expired = secret.expires_on is not None and secret.expires_on <= now
    if terms.window is not None and not expired and not terms.window.contains(now):
        until = terms.window.next_open(now)
        return Deferral(f"outside the policy's window, which opens {until:%Y-%m-%d %H:%M} UTC", until, due=True)
    return None


# checks


def next_check(history: History, version: str, terms: RuleTerms | None) -> datetime:
    """When a version is to be checked again. terms: None where it is not permitted: only what was never proven is.

    A little earlier than asked for: an hourly check would else wait for every second sweep.
    """
    proven = history.proven_at(version)
    if proven is None:
        return IMMEDIATELY
    every = None if terms is None else terms.verify_every
    return NEVER if every is None else proven + every - min(every / 4, CHECK_SLACK)


# the sweep


def next_look(history: History, spec: Spec | None, terms: RuleTerms | None) -> datetime:
    """When a history asks to be looked at again, whatever the vault's listing says: IMMEDIATELY, NEVER, or a moment.

    Never later than `decide` has something to do, but for the due date, which the listing tells; it may be earlier.
    terms: None where the policy permits no longer what was proven last. Then a run could do nothing but say so, which
    it does when the secret is due.
    """
    if history.open_operation() is not None:
        return IMMEDIATELY
    owed = history.owed()
    refresh_targets = NEVER if owed is None else owed.next_at
    if spec is None:
        return refresh_targets
    versions = history.versions()
    latest = next(iter(versions), None)
    if latest is None or is_confirmed(history, spec, latest, UNSEEN) is None:
        return IMMEDIATELY
    moments = [next_check(history, latest, terms), refresh_targets]
    if terms is not None:
        hours = promise_h(spec, terms)
        left = left_over(history, terms, history.asked(), versions[latest], None)
        moments += (over_by_ledger(history, slot, hours) for slot in left)
    return min(moments)


def sweep_asks(
    request: RotationRequest,
    secret: Secret,
    spec: Spec | None,
    terms: RuleTerms | None,
    history: History,
    now: datetime,
    ours: frozenset[str] | None = None,
) -> bool:
    """Whether a run by the sweep would do something, or say something that somebody must hear.

    ours: the slots that are bound to this secret; None: nobody looked.
    """
    over: frozenset[str] = frozenset()
    if spec is not None and terms is not None:
        left = left_over(history, terms, history.asked(), history.versions().get(secret.version), ours)
        hours = promise_h(spec, terms)
        over = frozenset(slot for slot in left if now >= over_by_ledger(history, slot, hours))
    looked = Looked(ours=ours, over=over)
    owed = history.owed()
    if owed is not None and now >= owed.next_at:
        return True
    return decide(request, secret, spec, terms, history, now, looked).act not in NOTHING
