"""The order of the steps; the only place that knows it.

An event is only a request to look; the vault is the truth. A run looks at what the vault and the ledger really hold,
and takes the steps that are missing. Killed anywhere, the next run goes on: a value is staged before it is applied,
an operation is recorded before the provider changes, and failures roll forward, never back.

There is no branch on the kind of credential. Two facts decide: a draft with a value is staged first; a credential in
the current slot replaced the old one in place, so it is published at once, while one in another slot is proven first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from rotation.engine.change import Change
from rotation.engine.decision import Act, Decision, Looked, at_once, decide, without_tags
from rotation.engine.dependencies import EngineDependencies, ManagedSecrets, check_slot
from rotation.engine.failures import record_failure
from rotation.engine.fence import within
from rotation.engine.followers import Followers
from rotation.engine.following import Following
from rotation.engine.grace import longest_promise
from rotation.engine.managed_secret import ManagedSecret, operation_id
from rotation.engine.outcomes import nothing_to_do, outcome_of
from rotation.engine.ownership import Owners
from rotation.engine.plan import Plan
from rotation.engine.proof import prove, published_slot, record_proven, verify
from rotation.engine.refreshing import Refreshing
from rotation.engine.repair import Repair
from rotation.engine.resumption import Resumption
from rotation.engine.retirement import clean_up, retire_due
from rotation.engine.run import Run
from rotation.errors import NotFound, Redactor, Rejected, RotationError
from rotation.ledger.asked import Asked
from rotation.ledger.history import History, Open
from rotation.ledger.records import AboutTo
from rotation.model import Credential, Force, Outcome, Reason, Result, RotationRequest, Secret, Spec
from rotation.ports import Lease, Vault
from rotation.spec import parse

__all__ = ["Engine", "EngineDependencies"]


class Engine:
    """Answers one request at a time; any number of them, in any number of processes, may run side by side."""

    def __init__(self, dependencies: EngineDependencies) -> None:
        self._dependencies = dependencies
        self._managed_secrets = ManagedSecrets(dependencies)
        self._owners = Owners(dependencies.vaults, dependencies.ledger, dependencies.policy, dependencies.rotator)
        self._followers = Followers(dependencies, self._managed_secrets)
        self._following = Following(dependencies, self._followers)
        self._change = Change(dependencies, self._managed_secrets, self._owners, self._following)
        self._repair = Repair(dependencies, self._managed_secrets, self._owners, self._change)
        self._resumption = Resumption(self._managed_secrets, self._owners, self._change)
        self._refreshing = Refreshing(dependencies)

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
        with self._dependencies.observer.run(kind, request):
            try:
                outcome = await work(request, redactor)
            except Exception as error:  # noqa: BLE001  the one boundary: nothing foreign goes further
                failure = redactor.clean(error)
            else:
                self._dependencies.observer.ended(outcome)
                return outcome
            raise failure  # outside the handler, so that no context with a foreign text hangs on it

    # step 1 and 2

    async def _handle(self, request: RotationRequest, redactor: Redactor) -> Outcome:
        started = self._dependencies.clock.monotonic()
        self._managed_secrets.check_going_on()
        vault = self._vault(request)
        if not self._dependencies.policy.covers(request.ref):
            return await self._of_leader(vault, request, lambda turned: self._handle(turned, redactor))
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
        needs = self._dependencies
        run = Run(request, vault, lease, needs.clock, needs.limits, redactor, needs.observer, needs.reminders)
        try:
            outcome = await self._under_lease(run)
            await self._following.keep_up(run)  # where a version was named since they were looked at
            outcome = await self._refreshing.after(run, outcome)
        except RotationError as error:
            await record_failure(run, redactor.clean(error))
            raise
        finally:
            await run.end()
        detail = "; ".join((outcome.detail, *(remark for remark in run.remarks if remark not in outcome.detail)))
        return replace(
            outcome, detail=detail, duration_ms=round((self._dependencies.clock.monotonic() - started) * 1000)
        )

    async def _lease(self, request: RotationRequest, *, create: bool) -> Lease | None:
        with self._dependencies.observer.step("lease"):
            return await self._dependencies.ledger.acquire(request.ref, create=create)

    async def _of_leader(
        self, vault: Vault, request: RotationRequest, work: Callable[[RotationRequest], Awaitable[Outcome]]
    ) -> Outcome:
        """What becomes of a secret that no rule covers; errors as `Followers.turned`."""
        turned = await self._followers.turned(vault, request)
        if isinstance(turned, Outcome):
            return turned
        outcome = await work(turned)
        return replace(outcome, detail=f"{request.ref} follows {turned.ref}: {outcome.detail}")

    async def _first_look(self, vault: Vault, request: RotationRequest, redactor: Redactor) -> Secret | Outcome:
        """Enough to leave no lease and no history behind for a secret that is none of our business, or not yet."""
        with self._dependencies.observer.step("read"):
            secret = await within(self._dependencies.limits.vault_call, "the vault", vault.get(request.ref.name))
        redactor.add(secret.value)
        self._followers.refuse(secret)
        now, nothing_known = self._dependencies.clock.now(), History(())
        decision = at_once(request, secret, nothing_known)
        if decision is None:
            spec = parse(secret.tags)
            known = await self._dependencies.ledger.read(request.ref) if request.version is None or spec is None else ()
            if known:
                return secret
            terms = None if spec is None else self._managed_secrets.of(secret, spec, redactor).terms
            decision = decide(request, secret, spec, terms, nothing_known, now)
        return secret if decision.act is Act.CHECK else nothing_to_do(decision, request, secret, None, now)

    # step 3: what an open operation, the tags and the logins say

    async def _under_lease(self, run: Run) -> Outcome:
        secret, _ = await asyncio.gather(run.read(), self._owners.look_up(run, run.history.asked()))
        # Followers come first: a message that comes again after a crash still mends them.
        await self._following.keep_up(run, secret)
        first = at_once(run.request, secret, run.history)
        if first is not None and first.act is Act.FINISH:
            finished = await self._resumption.finish(run, secret)
            if finished is not None:
                return finished
        elif first is not None:
            return self._nothing(run, first, secret)

        self._followers.refuse(secret)
        spec = parse(secret.tags)
        result: Result | None = None
        if spec is None:
            secret, spec = await self._restore_tags(run, secret)
            if spec is None:
                return self._nothing(run, Decision(without_tags(secret, run.history)), secret)
            result = Result.REPAIRED
        managed = self._managed_secrets.of(secret, spec, run.redactor)
        self._managed_secrets.check_tags_fit(managed)

        recorded, unfinished = run.history.asked(), run.history.open_operation()
        slot = run.history.versions().get(secret.version)
        decision = self._decide(run, managed)
        asked = decision.confirmed or recorded
        if decision.act is Act.CHECK:
            confirmed = decision.confirmed
            try:
                slot, asked, finishes = await self._proven(run, managed, slot, confirmed, unfinished)
            except Rejected as rejected:
                return await self._repair.rejected(run, managed, slot, confirmed, recorded, rejected)
            if finishes:
                result = Result.RESUMED
        if slot is None or asked is None:  # nobody knows it yet, and it waits
            return self._nothing(run, decision, secret)
        return await self._when_sound(run, managed, asked, slot, result)

    async def _proven(
        self, run: Run, managed: ManagedSecret, known: str | None, confirmed: Asked | None, unfinished: Open | None
    ) -> tuple[str, Asked, bool]:
        """Log in with the latest version -> its slot, what is ours now, and whether that finished an operation.

        Raises:
            Rejected: it is refused. BoundElsewhere, Busy, Overtaken, Unreachable: as `Owners.take`.
        """
        if confirmed is not None and known is not None:
            slot, asked = known, confirmed
            await verify(run, managed, Credential(managed.secret.value, slot))
        else:
            proof = await prove(run, managed, slot=await published_slot(run, managed, unfinished))
            slot = proof.slot
            check_slot(managed, slot)
            asked = await self._owners.take(run, managed, proof, lambda: prove(run, managed))
        finished = await record_proven(run, managed, slot, asked, unfinished, anew=confirmed is None)
        return slot, asked, finished

    async def _when_sound(
        self, run: Run, managed: ManagedSecret, asked: Asked, slot: str, result: Result | None
    ) -> Outcome:
        """The latest version works and holds `slot`: retire what is over, then rotate if it is time."""
        secret = managed.secret
        await self._following.keep_up(run, secret)
        if not asked.slots:
            await self._owners.look_up_more(run, asked, run.history.unretired(slot))
        if self._decide(run, managed, checked=True).act is Act.RETIRE:
            retired = await retire_due(run, managed, asked, slot, self._dependencies.readers)
            result = result or (Result.RETIRED if retired else None)
        if run.request.reason == Reason.SWEEP:
            await clean_up(run, managed, asked, slot)
        decision = self._decide(run, managed, checked=True, over=frozenset())
        if decision.act is Act.ROTATE:
            return await self._change.rotate(run, managed, asked, slot, resumed=False)
        if result is None:
            return self._nothing(run, decision, secret, slot)
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
        await run.announce(run.about_to(AboutTo.SET_TAGS, operation, version=secret.version, tags=merged))
        await run.fence.vault_write(lambda: run.vault.set_tags(secret.ref.name, secret.version, merged))
        return replace(secret, tags=merged), parse(merged)

    # deciding

    def _vault(self, request: RotationRequest) -> Vault:
        vault = self._dependencies.vaults.get(request.ref.vault)
        if vault is None:
            raise NotFound(f"vault {request.ref.vault} is not among ROTATION_VAULTS", field="vault")
        return vault

    def _decide(
        self, run: Run, managed: ManagedSecret, *, checked: bool = False, over: frozenset[str] | None = None
    ) -> Decision:
        now = self._dependencies.clock.now()
        grace = timedelta(hours=longest_promise(run.history, managed.promise_h))
        looked = run.followed.seen(Looked(managed.access, run.ours(), over, checked), grace, now)
        return decide(run.request, managed.secret, managed.spec, managed.terms, run.history, now, looked)

    def _nothing(self, run: Run, decision: Decision, secret: Secret, slot: str | None = None) -> Outcome:
        return nothing_to_do(decision, run.request, secret, slot, self._dependencies.clock.now())

    # dry run

    async def _plan(self, request: RotationRequest, redactor: Redactor) -> Outcome:
        vault = self._vault(request)
        if not self._dependencies.policy.covers(request.ref):
            return await self._of_leader(vault, request, lambda turned: self._plan(turned, redactor))
        return await Plan(
            self._dependencies, self._managed_secrets, self._followers, vault, request, redactor
        ).outcome()
