"""The order of the steps; the only place that knows it.

An event is a hint; the vault is the truth. A run looks at what the vault and the ledger really hold, and takes the
steps that are missing. Killed anywhere, the next run goes on: a value is staged before it is applied, an operation is
recorded before the provider changes, and failures roll forward, never back.

There is no branch on the kind of credential. Two facts decide: a draft with a value is staged first; a credential in
the current slot replaced the old one in place, so it is published at once, while one in another slot is proven first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from rotation.asked import Asked
from rotation.change import Change, PublishedUnproven
from rotation.due import Wait, next_check, why_wait
from rotation.errors import (
    Busy,
    LeaseLost,
    NotFound,
    Overtaken,
    Redactor,
    Rejected,
    RotationError,
    Stopping,
    Throttled,
)
from rotation.fence import within
from rotation.history import REPEATED, History, Open
from rotation.mending import Mending
from rotation.model import (
    Credential,
    Force,
    Outcome,
    Proof,
    Result,
    RotationRequest,
    Secret,
    SecretValue,
    Spec,
)
from rotation.outcomes import outcome_of, planned, superseded, tags_outcome, waiting_for
from rotation.ownership import Owners
from rotation.parts import Parts, Subjects, assumed_slot, check_slot
from rotation.ports import Lease, Vault
from rotation.records import Act, Step
from rotation.repair import prove, published_slot, record_proven, verify
from rotation.retirement import retire_due, tidy, waiting
from rotation.run import Run, Subject, operation_id
from rotation.spec import parse

__all__ = ["Engine", "Parts"]


class Engine:
    """Answers one request at a time; any number of them, in any number of processes, may run side by side."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._subjects = Subjects(parts)
        self._owners = Owners(parts.vaults, parts.ledger, parts.policy, parts.rotator)
        self._change = Change(parts, self._subjects, self._owners)
        self._mending = Mending(parts, self._subjects, self._owners, self._change)

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
        self._subjects.check_going_on()
        vault = self._vault(request)
        if not self._parts.policy.covers(request.ref):
            return await self._not_covered(vault, request)
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
        parts = self._parts
        run = Run(request, vault, lease, parts.clock, parts.limits, redactor, parts.watch, parts.reminders)
        try:
            outcome = await self._under_lease(run)
        except RotationError as error:
            await self._record_failure(run, redactor.clean(error))
            raise
        finally:
            await run.end()
        detail = "; ".join((outcome.detail, *run.told))
        return replace(outcome, detail=detail, duration_ms=round((self._parts.clock.monotonic() - started) * 1000))

    async def _lease(self, request: RotationRequest, *, create: bool) -> Lease | None:
        with self._parts.watch.step("lease"):
            return await self._parts.ledger.acquire(request.ref, create=create)

    async def _not_covered(self, vault: Vault, request: RotationRequest) -> Outcome:
        """No rule is about this secret, so its value is none of our business: its tags alone are looked at.

        Raises:
            Denied: it asks to be rotated. NotFound.
        """
        with self._parts.watch.step("list"):
            listed = await within(self._parts.limits.vault_call, "the vault", vault.versions(request.ref.name))
        if not listed.items:
            raise NotFound(f"there is no secret {request.ref.name} in {vault.name}, or it is deleted", field="secret")
        if parse(listed.items[0].tags) is None:
            version = listed.items[0].version
            return Outcome(Result.UNMANAGED, request.ref, "it has no `rotator` tag", version=version)
        raise self._parts.policy.covered_by_none(request.ref)

    async def _first_look(self, vault: Vault, request: RotationRequest, redactor: Redactor) -> Secret | Outcome:
        """Enough to leave no lease and no history behind for a secret that is none of our business, or not yet."""
        with self._parts.watch.step("read"):
            secret = await within(self._parts.limits.vault_call, "the vault", vault.get(request.ref.name))
        redactor.add(secret.value)
        if request.version is not None and request.version != secret.version:
            return superseded(request, secret)
        spec = parse(secret.tags)
        known = await self._parts.ledger.read(request.ref) if request.version is None or spec is None else ()
        if known:
            return secret
        if spec is None:
            return Outcome(Result.UNMANAGED, request.ref, "it has no `rotator` tag", version=secret.version)
        subject = self._subjects.of(secret, spec, redactor)
        wait = why_wait(request, secret, spec, subject.permit, None, self._parts.clock.now())
        if wait is not None and request.reason != "sweep":
            return waiting_for(wait, secret, None, self._parts.clock.now())
        return secret

    # step 3: what an open operation, the tags and the logins say

    async def _under_lease(self, run: Run) -> Outcome:
        request = run.request
        recorded = run.history.asked()
        secret, _ = await asyncio.gather(run.read(), self._owners.look_up(run, recorded))
        # Followers come first here: a message that comes again after a crash still mends them.
        if request.version is not None and request.version != secret.version:
            return superseded(request, secret)

        unfinished = run.history.open_operation()
        if unfinished is not None and unfinished.operation_id == operation_id(secret.ref, secret.version):
            # The provider may have changed already: finish, whatever due date, window, interval and grace say.
            finished = await self._finish(run, secret, unfinished)
            if finished is not None:
                return finished
            unfinished = None

        spec = parse(secret.tags)
        restored = False
        if spec is None:
            secret, spec = await self._restore_tags(run, secret)
            if spec is None:
                return tags_outcome(run.history, secret)
            restored = True
        subject = self._subjects.of(secret, spec, run.redactor)
        self._subjects.check_room(subject)

        slot = run.history.versions().get(secret.version)
        settled = recorded if recorded is not None and self._is_settled(run, subject, recorded, slot) else None
        result: Result | None = Result.REPAIRED if restored else None
        asked = settled
        if slot is None or asked is None or unfinished is not None or self._check_is_due(run, subject):
            try:
                slot, asked, finishes = await self._proven(run, subject, slot, settled, unfinished)
            except Rejected as rejected:
                return await self._mending.rejected(run, subject, slot, settled, recorded, rejected)
            if finishes:
                result = Result.RESUMED
        return await self._when_sound(run, subject, asked, slot, result)

    def _is_settled(self, run: Run, subject: Subject, recorded: Asked, slot: str | None) -> bool:
        """Whether what is asked for is what was proven last, and all of it is still bound to this secret."""
        if run.history.gave_up() or not recorded.is_asked_by(subject.spec.rotator, subject.claim):
            return False
        needed = frozenset(recorded.slots) if recorded.slots else frozenset({slot} if slot else ())
        return recorded.realm is None or (bool(needed) and needed <= run.ours())

    async def _proven(
        self, run: Run, subject: Subject, known: str | None, settled: Asked | None, unfinished: Open | None
    ) -> tuple[str, Asked, bool]:
        """Log in with the latest version -> its slot, what is ours now, and whether that finished an operation.

        Raises:
            Rejected: it is refused. BoundElsewhere, Busy, Overtaken, Unreachable: as `Owners.take`.
        """
        if settled is not None and known is not None:
            slot, asked = known, settled
            await verify(run, subject, Credential(subject.secret.value, slot))
        else:
            proof = await prove(run, subject, slot=await published_slot(run, subject, unfinished))
            slot = proof.slot
            check_slot(subject, slot)
            asked = await self._owners.take(run, subject, proof, lambda: prove(run, subject))
        finished = await record_proven(run, subject, slot, asked, unfinished, anew=settled is None)
        return slot, asked, finished

    async def _finish(self, run: Run, secret: Secret, begun: Open) -> Outcome | None:
        """Go on with an open operation as it was begun. None: it is given up, and all else is decided anew.

        In place the old credential may be dead, so it is finished by what `applying` recorded, even if the secret is
        unmanaged since. Another slot is finished as long as it is still asked for: nobody reads it yet.
        """
        asking = parse(begun.tags or run.history.tags() or secret.tags) if begun.in_place else parse(secret.tags)
        if asking is None:
            await run.give_up(secret, begun.operation_id, begun.slot, "the secret is no longer managed")
            return None
        subject = self._subjects.of(secret, asking, run.redactor)
        self._subjects.check_room(subject)
        if begun.asked is not None and not _asks_for_it_still(subject, begun):
            value = await self._begun_value(run, begun) if begun.in_place else None
            if value is None:
                why = "something else is asked for by now"
                await run.give_up(secret, begun.operation_id, begun.slot, why)
                return None
            # A repair began it from an older value, since the latest is wrong and may name what is somebody else's.
            subject = self._subjects.of(replace(secret, value=value), asking, run.redactor)
        asked_for = begun.in_place or begun.slot is None or not subject.claim.slots or begun.slot in subject.claim.slots
        if not asked_for:
            await run.give_up(secret, begun.operation_id, begun.slot, f"{begun.slot} is no longer asked for")
            return None
        slot = run.history.versions().get(secret.version) or _stood_for(run, subject, begun)
        asked = begun.asked
        if asked is None:
            try:
                asked = await self._bind_begun(run, subject, begun)
            except Rejected:
                # As any value that nothing proves: what to do about that is told below, a reset among it.
                await run.give_up(secret, begun.operation_id, begun.slot, "neither the old value nor the new one works")
                return None
        else:
            await self._owners.look_up_more(run, asked, [begun.slot or slot])
        if asked.realm is not None and (begun.slot or slot) not in run.ours():
            why = f"{begun.slot or slot} is not bound to this secret"
            await run.give_up(secret, begun.operation_id, begun.slot, why)
            return None
        return await self._change.rotate(run, subject, asked, slot, resumed=True, promised=begun.grace_hours or 0)

    async def _begun_value(self, run: Run, begun: Open) -> SecretValue | None:
        staged = run.history.staged_for(begun.operation_id)
        return await run.staged_value(staged) if staged else None

    async def _bind_begun(self, run: Run, subject: Subject, begun: Open) -> Asked:
        """The package before began it, and knew no bindings: whichever of the two values works proves whose it is."""

        async def proof() -> Proof:
            try:
                return await prove(run, subject)
            except Rejected:
                value = await self._begun_value(run, begun)
                if value is None:
                    raise
                return await prove(run, subject, value)

        return await self._owners.take(run, subject, await proof(), proof)

    async def _when_sound(self, run: Run, subject: Subject, asked: Asked, slot: str, result: Result | None) -> Outcome:
        """The latest version works and holds `slot`: retire what is over, then rotate if it is time."""
        request, secret = run.request, subject.secret
        now = self._parts.clock.now()
        wait = why_wait(request, secret, subject.spec, subject.permit, run.history.last_rotated_at(), now)
        if not asked.slots:
            await self._owners.look_up_more(run, asked, run.history.unretired(slot))
        if waiting(run, subject, asked, slot) and (wait is None or request.reason == "sweep"):
            retired = await retire_due(run, subject, asked, slot)
            result = result or (Result.RETIRED if retired else None)
        if request.reason == "sweep":
            await tidy(run, subject, asked, slot)
        left = waiting(run, subject, asked, slot)
        if wait is None and left and request.force is not Force.GRACE:
            promised = max(run.history.promised(version) for version in run.history.versions())
            hours = max(promised, subject.promise_h)
            wait = Wait(f"{', '.join(left)} is still in its grace period of {hours} h", None, due=True)
        if wait is None:
            return await self._change.rotate(run, subject, asked, slot, resumed=False)
        if result is None:
            return waiting_for(wait, secret, slot, now)
        detail = {
            Result.REPAIRED: "the lost tags were restored",
            Result.RESUMED: "an interrupted rotation was finished",
        }.get(result, "old credentials were retired")
        return outcome_of(result, secret, detail, slot=slot, expires_on=secret.expires_on)

    async def _restore_tags(self, run: Run, secret: Secret) -> tuple[Secret, Spec | None]:
        """Bring back what a version written by hand lost, where that was asked for."""
        wanted = run.request.restore_tags or run.request.force is not Force.NO
        tags = run.history.tags()
        if not wanted or tags is None:
            return secret, None
        merged = {**tags, **secret.tags}
        operation = operation_id(secret.ref, secret.version, "restore")
        await run.announce(run.about_to(Act.SET_TAGS, operation, version=secret.version, tags=merged))
        await run.fence.vault_write(lambda: run.vault.set_tags(secret.ref.name, secret.version, merged))
        return replace(secret, tags=merged), parse(merged)

    async def _record_failure(self, run: Run, error: RotationError) -> None:
        # Without the lease nothing may be written; after an unproven publication the missing final record is the sign.
        # A full vault or another run's turn is no failure: the wish comes back, and what was begun is in the history.
        if isinstance(error, LeaseLost | PublishedUnproven | Throttled | Busy | Stopping | Overtaken):
            return
        last = run.history.open_operation()
        name = last.operation_id if last else operation_id(run.request.ref, run.request.version or "")
        note = run.note(Step.FAILED, name, detail=error.message)
        before = run.history.last()
        if before is not None and note.at < before.at + REPEATED and note.says_the_same(before):
            return  # the sweep asks every hour, and what nobody mends would fill the history
        try:
            await run.append(note)
        except RotationError:
            return  # the failure itself is what the caller must hear of

    # deciding

    def _vault(self, request: RotationRequest) -> Vault:
        vault = self._parts.vaults.get(request.ref.vault)
        if vault is None:
            raise NotFound(f"vault {request.ref.vault} is not among ROTATION_VAULTS", field="vault")
        return vault

    def _check_is_due(self, run: Run, subject: Subject) -> bool:
        proven = run.history.proven_at(subject.secret.version)
        if proven is None:
            return True
        check_at = next_check(proven, subject.permit.verify_every)
        return check_at is not None and self._parts.clock.now() >= check_at

    # dry run

    async def _plan(self, request: RotationRequest, redactor: Redactor) -> Outcome:
        vault = self._vault(request)
        if not self._parts.policy.covers(request.ref):
            return await self._not_covered(vault, request)
        secret = await within(self._parts.limits.vault_call, "the vault", vault.get(request.ref.name))
        redactor.add(secret.value)
        history = History(await self._parts.ledger.read(request.ref))
        if request.version is not None and request.version != secret.version:
            return superseded(request, secret)
        spec = parse(secret.tags)
        if spec is None:
            return tags_outcome(history, secret)
        subject = self._subjects.of(secret, spec, redactor)
        self._subjects.check_room(subject)
        now = self._parts.clock.now()
        slot = history.versions().get(secret.version) or subject.claim.current_slot
        wait = why_wait(request, secret, spec, subject.permit, history.last_rotated_at(), now)
        if history.open_operation() is None and wait is not None:
            return waiting_for(wait, secret, slot, now)
        return planned(subject, history, slot)


def _stood_for(run: Run, subject: Subject, begun: Open) -> str:
    """The slot of a version that the ledger does not know, on which an operation was begun.

    An operator's reset begins one on a value that names none and never worked.
    """
    if begun.in_place and begun.slot is not None:
        return begun.slot
    if begun.slot in subject.claim.slots:
        return next((slot for slot in subject.claim.slots if slot != begun.slot), begun.slot)
    # The provider assigns slots: a later try of the operation names the one that an earlier one was given.
    if not subject.claim.slots and subject.claim.current_slot is None and not run.history.versions():
        return subject.secret.version  # as the reset called it
    return assumed_slot(run, subject)


def _asks_for_it_still(subject: Subject, begun: Open) -> bool:
    """Whether it is by the same rotator and at the same targets that the operation was begun; and its slot, in place.

    What was bound then gives no right to anything else.
    """
    assert begun.asked is not None  # noqa: S101  callers ask of what this package began
    same = begun.asked.rotator == subject.spec.rotator and set(begun.asked.targets) == set(subject.claim.targets)
    return same and not (begun.in_place and subject.claim.slots and begun.slot not in subject.claim.slots)
