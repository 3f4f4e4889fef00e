"""Steps 4 to 9: from the draft to the recorded outcome. Only a secret that owns its credential comes here.

CONTRIBUTING.md counts the steps, and says what follows where a run is killed between two of them.

There is no branch on the kind of credential. Two facts decide: a draft with a value is staged first; a credential in
the current slot replaced the old one in place, so it is published at once, while one in another slot is proven first.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from rotation.engine.dependencies import EngineDependencies, ManagedSecrets, check_slot, remember
from rotation.engine.fence import within
from rotation.engine.following import Following, NotReady, versions_of
from rotation.engine.jobs import job_of
from rotation.engine.managed_secret import ManagedSecret, operation_id
from rotation.engine.marks import leave_mark, with_mark
from rotation.engine.outcomes import outcome_of
from rotation.engine.ownership import Owners
from rotation.engine.refreshing import owing
from rotation.engine.run import Run
from rotation.errors import (
    MovedElsewhere,
    NotYet,
    Refused,
    RotationError,
    Transient,
    UnderWay,
)
from rotation.ledger.asked import Asked
from rotation.ledger.records import Step
from rotation.model import (
    Applied,
    Credential,
    Draft,
    Force,
    Job,
    Outcome,
    Result,
    Secret,
)
from rotation.spec import next_tags


class PublishedUnproven(Transient):
    """The new version is out, and its proof did not come. No final record was written: the next look repairs."""

    code = "published_unproven"


class Change:
    """Takes the steps, each of which may be repeated without harm."""

    def __init__(
        self, dependencies: EngineDependencies, managed_secrets: ManagedSecrets, owners: Owners, following: Following
    ) -> None:
        self._dependencies = dependencies
        self._managed_secrets = managed_secrets
        self._owners = owners
        self._following = following

    async def rotate(
        self,
        run: Run,
        managed: ManagedSecret,
        asked: Asked,
        slot: str,
        *,
        resumed: bool,
        repairing: bool = False,
        promised: int = 0,
    ) -> Outcome:
        """asked: what is bound to this secret. promised: hours of grace, if an operation is resumed."""
        secret = managed.secret
        operation = operation_id(secret.ref, secret.version)
        current = Credential(secret.value, slot)
        job = job_of(run, managed, current, operation, resumed=resumed, realm=asked.provider)
        # One that was given up may have made its change all the same; asked for again, it goes on with what it staged.
        applying = replace(job, resumed=operation in run.history.operations())
        grace = max(promised, managed.promise_h)

        run.followed.urgent = resumed or repairing or run.request.force is Force.GRACE
        try:
            draft, staged_version = await self._stage(run, job, managed, asked, grace)
        except NotReady as not_ready:
            return _deferred(not_ready, secret, slot, operation)

        # 6. Another writer may have used the vault's limit up; then nothing changes that could not be written there.
        await run.reserve_writes(0)
        try:
            applied = await self._apply(run, managed, applying, draft, grace)
        except NotYet as not_yet:
            return _deferred(not_yet, secret, slot, operation)
        credential = applied.credential
        remember(run.redactor, managed, credential.value)
        check_slot(managed, credential.slot)

        # 7 and 8
        if credential.slot == slot:
            written = await self._publish_then_verify(run, managed, job, credential, grace, staged_version)
        else:
            await self._owners.made(run, managed, asked, credential.slot)
            try:
                await self._verify(run, managed, job, credential)
            except NotYet as not_yet:
                if staged_version is None:  # the provider said its value once; keep it for the next look
                    kept = Draft(credential.slot, credential.value)
                    await run.append(await run.stage(operation, kept))
                return _deferred(not_yet, secret, slot, operation)
            expires_on = self._expiry(managed)
            written = await self._publish(run, managed, credential, operation, grace, staged_version, expires_on)
            await self._following.beside(run, managed, credential, expires_on)
        self._following.published(run, written.version)

        # 9
        if staged_version is not None:
            await run.unstage(staged_version)
        await run.append(
            run.note(
                Step.ROTATED, operation, version=written.version, previous_version=secret.version,
                slot=credential.slot, followers=run.followed.written,
            )
        )  # fmt: skip
        result, detail = Result.ROTATED, "the new credential is proven and published"
        if resumed:
            result, detail = Result.RESUMED, "an interrupted rotation was finished"
        if repairing or _was_refused(current, applied):
            result = Result.REPAIRED
            detail = "the password in the vault was refused; it was set anew by what still worked, proven and published"
        return outcome_of(
            result, secret, detail, version=written.version, slot=credential.slot, operation=operation,
            expires_on=written.expires_on,
        )  # fmt: skip

    async def _stage(
        self, run: Run, job: Job, managed: ManagedSecret, asked: Asked, grace: int
    ) -> tuple[Draft, str | None]:
        """Steps 4 and 5 -> the draft, and the version under which its value is staged (None: it has no value)."""
        operation = job.operation_id
        staged = run.history.staged_for(operation)
        if staged is not None and staged.slot is not None and not _is_wanted_still(managed, job, staged.slot):
            staged = None  # of a try that was given up: another slot is asked for by now
        value = await run.staged_value(staged) if staged else None
        notes = []
        if staged is not None and value is not None:
            draft, staged_version = Draft(staged.slot, value, staged.at), staged.version
            _check_bound(run, managed, asked, draft.slot)
            self._check_going_on(job)
            await self._following.ready(run, managed, draft, in_place=draft.slot == job.current.slot)
            await run.reserve_writes(1)
            _remind(run, job, managed, draft)
        else:
            draft, staged_version = with_mark(run, managed.rotator.draft(job), operation), None
            check_slot(managed, draft.slot)
            _check_bound(run, managed, asked, draft.slot)
            await self._following.ready(run, managed, draft, in_place=draft.slot == job.current.slot)
            await run.reserve_writes(1 if draft.value is None else 2)  # the one to publish is kept from here on
            self._check_going_on(job)
            _remind(run, job, managed, draft)
            if draft.value is not None:
                self._managed_secrets.check_companion(managed)
                remember(run.redactor, managed, draft.value)
                notes.append(await run.stage(operation, draft))
                staged_version = notes[0].staged_version
        # From here on the operation is open. Both records are one append: a value that is not named is not applied.
        previous = managed.secret.version
        notes.append(
            run.note(
                Step.APPLYING, operation, previous_version=previous, slot=draft.slot, tags=managed.secret.tags,
                asked=asked, grace_hours=grace, followers=versions_of(run.followed.found),
            )
        )  # fmt: skip
        await run.append(*notes, *run.about_to_read(draft.slot, operation))
        await run.reminded()
        return draft, staged_version

    def _check_going_on(self, job: Job) -> None:
        """What was begun already goes on to its publication: its consumers may be locked out."""
        if not job.resumed:
            self._managed_secrets.check_going_on()

    async def _apply(self, run: Run, managed: ManagedSecret, job: Job, draft: Draft, grace: int) -> Applied:
        """Step 6.

        Raises:
            NotYet: the provider is not through, or what an earlier run made and staged is not seen everywhere.
        """
        operation = job.operation_id
        try:
            with run.observer.step("apply"):
                applied = await run.fence.provider_write(lambda: managed.rotator.apply(job, draft))
        except MovedElsewhere as moved:
            await run.give_up(managed.secret, operation, draft.slot, moved.message)
            raise
        except UnderWay as under_way:
            await leave_mark(run, under_way, draft, operation, managed.secret.version, grace)
            raise
        if applied.remark is not None:
            run.remarks.append(applied.remark)
        return applied

    async def _verify(self, run: Run, managed: ManagedSecret, job: Job, credential: Credential) -> None:
        call = managed.rotator.verify(job, credential)
        with run.observer.step("verify"):
            await within(run.fence.limits.provider_call, "the provider", call)

    async def _publish_then_verify(
        self, run: Run, managed: ManagedSecret, job: Job, credential: Credential, grace: int, staged_version: str | None
    ) -> Secret:
        """In place, where the old credential died in step 6: the proof runs beside the publication, not before it.

        So do the followers, whose readers are locked out as well.
        """
        expires_on = self._expiry(managed)
        written, proof, followed = await asyncio.gather(
            self._publish(run, managed, credential, job.operation_id, grace, staged_version, expires_on),
            self._verify(run, managed, job, credential),
            self._following.beside(run, managed, credential, expires_on),
            return_exceptions=True,
        )
        if isinstance(written, BaseException):
            raise written
        if isinstance(followed, BaseException):
            raise followed
        if isinstance(proof, RotationError):
            raise PublishedUnproven(f"the new version is published, and not proven yet: {proof.message}")
        if isinstance(proof, BaseException):
            raise proof
        return written

    async def _publish(
        self,
        run: Run,
        managed: ManagedSecret,
        credential: Credential,
        operation: str,
        grace: int,
        staged_version: str | None,
        expires_on: datetime,
    ) -> Secret:
        now = self._dependencies.clock.now()
        tags = next_tags(managed.secret.tags, slot=credential.slot, rotated_at=now, rotated_from=managed.secret.version)
        written = await run.publish(managed, credential.value, tags, expires_on)
        note = run.note(
            Step.PUBLISHED, operation, version=written.version, previous_version=managed.secret.version,
            slot=credential.slot, tags=tags, grace_hours=grace, unstages=staged_version,
        )  # fmt: skip
        await run.append(owing(managed.terms, note))
        return written

    def _expiry(self, managed: ManagedSecret) -> datetime:
        now = self._dependencies.clock.now()
        life = timedelta(days=managed.spec.validity_days)
        jitter = self._dependencies.random.random() * managed.terms.jitter_percent / 100
        return (now + life * (1 - jitter)).replace(microsecond=0)


def _was_refused(current: Credential, applied: Applied) -> bool:
    """Whether the password in the vault no longer was let in: it is tried first of all that are changed in place.

    In another slot it says nothing: the latest version is no login of that one.
    """
    in_place = applied.credential.slot == current.slot
    return in_place and applied.login is not None and applied.login.value != current.value


def _remind(run: Run, job: Job, managed: ManagedSecret, draft: Draft) -> None:
    """In place nobody has a working credential from the change until the publication, and a killed run publishes none.

    In another slot the old credential works on, so that nobody waits for what is finished ten minutes later.
    """
    if draft.slot == job.current.slot:
        run.remind(managed.secret.version)


def _deferred(not_yet: NotYet, secret: Secret, slot: str, operation: str) -> Outcome:
    wait = not_yet.retry_after_s or (None if isinstance(not_yet, NotReady) else 30)
    return outcome_of(Result.DEFERRED, secret, not_yet.message, slot=slot, operation=operation, retry_after_s=wait)


def _is_wanted_still(managed: ManagedSecret, job: Job, staged_slot: str) -> bool:
    if staged_slot not in (managed.access.slots or (staged_slot,)):
        return False
    return job.resumed or managed.rotator.draft(job).slot in {None, staged_slot}


def _check_bound(run: Run, managed: ManagedSecret, asked: Asked, slot: str | None) -> None:
    """The last look before a change, by whatever way it came here.

    Raises:
        Refused: the slot is not this secret's, or what was proven is of another rotator.
    """
    bound = asked.realm is None or not asked.slots or slot is None or slot in run.ours()
    if not bound or asked.rotator != managed.spec.rotator:
        raise Refused(f"{slot or 'what is asked for'!a:.80} is not bound to this secret; nothing was changed")
