"""The order of the steps; the only place that knows it.

An event is a hint; the vault is the truth. A run looks at what the vault and the ledger really hold, and takes the
steps that are missing. Killed anywhere, the next run goes on: a value is staged before it is applied, an operation is
recorded before the provider changes, and failures roll forward, never back.

There is no branch on the kind of credential. Two facts decide: a draft with a value is staged first; a credential in
the current slot replaced the old one in place, so it is published at once, while one in another slot is proven first.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotation.due import Wait, why_wait
from rotation.errors import (
    Denied,
    LeaseLost,
    NotFound,
    NotYet,
    Redactor,
    Rejected,
    RotationError,
    Throttled,
    Transient,
    Unusable,
)
from rotation.fence import Limits, within
from rotation.history import History
from rotation.model import Credential, Draft, Force, Job, Outcome, Result, RotationRequest, Secret, Spec
from rotation.policy import Policy
from rotation.ports import Clock, Lease, Ledger, Rotator, Vault
from rotation.records import Step
from rotation.repair import identify, working_value
from rotation.retirement import retire_due, tidy
from rotation.run import Run, Subject, operation_id
from rotation.spec import companion, next_tags, parse
from rotation.watch import Nobody, Watch


class PublishedUnproven(Transient):
    """The new version is out, and its proof did not come. No final record was written: the next look repairs."""

    code = "published_unproven"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the engine works with. `rotator` raises Unusable(field="rotator") for a name it does not know."""

    vaults: Mapping[str, Vault]
    ledger: Ledger
    policy: Policy
    rotator: Callable[[str], Rotator]
    clock: Clock
    random: random.Random
    limits: Limits = field(default_factory=Limits)
    watch: Watch = field(default_factory=Nobody)


class Engine:
    """Answers one request at a time; any number of them, in any number of processes, may run side by side."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def handle(self, request: RotationRequest) -> Outcome:
        """Take the steps that are missing for one secret.

        Raises:
            RotationError: permanent or transient, its message cleaned of every value that the run has seen.
        """
        return await self._cleaned("rotation", request, self._handle)

    async def plan(self, request: RotationRequest) -> Outcome:
        """What `handle` would do now. Reads the vault and the ledger, writes nothing, logs in nowhere.

        Raises:
            RotationError: as `handle`.
        """
        return await self._cleaned("plan", request, self._plan)

    async def _cleaned(
        self, kind: str, request: RotationRequest, work: Callable[[RotationRequest, Redactor], Awaitable[Outcome]]
    ) -> Outcome:
        redactor = Redactor()
        with self._parts.watch.run(kind, request):
            try:
                outcome = await work(request, redactor)
            except Exception as error:  # noqa: BLE001  the one boundary: nothing foreign goes further
                failure = redactor.clean(error)
            else:
                self._parts.watch.ended(outcome)
                return outcome
            raise failure  # outside the handler, so that no context with a foreign text hangs on it

    # step 1 and 2

    async def _handle(self, request: RotationRequest, redactor: Redactor) -> Outcome:
        started = self._parts.clock.monotonic()
        vault = self._vault(request)
        lease = None
        if request.version is not None:
            # A secret with a history goes straight to its lease: all that step 1 asks is asked again under it.
            lease = await self._lease(request, create=False)
        if lease is None:
            first = await self._first_look(vault, request, redactor)
            if isinstance(first, Outcome):
                return first
            request = replace(request, version=request.version or first.version)
            lease = await self._lease(request, create=True)
            assert lease is not None  # noqa: S101  create=True always gives one
        run = Run(request, vault, lease, self._parts.clock, self._parts.limits, redactor, self._parts.watch)
        try:
            outcome = await self._under_lease(run)
        except RotationError as error:
            await self._record_failure(run, redactor.clean(error))
            raise
        finally:
            with self._parts.watch.step("release"):
                await lease.release()
        return replace(outcome, duration_ms=round((self._parts.clock.monotonic() - started) * 1000))

    async def _lease(self, request: RotationRequest, *, create: bool) -> Lease | None:
        with self._parts.watch.step("lease"):
            return await self._parts.ledger.acquire(request.ref, create=create)

    async def _first_look(self, vault: Vault, request: RotationRequest, redactor: Redactor) -> Secret | Outcome:
        """Enough to leave no lease and no history behind for a secret that is none of our business, or not yet."""
        with self._parts.watch.step("read"):
            secret = await within(self._parts.limits.vault_call, "the vault", vault.get(request.ref.name))
        redactor.add(secret.value)
        if request.version is not None and request.version != secret.version:
            return _superseded(request, secret)
        spec = parse(secret.tags)
        known = await self._parts.ledger.read(request.ref) if request.version is None or spec is None else ()
        if known:
            return secret
        if spec is None:
            return Outcome(Result.UNMANAGED, request.ref, "it has no `rotator` tag", version=secret.version)
        subject = self._subject(secret, spec)
        wait = why_wait(request, secret, spec, subject.permit, None, self._parts.clock.now())
        if wait is not None and request.reason != "sweep":
            return _waiting(wait, secret, None, self._parts.clock.now())
        return secret

    # step 3

    async def _under_lease(self, run: Run) -> Outcome:
        request = run.request
        secret = await run.read()
        if request.version is not None and request.version != secret.version:
            return _superseded(request, secret)
        spec = parse(secret.tags)
        restored = False
        if spec is None:
            secret, spec = await self._restore_tags(run, secret)
            if spec is None:
                return _tags_outcome(run.history, secret)
            restored = True
        subject = self._subject(secret, spec)
        self._check_room(subject)

        unfinished = run.history.open_operation()
        operation = operation_id(secret.ref, secret.version)
        if unfinished is not None and unfinished.operation_id == operation:
            # The provider may have changed already: finish, whatever due date, window, interval and grace say.
            return await self._rotate(run, subject, self._assumed_slot(run, subject), resumed=True)

        slot = run.history.versions().get(secret.version)
        result: Result | None = Result.REPAIRED if restored else None
        if slot is None or unfinished is not None or self._check_is_due(run, subject):
            try:
                slot, finished = await identify(run, subject)
            except Rejected:
                return await self._repair(run, subject)
            if finished:
                result = Result.RESUMED
        return await self._when_sound(run, subject, slot, result)

    async def _when_sound(self, run: Run, subject: Subject, slot: str, result: Result | None) -> Outcome:
        """The latest version works and holds `slot`: retire what is over, then rotate if it is time."""
        request, secret = run.request, subject.secret
        now = self._parts.clock.now()
        wait = why_wait(request, secret, subject.spec, subject.permit, run.history.last_rotated_at(), now)
        if run.history.unretired(slot) and (wait is None or request.reason == "sweep"):
            retired = await retire_due(run, subject, slot)
            result = result or (Result.RETIRED if retired else None)
        if request.reason == "sweep":
            await tidy(run, subject, slot)
        if wait is None and run.history.unretired(slot) and request.force is not Force.GRACE:
            slots = ", ".join(sorted(run.history.unretired(slot)))
            wait = Wait(f"{slots} is still in its grace period of {subject.spec.grace_hours} h", None, due=True)
        if wait is None:
            return await self._rotate(run, subject, slot, resumed=False)
        if result is None:
            return _waiting(wait, secret, slot, now)
        detail = {
            Result.REPAIRED: "the lost tags were restored",
            Result.RESUMED: "an interrupted rotation was finished",
        }.get(result, "old credentials were retired")
        return _outcome(result, secret, detail, slot=slot, expires_on=secret.expires_on)

    # steps 4 to 9

    async def _rotate(
        self, run: Run, subject: Subject, slot: str, *, resumed: bool, repairing: bool = False
    ) -> Outcome:
        secret, rotator = subject.secret, subject.rotator
        operation = operation_id(secret.ref, secret.version)
        job = run.job(subject, Credential(secret.value, slot), operation, resumed=resumed)

        draft, staged_version = await self._stage(run, job, subject)

        # 6. Whoever else writes to the vault may have used its limit up; then nothing changes that could not be told.
        await run.make_room(0)
        with run.watch.step("apply"):
            credential = await run.fence.provider_write(lambda: rotator.apply(job, draft))
        run.redactor.add(credential.value)
        self._check_slot(subject, credential.slot)

        # 7 and 8
        if credential.slot == slot:
            written = await self._publish_then_verify(run, subject, job, credential)
        else:
            try:
                await self._verify(run, subject, job, credential)
            except NotYet as not_yet:
                if staged_version is None:  # the provider told its value once; keep it for the next look
                    kept = Draft(credential.slot, credential.value)
                    await run.append(await run.stage(operation, kept))
                return _outcome(
                    Result.DEFERRED, secret, not_yet.message, slot=slot, operation=operation,
                    retry_after_s=not_yet.retry_after_s or 30,
                )  # fmt: skip
            written = await self._publish(run, subject, credential, operation)

        # 9
        if staged_version is not None:
            await run.unstage(staged_version)
        await run.append(
            run.note(
                Step.ROTATED, operation, version=written.version, previous_version=secret.version, slot=credential.slot
            )
        )
        result, detail = Result.ROTATED, "the new credential is proven and published"
        if resumed:
            result, detail = Result.RESUMED, "an interrupted rotation was finished"
        if repairing or run.refused:
            result = Result.REPAIRED
            detail = "the password in the vault was refused; it was set anew by what still worked, proven and published"
        return _outcome(
            result, secret, detail, version=written.version, slot=credential.slot, operation=operation,
            expires_on=written.expires_on,
        )  # fmt: skip

    async def _stage(self, run: Run, job: Job, subject: Subject) -> tuple[Draft, str | None]:
        """Steps 4 and 5 -> the draft, and the version under which its value is staged (None: it has no value)."""
        operation = job.operation_id
        staged = run.history.staged_for(operation)
        value = await run.staged_value(staged) if staged else None
        notes = []
        if staged is not None and value is not None:
            draft, staged_version = Draft(staged.slot, value), staged.version
            await run.make_room(1)
        else:
            draft, staged_version = subject.rotator.draft(job), None
            self._check_slot(subject, draft.slot)
            await run.make_room(1 if draft.value is None else 2)  # the one to publish is kept from here on
            if draft.value is not None:
                notes.append(await run.stage(operation, draft))
                staged_version = notes[0].staged_version
        # From here on the operation is open. Both records are one append: a value that is not named is not applied.
        previous = subject.secret.version
        notes.append(run.note(Step.APPLYING, operation, previous_version=previous, slot=draft.slot))
        await run.append(*notes)
        return draft, staged_version

    async def _verify(self, run: Run, subject: Subject, job: Job, credential: Credential) -> None:
        call = subject.rotator.verify(job, credential)
        with run.watch.step("verify"):
            await within(run.fence.limits.provider_call, "the provider", call)

    async def _publish_then_verify(self, run: Run, subject: Subject, job: Job, credential: Credential) -> Secret:
        """In place, where the old credential died in step 6: the proof runs beside the publication, not before it."""
        written, proof = await asyncio.gather(
            self._publish(run, subject, credential, job.operation_id),
            self._verify(run, subject, job, credential),
            return_exceptions=True,
        )
        if isinstance(written, BaseException):
            raise written
        if isinstance(proof, RotationError):
            raise PublishedUnproven(f"the new version is published, and not proven yet: {proof.message}")
        if isinstance(proof, BaseException):
            raise proof
        return written

    async def _publish(self, run: Run, subject: Subject, credential: Credential, operation: str) -> Secret:
        now = self._parts.clock.now()
        tags = next_tags(subject.secret.tags, slot=credential.slot, rotated_at=now, rotated_from=subject.secret.version)
        written = await run.publish(subject, credential.value, tags, self._expiry(subject, now))
        await run.append(
            run.note(
                Step.PUBLISHED, operation, version=written.version, previous_version=subject.secret.version,
                slot=credential.slot, tags=tags,
            )
        )  # fmt: skip
        return written

    # mending

    async def _repair(self, run: Run, subject: Subject) -> Outcome:
        """The latest version does not work: publish again what does, marked due; else rotate by what still works."""
        secret = subject.secret
        found = await working_value(run, subject, self._subject)
        if found is None:
            return await self._rotate(run, subject, self._assumed_slot(run, subject), resumed=False, repairing=True)
        now = self._parts.clock.now()
        tags = next_tags(secret.tags, slot=found.slot, rotated_at=now, rotated_from=secret.version)
        written = await run.publish(subject, found.value, tags, now + timedelta(days=1))
        operation = operation_id(secret.ref, secret.version, "repair")
        await run.append(
            run.note(
                Step.REPAIRED, operation, version=written.version, previous_version=secret.version, slot=found.slot,
                detail="the latest version was refused; one that works is the latest again", tags=tags,
            )
        )  # fmt: skip
        return _outcome(
            Result.REPAIRED, secret, "the latest version was refused; one that works is the latest again, and is due",
            version=written.version, slot=found.slot, operation=operation, expires_on=written.expires_on,
        )  # fmt: skip

    async def _restore_tags(self, run: Run, secret: Secret) -> tuple[Secret, Spec | None]:
        """Bring back what a version written by hand lost, where that was asked for."""
        wanted = run.request.restore_tags or run.request.force is not Force.NO
        tags = run.history.tags()
        if not wanted or tags is None:
            return secret, None
        merged = {**tags, **secret.tags}
        await run.fence.vault_write(lambda: run.vault.set_tags(secret.ref.name, secret.version, merged))
        return replace(secret, tags=merged), parse(merged)

    async def _record_failure(self, run: Run, error: RotationError) -> None:
        # Without the lease nothing may be written; after an unproven publication the missing final record is the sign.
        # A full vault is no failure: the wish comes back, and what was begun stands in the history.
        if isinstance(error, LeaseLost | PublishedUnproven | Throttled):
            return
        last = run.history.open_operation()
        name = last.operation_id if last else operation_id(run.request.ref, run.request.version or "")
        try:
            await run.append(run.note(Step.FAILED, name, detail=error.message))
        except RotationError:
            return  # the failure itself is what the caller must hear of

    # deciding

    def _vault(self, request: RotationRequest) -> Vault:
        vault = self._parts.vaults.get(request.ref.vault)
        if vault is None:
            raise NotFound(f"vault {request.ref.vault} is not among ROTATION_VAULTS", field="vault")
        return vault

    def _subject(self, secret: Secret, spec: Spec) -> Subject:
        rotator = self._parts.rotator(spec.rotator)
        self._parts.watch.asked_for(spec.rotator)  # a name that we know; a tag may hold anything
        claim = rotator.claim(spec, secret)
        permit = self._parts.policy.permit(secret.ref, spec, claim)
        return Subject(secret, spec, claim, permit, rotator)

    def _check_room(self, subject: Subject) -> None:
        """Raise before anything changes if the next version could not be written."""
        secret = subject.secret
        slot = max((*subject.claim.slots, subject.claim.current_slot or "", "x" * 36), key=len)
        next_tags(secret.tags, slot=slot, rotated_at=self._parts.clock.now(), rotated_from=secret.version)
        companion(secret.ref.name)

    def _check_slot(self, subject: Subject, slot: str | None) -> None:
        permitted = subject.permit.slots
        if slot is not None and permitted and "*" not in permitted and slot not in permitted:
            raise Denied(f"slot {slot} is not among the slots of the policy's rule {subject.permit.rule}")

    def _assumed_slot(self, run: Run, subject: Subject) -> str:
        """The slot of a latest version that nobody could prove: the ledger's word first."""
        known = run.history.versions()
        slot = known.get(subject.secret.version) or subject.claim.current_slot or next(iter(known.values()), None)
        if slot is None:
            raise Unusable("the value names no slot: set the tag `slot` to the role or key in use", field="slot")
        self._check_slot(subject, slot)
        return slot

    def _check_is_due(self, run: Run, subject: Subject) -> bool:
        proven = run.history.proven_at(subject.secret.version)
        if proven is None:
            return True
        every = subject.permit.verify_every
        return every is not None and self._parts.clock.now() >= proven + every

    def _expiry(self, subject: Subject, now: datetime) -> datetime:
        life = timedelta(days=subject.spec.validity_days)
        jitter = self._parts.random.random() * subject.permit.jitter_percent / 100
        return (now + life * (1 - jitter)).replace(microsecond=0)

    # dry run

    async def _plan(self, request: RotationRequest, redactor: Redactor) -> Outcome:
        vault = self._vault(request)
        secret = await within(self._parts.limits.vault_call, "the vault", vault.get(request.ref.name))
        redactor.add(secret.value)
        history = History(await self._parts.ledger.read(request.ref))
        if request.version is not None and request.version != secret.version:
            return _superseded(request, secret)
        spec = parse(secret.tags)
        if spec is None:
            return _tags_outcome(history, secret)
        subject = self._subject(secret, spec)
        self._check_room(subject)
        now = self._parts.clock.now()
        slot = history.versions().get(secret.version) or subject.claim.current_slot
        unfinished = history.open_operation()
        wait = why_wait(request, secret, spec, subject.permit, history.last_rotated_at(), now)
        if unfinished is None and wait is not None:
            return _waiting(wait, secret, slot, now)
        waiting = history.unretired(slot or "")
        parts = [f"{spec.rotator} would change {', '.join(subject.claim.targets) or 'nothing outside the vault'}"]
        if subject.claim.slots:
            parts.append(f"slots {', '.join(subject.claim.slots)}, now {slot}")
        if unfinished is not None:
            parts.append("an interrupted rotation would be finished first")
        elif waiting:
            parts.append(f"once the grace period of {', '.join(sorted(waiting))} is over")
        parts.append(f"the new version would live {spec.validity_days} days (rule {subject.permit.rule})")
        operation = operation_id(secret.ref, secret.version)
        return _outcome(Result.PLANNED, secret, "; ".join(parts), slot=slot, operation=operation)


def _outcome(
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
    """`version` given: it came after the one that `secret` is."""
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


def _superseded(request: RotationRequest, secret: Secret) -> Outcome:
    detail = f"version {request.version} was asked for, and {secret.version} is the latest now"
    return _outcome(Result.SUPERSEDED, secret, detail, expires_on=secret.expires_on)


def _tags_outcome(history: History, secret: Secret) -> Outcome:
    if history.tags() is None or secret.version in history.versions():
        return _outcome(Result.UNMANAGED, secret, "it has no `rotator` tag")
    return _outcome(
        Result.TAGS_LOST,
        secret,
        "the latest version was written without tags, so nothing rotates it: POST …/rotate?restore_tags=true",
    )


def _waiting(wait: Wait, secret: Secret, slot: str | None, now: datetime) -> Outcome:
    seconds = round((wait.until - now).total_seconds()) if wait.until else None
    return _outcome(
        Result.DEFERRED if wait.due else Result.NOT_DUE,
        secret,
        wait.detail,
        slot=slot,
        expires_on=secret.expires_on,
        retry_after_s=seconds if wait.due else None,
    )
