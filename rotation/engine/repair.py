"""What to do where the latest version does not log in: nothing, or mend it in what is bound to this secret."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from rotation.engine.change import Change
from rotation.engine.dependencies import Parts, Subjects, assumed_slot, check_slot
from rotation.engine.fence import within
from rotation.engine.jobs import job_of
from rotation.engine.managed_secret import Subject, operation_id
from rotation.engine.outcomes import outcome_of
from rotation.engine.ownership import Owners, unproven
from rotation.engine.proof import as_it_was, verify, working_value
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


class Mending:
    """Publishes again what works, or sets anew what is this secret's."""

    def __init__(self, parts: Parts, subjects: Subjects, owners: Owners, change: Change) -> None:
        self._parts = parts
        self._subjects = subjects
        self._owners = owners
        self._change = change

    async def rejected(
        self,
        run: Run,
        subject: Subject,
        known: str | None,
        settled: Asked | None,
        recorded: Asked | None,
        rejected: Rejected,
    ) -> Outcome:
        """The latest version does not log in. What is not bound to this secret is not touched, whoever could."""
        if run.request.adopt is Adopt.RESET:
            return await self._reset(run, subject)
        mine = None if recorded is None or recorded.realm is None else run.ours()
        if recorded is None or mine == frozenset():
            raise self._owners.not_ours(run, subject, rejected)
        if known is not None and settled is None:
            # It asks for something else than was proven. Where it still works as it was, only that is wrong.
            version, value = subject.secret.version, subject.secret.value
            with contextlib.suppress(Rejected, Denied, Unusable):
                was = as_it_was(run, subject, version, self._subjects.permitted(run.redactor), value)
                await verify(run, was, Credential(value, known))
                raise self._owners.not_ours(run, subject, rejected)
        return await self._repair(run, subject, recorded, settled, mine)

    async def _repair(
        self, run: Run, subject: Subject, recorded: Asked, settled: Asked | None, mine: frozenset[str] | None
    ) -> Outcome:
        """Publish again what works, marked due; else rotate by what still works, only in slots that are ours.

        mine: those slots; None: nothing at a provider is owned.
        """
        secret = subject.secret
        found = await working_value(run, subject, self._subjects.permitted(run.redactor), mine, recorded.targets)
        if found is None:
            try:
                return await self._set_anew(run, subject, recorded, settled, mine)
            except MovedElsewhere as moved:  # and what does not log in can't be proven anew there
                raise unproven(subject, Rejected(moved.message)) from None
        credential, was = found
        now = self._parts.clock.now()
        tags = next_tags(was.secret.tags, slot=credential.slot, rotated_at=now, rotated_from=secret.version)
        operation = operation_id(secret.ref, secret.version, "repair")
        await run.announce(
            run.about_to(AboutTo.PUBLISH, operation, previous_version=secret.version, slot=credential.slot, tags=tags)
        )
        written = await run.publish(subject, credential.value, tags, now + timedelta(days=1))
        await run.append(
            run.note(
                Step.REPAIRED, operation, version=written.version, previous_version=secret.version,
                slot=credential.slot, detail="the latest version was refused; one that works is the latest again",
                tags=tags, grace_hours=was.promise_h,
            )
        )  # fmt: skip
        return outcome_of(
            Result.REPAIRED, secret, "the latest version was refused; one that works is the latest again, and is due",
            version=written.version, slot=credential.slot, operation=operation, expires_on=written.expires_on,
        )  # fmt: skip

    async def _set_anew(
        self, run: Run, subject: Subject, recorded: Asked, settled: Asked | None, mine: frozenset[str] | None
    ) -> Outcome:
        """On the latest version if all that it asks for is ours, else on the newest one that is, with its own value."""
        if settled is not None and settled.form == subject.claim.form:
            slot = assumed_slot(run, subject)
            if mine is None or slot in mine:
                return await self._change.rotate(run, subject, settled, slot, resumed=False, repairing=True)
        for version, slot in run.history.versions().items():
            if mine is not None and slot not in mine:
                continue
            value = await run.older_value(version)
            if value is None:
                continue
            was = as_it_was(run, subject, version, self._subjects.permitted(run.redactor), value)
            if was.claim.form != subject.claim.form:
                break
            if mine is not None and not mine.issuperset(was.claim.slots):
                continue  # of two in turn it is the other one that would be set anew
            if mine is not None and set(recorded.targets).isdisjoint(was.claim.targets):
                continue
            return await self._change.rotate(run, was, recorded, slot, resumed=False, repairing=True)
        raise self._owners.not_ours(run, subject, Rejected("and nothing that was proven before can be set anew"))

    async def _reset(self, run: Run, subject: Subject) -> Outcome:
        """An operator named the slots that may be set anew, without a proof that they are this secret's."""
        unnamed = [slot for slot in subject.claim.slots if slot not in run.request.slots]
        if unnamed:
            raise Unusable(
                f"adopt=reset sets anew what is named, and {', '.join(unnamed)} is not: "
                f"name all that is asked for, slots={','.join(subject.claim.slots)}",
                field="slots",
            )
        slot = subject.claim.current_slot or next(iter(subject.claim.slots), subject.secret.version)
        check_slot(subject, slot if subject.claim.slots else None)
        current = Credential(subject.secret.value, slot)
        job = job_of(run, subject, current, operation_id(subject.ref, subject.secret.version))

        async def named() -> Proof:
            call = subject.rotator.realm(job, slot)
            return Proof(slot, await within(run.fence.limits.provider_call, "the provider", call))

        asked = await self._owners.take(run, subject, await named(), named)
        return await self._change.rotate(run, subject, asked, slot, resumed=False, repairing=True)
