"""An operation that was begun and not published: gone on with as it was begun, or given up."""

from __future__ import annotations

from dataclasses import replace

from rotation.engine.change import Change
from rotation.engine.dependencies import ManagedSecrets, assumed_slot
from rotation.engine.managed_secret import ManagedSecret
from rotation.engine.ownership import Owners
from rotation.engine.proof import prove
from rotation.engine.run import Run
from rotation.errors import Rejected
from rotation.ledger.asked import Asked
from rotation.ledger.history import History, Open
from rotation.model import Outcome, Proof, Secret, SecretValue, Spec
from rotation.spec import parse

NO_LONGER_MANAGED = "the secret is no longer managed"


class Resumption:
    """Goes on with the operation that `History.open_operation` names, where it is about the latest version."""

    def __init__(self, managed_secrets: ManagedSecrets, owners: Owners, change: Change) -> None:
        self._managed_secrets = managed_secrets
        self._owners = owners
        self._change = change

    async def finish(self, run: Run, secret: Secret) -> Outcome | None:
        """Go on with it as it was begun. None: it is given up, and all else is decided anew.

        In place the old credential may be dead, so it is finished by what `applying` recorded, even if the secret is
        unmanaged since. Another slot is finished as long as it is still asked for: nobody reads it yet.
        """
        begun = run.history.open_operation()
        assert begun is not None  # noqa: S101  callers know it from `decision`
        asking = asking_of(begun, run.history, secret)
        if asking is None:
            await run.give_up(secret, begun.operation_id, begun.slot, NO_LONGER_MANAGED)
            return None
        managed = self._managed_secrets.of(secret, asking, run.redactor)
        self._managed_secrets.check_tags_fit(managed)
        if not asks_for_it_still(managed, begun):
            value = await self._begun_value(run, begun) if begun.in_place else None
            if value is not None:
                # A repair began it from an older value, since the latest is wrong and may name somebody else's.
                managed = self._managed_secrets.of(replace(secret, value=value), asking, run.redactor)
            why = why_given_up(managed, begun, repairing=value is not None)
        else:
            why = why_given_up(managed, begun)
        if why is not None:
            await run.give_up(secret, begun.operation_id, begun.slot, why)
            return None
        slot = run.history.versions().get(secret.version) or _stood_for(run, managed, begun)
        asked = begun.asked
        if asked is None:
            try:
                asked = await self._bind_begun(run, managed, begun)
            except Rejected:
                # As any value that nothing proves: what to do about that comes below, a reset among it.
                await run.give_up(secret, begun.operation_id, begun.slot, "neither the old value nor the new one works")
                return None
        else:
            await self._owners.look_up_more(run, asked, [begun.slot or slot])
        if asked.realm is not None and (begun.slot or slot) not in run.ours():
            why = f"{begun.slot or slot} is not bound to this secret"
            await run.give_up(secret, begun.operation_id, begun.slot, why)
            return None
        return await self._change.rotate(run, managed, asked, slot, resumed=True, promised=begun.grace_hours or 0)

    async def _begun_value(self, run: Run, begun: Open) -> SecretValue | None:
        staged = run.history.staged_for(begun.operation_id)
        return await run.staged_value(staged) if staged else None

    async def _bind_begun(self, run: Run, managed: ManagedSecret, begun: Open) -> Asked:
        """The package before began it, and knew no bindings: whichever of the two values works proves whose it is."""

        async def proof() -> Proof:
            try:
                return await prove(run, managed)
            except Rejected:
                value = await self._begun_value(run, begun)
                if value is None:
                    raise
                return await prove(run, managed, value)

        return await self._owners.take(run, managed, await proof(), proof)


def asking_of(begun: Open, history: History, secret: Secret) -> Spec | None:
    """What asks for the operation: in place, what did when it was begun.

    Raises:
        Unusable: a tag can't be understood.
    """
    return parse(begun.tags or history.tags() or secret.tags) if begun.in_place else parse(secret.tags)


def asks_for_it_still(managed: ManagedSecret, begun: Open) -> bool:
    """Whether it is by the same rotator and at the same targets that the operation was begun; and its slot, in place.

    What was bound then gives no right to anything else.
    """
    if begun.asked is None:
        return True
    same = begun.asked.rotator == managed.spec.rotator and set(begun.asked.targets) == set(managed.access.targets)
    return same and not (begun.in_place and managed.access.slots and begun.slot not in managed.access.slots)


def why_given_up(managed: ManagedSecret, begun: Open, *, repairing: bool = False) -> str | None:
    """Why an operation is not finished; None: it is. repairing: a repair began it, from another value."""
    if not repairing and not asks_for_it_still(managed, begun):
        return "something else is asked for by now"
    asked_for = begun.in_place or begun.slot is None or not managed.access.slots or begun.slot in managed.access.slots
    return None if asked_for else f"{begun.slot} is no longer asked for"


def _stood_for(run: Run, managed: ManagedSecret, begun: Open) -> str:
    """The slot of a version that the ledger does not know, on which an operation was begun.

    An operator's reset begins one on a value that names none and never worked.
    """
    if begun.in_place and begun.slot is not None:
        return begun.slot
    if begun.slot in managed.access.slots:
        return next((slot for slot in managed.access.slots if slot != begun.slot), begun.slot)
    # The provider assigns slots: a later try of the operation names the one that an earlier one was given.
    if not managed.access.slots and managed.access.current_slot is None and not run.history.versions():
        return managed.secret.version  # as the reset called it
    return assumed_slot(run, managed)
