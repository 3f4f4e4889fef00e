"""What the engine works with, and what a secret asks for by it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from rotation.engine.fence import Limits
from rotation.engine.managed_secret import ManagedSecret
from rotation.engine.observer import NoObserver, Observer
from rotation.engine.reminders import NoReminders, Reminders
from rotation.engine.run import Run
from rotation.errors import (
    Denied,
    Redactor,
    Stopping,
    Unusable,
)
from rotation.model import (
    Secret,
    SecretRef,
    SecretValue,
    Spec,
)
from rotation.policy import Policy
from rotation.ports import Clock, Ledger, Rotator, Vault
from rotation.readers import NoReaders, Readers
from rotation.refresh_targets import Refresher
from rotation.spec import companion, next_tags


def _no_refresher(kind: str) -> Refresher:
    raise Unusable(f"nobody here can ask {kind}", field="refresh")


@dataclass(frozen=True, slots=True)
class EngineDependencies:
    """What the engine works with. `rotator` raises Unusable(field="rotator") for a name it does not know.

    refresher: for a kind of `rotation.refreshers`; raises Unusable for one that it does not know.

    stopping: whether this process was asked to end; then nothing is begun any more.
    """

    vaults: Mapping[str, Vault]
    ledger: Ledger
    policy: Policy
    rotator: Callable[[str], Rotator]
    clock: Clock
    random: random.Random
    limits: Limits = field(default_factory=Limits)
    observer: Observer = field(default_factory=NoObserver)
    reminders: Reminders = field(default_factory=NoReminders)
    readers: Readers = field(default_factory=NoReaders)
    stopping: Callable[[], bool] = bool  # no
    refresher: Callable[[str], Refresher] = _no_refresher


class ManagedSecrets:
    """Reads what a secret asks for, and whether the policy permits it."""

    def __init__(self, dependencies: EngineDependencies) -> None:
        self._dependencies = dependencies

    def of(self, secret: Secret, spec: Spec, redactor: Redactor) -> ManagedSecret:
        """A secret with the access that it asks for and the rule's terms.

        Raises:
            Unusable: of which tag, or the value. Denied: it is not permitted.
        """
        rotator = self._dependencies.rotator(spec.rotator)
        self._dependencies.observer.asked_for(spec.rotator)  # a name that we know; a tag may hold anything
        access = rotator.requested_access(spec, secret)
        for confidential in access.confidential:
            redactor.add(confidential)
        terms = self._dependencies.policy.terms_for(secret.ref, spec, access)
        return ManagedSecret(secret, spec, access, terms, rotator)

    def permitted(self, redactor: Redactor) -> Callable[[Secret, Spec], ManagedSecret]:
        """`of`, for what reads older values of a run."""
        return lambda secret, spec: self.of(secret, spec, redactor)

    def check_going_on(self) -> None:
        """Raise Stopping where nothing more may be begun, since the process ends before it could be finished."""
        if self._dependencies.stopping():
            raise Stopping("this instance is being stopped; another one takes it up", retry_after_s=1)

    def check_companion(self, managed: ManagedSecret) -> None:
        """Raise Denied where values may not be staged."""
        name = companion(managed.ref.name)
        if self._dependencies.policy.excludes(SecretRef(managed.ref.vault, name)):
            raise Denied(f"a rule of the policy takes {name} out, and new values are staged there: let it be covered")

    def check_tags_fit(self, managed: ManagedSecret) -> None:
        """Raise before anything changes if the next version could not be written."""
        secret = managed.secret
        slot = max((*managed.access.slots, managed.access.current_slot or "", "x" * 36), key=len)
        next_tags(secret.tags, slot=slot, rotated_at=self._dependencies.clock.now(), rotated_from=secret.version)
        companion(secret.ref.name)


def remember(redactor: Redactor, managed: ManagedSecret, value: SecretValue) -> None:
    """Have the redactor know a new value, and the parts of it that must not be seen."""
    redactor.add(value)
    for confidential in managed.rotator.requested_access(
        managed.spec, replace(managed.secret, value=value)
    ).confidential:
        redactor.add(confidential)


def check_slot(managed: ManagedSecret, slot: str | None) -> None:
    """Raise Denied for a slot that the rule does not list."""
    if slot is not None and not managed.terms.allows(slot):
        raise Denied(f"slot {slot} is not among the slots of the policy's rule {managed.terms.rule}")


def assumed_slot(run: Run, managed: ManagedSecret) -> str:
    """The slot of a latest version that nobody could prove: the ledger's word first."""
    known = run.history.versions()
    slot = known.get(managed.secret.version) or managed.access.current_slot or next(iter(known.values()), None)
    if slot is None:
        raise Unusable("the value names no slot, and the ledger knows none: write one that works", field="value")
    check_slot(managed, slot)
    return slot
