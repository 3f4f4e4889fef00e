"""What to do where the latest version does not log in: nothing, or mend it in what is bound to this secret."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from rotation.engine.change import Change
from rotation.engine.dependencies import EngineDependencies, ManagedSecrets, assumed_slot, check_slot
from rotation.engine.fence import within
from rotation.engine.jobs import job_of
from rotation.engine.managed_secret import ManagedSecret, operation_id
from rotation.engine.outcomes import outcome_of
from rotation.engine.ownership import Owners, unproven
from rotation.engine.proof import as_it_was, verify, working_value
from rotation.engine.refreshing import owing
from rotation.engine.run import Run
from rotation.errors import (
    Denied,
    MovedElsewhere,
    Rejected,
    Unusable,
)
from rotation.ledger.asked import Asked
from rotation.ledger.records import AboutTo, Step
from rotation.model import (
    Adopt,
    Credential,
    Outcome,
    Proof,
    Result,
)
from rotation.spec import next_tags


class Repair:
    """Publishes again what works, or sets anew what is this secret's."""

    def __init__(
        self, dependencies: EngineDependencies, managed_secrets: ManagedSecrets, owners: Owners, change: Change
    ) -> None:
        self._dependencies = dependencies
        self._managed_secrets = managed_secrets
        self._owners = owners
        self._change = change

    async def rejected(
        self,
        run: Run,
        managed: ManagedSecret,
        known: str | None,
        confirmed: Asked | None,
        recorded: Asked | None,
        rejected: Rejected,
    ) -> Outcome:
        """The latest version does not log in. What is not bound to this secret is not touched, even if it could be."""
        if run.request.adopt is Adopt.RESET:
            return await self._reset(run, managed)
        mine = None if recorded is None or recorded.realm is None else run.ours()
        if recorded is None or mine == frozenset():
            raise self._owners.not_ours(run, managed, rejected)
        if known is not None and confirmed is None:
            # It asks for something else than was proven. Where it still works as it was, only that is wrong.
            version, value = managed.secret.version, managed.secret.value
            with contextlib.suppress(Rejected, Denied, Unusable):
                was = as_it_was(run, managed, version, self._managed_secrets.permitted(run.redactor), value)
                await verify(run, was, Credential(value, known))
                raise self._owners.not_ours(run, managed, rejected)
        return await self._repair(run, managed, recorded, confirmed, mine)

    async def _repair(
        self, run: Run, managed: ManagedSecret, recorded: Asked, confirmed: Asked | None, mine: frozenset[str] | None
    ) -> Outcome:
        """Publish again what works, marked due; else rotate by what still works, only in slots that are ours.

        mine: those slots; None: nothing at a provider is owned.
        """
        secret = managed.secret
        found = await working_value(run, managed, self._managed_secrets.permitted(run.redactor), mine, recorded.targets)
        if found is None:
            try:
                return await self._set_anew(run, managed, recorded, confirmed, mine)
            except MovedElsewhere as moved:  # and what does not log in can't be proven anew there
                raise unproven(managed, Rejected(moved.message)) from None
        credential, was = found
        now = self._dependencies.clock.now()
        tags = next_tags(was.secret.tags, slot=credential.slot, rotated_at=now, rotated_from=secret.version)
        operation = operation_id(secret.ref, secret.version, "repair")
        await run.announce(
            run.about_to(AboutTo.PUBLISH, operation, previous_version=secret.version, slot=credential.slot, tags=tags)
        )
        written = await run.publish(managed, credential.value, tags, now + timedelta(days=1))
        note = run.note(
            Step.REPAIRED, operation, version=written.version, previous_version=secret.version,
            slot=credential.slot, detail="the latest version was refused; one that works is the latest again",
            tags=tags, grace_hours=was.promise_h,
        )  # fmt: skip
        await run.append(owing(managed.terms, note))
        return outcome_of(
            Result.REPAIRED, secret, "the latest version was refused; one that works is the latest again, and is due",
            version=written.version, slot=credential.slot, operation=operation, expires_on=written.expires_on,
        )  # fmt: skip

    async def _set_anew(
        self, run: Run, managed: ManagedSecret, recorded: Asked, confirmed: Asked | None, mine: frozenset[str] | None
    ) -> Outcome:
        """On the latest version if all that it asks for is ours, else on the newest one that is, with its own value."""
        if confirmed is not None and confirmed.form == managed.access.form:
            slot = assumed_slot(run, managed)
            if mine is None or slot in mine:
                return await self._change.rotate(run, managed, confirmed, slot, resumed=False, repairing=True)
        for version, slot in run.history.versions().items():
            if mine is not None and slot not in mine:
                continue
            value = await run.older_value(version)
            if value is None:
                continue
            was = as_it_was(run, managed, version, self._managed_secrets.permitted(run.redactor), value)
            if was.access.form != managed.access.form:
                break
            if mine is not None and not mine.issuperset(was.access.slots):
                continue  # of two in turn it is the other one that would be set anew
            if mine is not None and set(recorded.targets).isdisjoint(was.access.targets):
                continue
            return await self._change.rotate(run, was, recorded, slot, resumed=False, repairing=True)
        ours = self._slot_without_versions(run, managed, recorded, mine)
        if ours is not None:
            return await self._change.rotate(run, managed, recorded, ours, resumed=False, repairing=True)
        raise self._owners.not_ours(run, managed, Rejected("and nothing that was proven before can be set anew"))

    def _slot_without_versions(
        self, run: Run, managed: ManagedSecret, recorded: Asked, mine: frozenset[str] | None
    ) -> str | None:
        """The newest slot that is ours, of those that the provider assigns: it is in no version any more.

        The secret was deleted and written anew. A new credential harms nobody there, and the value is built from what
        was written, where that asks for just what was proven.
        """
        asks = recorded.is_asked_by(managed.spec.rotator, managed.access) and recorded.form == managed.access.form
        if managed.access.slots or mine is None or not asks:
            return None
        return next((slot for slot in run.history.versions().values() if slot in mine), None)

    async def _reset(self, run: Run, managed: ManagedSecret) -> Outcome:
        """An operator named the slots that may be set anew, without a proof that they are this secret's."""
        unnamed = [slot for slot in managed.access.slots if slot not in run.request.slots]
        if unnamed:
            raise Unusable(
                f"adopt=reset sets anew what is named, and {', '.join(unnamed)} is not: "
                f"name all that is asked for, slots={','.join(managed.access.slots)}",
                field="slots",
            )
        slot = managed.access.current_slot or next(iter(managed.access.slots), managed.secret.version)
        check_slot(managed, slot if managed.access.slots else None)
        current = Credential(managed.secret.value, slot)
        job = job_of(run, managed, current, operation_id(managed.ref, managed.secret.version))

        async def named() -> Proof:
            call = managed.rotator.realm(job, slot)
            return Proof(slot, await within(run.fence.limits.provider_call, "the provider", call))

        asked = await self._owners.take(run, managed, await named(), named)
        return await self._change.rotate(run, managed, asked, slot, resumed=False, repairing=True)
