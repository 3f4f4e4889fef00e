"""What a run would do now: reads the vault and the ledger, writes nothing, logs in nowhere.

It goes the way of a run (`rotation.engine.engine`) and asks the same `rotation.engine.decision`, after each step as
if the run had taken it. Where a run would log in, it takes for granted that the latest version works and is the
secret's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import timedelta

from rotation.engine.decision import Act, Decision, Looked, at_once, decide, without_tags
from rotation.engine.dependencies import EngineDependencies, ManagedSecrets
from rotation.engine.fence import within
from rotation.engine.followers import Followers
from rotation.engine.grace import left_over, longest_promise, over_by_versions
from rotation.engine.lead import Followed
from rotation.engine.managed_secret import ManagedSecret
from rotation.engine.outcomes import nothing_to_do, planned, would_follow
from rotation.engine.ownership import read_bindings
from rotation.engine.resumption import asking_of, asks_for_it_still, why_given_up
from rotation.engine.unread import ask_and_judge
from rotation.errors import Disabled, NotFound, Redactor, RotationError
from rotation.ledger.asked import Asked
from rotation.ledger.bindings import owned_by
from rotation.ledger.history import History
from rotation.ledger.records import Record, Step
from rotation.model import Force, Outcome, Result, RotationRequest, Secret
from rotation.ports import Vault
from rotation.spec import companion, parse


@dataclass(slots=True)
class Plan:
    """Of one request."""

    dependencies: EngineDependencies
    managed_secrets: ManagedSecrets
    followers: Followers
    vault: Vault
    request: RotationRequest
    redactor: Redactor
    followed: Followed = field(default_factory=Followed)
    remarks: list[str] = field(default_factory=list)  # what the outcome must say besides, as in a run

    async def outcome(self) -> Outcome:
        """What a run would come to: PLANNED where it would do something.

        Raises:
            RotationError: as the run, but for what a login would show.
        """
        outcome = await self._outcome()
        return replace(outcome, detail="; ".join((outcome.detail, *self.remarks)))

    async def _outcome(self) -> Outcome:
        name = self.request.ref.name
        secret = await within(self.dependencies.limits.vault_call, "the vault", self.vault.get(name))
        self.redactor.add(secret.value)
        history = History(await self.dependencies.ledger.read(self.request.ref))
        with contextlib.suppress(RotationError):  # what keeps a run from looking at them is told by what follows
            self.followed = await self.followers.look(secret, history, self.redactor)
        first = at_once(self.request, secret, history)
        if first is not None and first.act is Act.SUPERSEDED:
            return self._nothing(first, secret)
        if first is not None:
            managed = await self._finished_for(secret, history)
            if managed is not None:
                return await self._planned(managed, history, {Act.FINISH})
            history = history.and_then(self._record(Step.FAILED, given_up=True))
        acts: set[Act] = set()
        self.followers.refuse(secret)
        spec = parse(secret.tags)
        if spec is None:
            decision = decide(self.request, secret, None, None, history, self.dependencies.clock.now())
            if decision.act is Act.RESTORE:
                secret = replace(secret, tags={**(history.tags() or {}), **secret.tags})
                spec = parse(secret.tags)
                decision = Decision(without_tags(secret, history))
                acts.add(Act.RESTORE)
            if spec is None:
                return self._nothing(decision, secret)
        managed = self.managed_secrets.of(secret, spec, self.redactor)
        self.managed_secrets.check_tags_fit(managed)
        return await self._of_managed(managed, history, acts)

    async def _finished_for(self, secret: Secret, history: History) -> ManagedSecret | None:
        """The secret for which an open operation would be finished; None: it would be given up."""
        begun = history.open_operation()
        asking = None if begun is None else asking_of(begun, history, secret)
        if begun is None or asking is None:
            return None
        managed = self.managed_secrets.of(secret, asking, self.redactor)
        self.managed_secrets.check_tags_fit(managed)
        repairing = begun.in_place and history.staged_for(begun.operation_id) is not None
        repairing = repairing and not asks_for_it_still(managed, begun)
        if why_given_up(managed, begun, repairing=repairing) is not None:
            return None
        slot = begun.slot or history.versions().get(secret.version)
        if begun.asked is None or begun.asked.realm is None or slot is None:
            return managed
        return managed if slot in await self._ours(begun.asked, [slot]) else None

    async def _of_managed(self, managed: ManagedSecret, history: History, acts: set[Act]) -> Outcome:
        """acts: what would be done before."""
        secret, access, before = managed.secret, managed.access, history
        decision = self._decide(managed, history, Looked(access))
        if decision.act is Act.CHECK:
            if await self._would_be_recorded(history, secret):
                acts.add(Act.CHECK)
            history = history.and_then(self._checked(managed, history, decision.confirmed))
        asked = history.asked()
        slots = history.unretired(history.versions().get(secret.version, ""))
        # Of slots that a provider assigned only those that are still bound to this secret are retired.
        ours = None if asked is None or asked.slots or not slots else await self._ours(asked, slots)
        looked = Looked(access, checked=True)
        over: Collection[str] = ()
        decision = self._decide(managed, history, looked, ours)
        if decision.act is Act.RETIRE:
            over = await self._over(managed, history, ours)
            if over:
                acts.add(Act.RETIRE)
                history = history.and_then(*(self._record(Step.RETIRED, slot=slot) for slot in over))
            decision = self._decide(managed, history, replace(looked, over=frozenset()), ours)
        if decision.act is Act.ROTATE:
            acts.add(Act.ROTATE)
        if not acts:
            return self._nothing(decision, secret, before.versions().get(secret.version) or access.current_slot)
        return await self._planned(managed, before, acts, over)

    async def _would_be_recorded(self, history: History, secret: Secret) -> bool:
        """Whether a check would find that an interrupted rotation is done: killed before it could say so."""
        publication = history.publication(secret.version)
        if publication is not None:
            return publication.step is Step.PUBLISHED and not history.was_finished(publication.operation_id)
        begun = history.open_operation()
        if begun is None:
            return False
        staged = history.staged_for(begun.operation_id)
        if staged is not None:
            call = self.vault.get(companion(secret.ref.name), staged.version)
            with contextlib.suppress(Disabled, NotFound):
                kept = await within(self.dependencies.limits.vault_call, "the vault", call)
                self.redactor.add(kept.value)
                return kept.value == secret.value
        return secret.tags.get("rotated-from") == begun.base_version

    async def _over(self, managed: ManagedSecret, history: History, ours: frozenset[str] | None) -> frozenset[str]:
        """Of the older slots that wait, those that would be retired."""
        latest_slot = history.versions()[managed.secret.version]
        left = left_over(history, managed.terms, history.asked(), latest_slot, ours)
        if self.request.force is Force.GRACE:
            return frozenset(left)
        listed = await within(
            self.dependencies.limits.vault_call, "the vault", self.vault.versions(self.request.ref.name)
        )
        dependencies, now = self.dependencies, self.dependencies.clock.now()
        over = over_by_versions(history, listed, left, managed.promise_h, now)
        judged = await ask_and_judge(dependencies.readers, managed, history, listed, over, now, dependencies.observer)
        self.remarks.extend(judged.said)
        return judged.over

    async def _ours(self, asked: Asked, slots: Collection[str]) -> frozenset[str]:
        return owned_by(self.request.ref, await read_bindings(self.dependencies.ledger, asked, slots))

    def _decide(
        self, managed: ManagedSecret, history: History, looked: Looked, ours: frozenset[str] | None = None
    ) -> Decision:
        now = self.dependencies.clock.now()
        grace = timedelta(hours=longest_promise(history, managed.promise_h))
        looked = self.followed.seen(replace(looked, ours=ours), grace, now)
        return decide(self.request, managed.secret, managed.spec, managed.terms, history, now, looked)

    def _nothing(self, decision: Decision, secret: Secret, slot: str | None = None) -> Outcome:
        outcome = nothing_to_do(decision, self.request, secret, slot, self.dependencies.clock.now())
        behind = self.followed.behind()
        if not behind:
            return outcome
        return replace(outcome, result=Result.PLANNED, detail=f"{would_follow(behind)}; {outcome.detail}")

    async def _planned(
        self, managed: ManagedSecret, history: History, acts: Collection[Act], over: Collection[str] = ()
    ) -> Outcome:
        outcome = planned(managed, history, acts, over)
        changes = not {Act.FINISH, Act.ROTATE}.isdisjoint(acts)
        following = self.followed.behind()
        if changes:  # while a change in place is open nothing says yet what they should have
            following = self.followed.found or await self.followers.read(managed, self.redactor)
        return replace(outcome, detail=f"{outcome.detail}; {would_follow(following)}") if following else outcome

    # what a run would have written down

    def _checked(self, managed: ManagedSecret, history: History, confirmed: Asked | None) -> Record:
        secret, access = managed.secret, managed.access
        known = history.versions().get(secret.version)
        if confirmed is not None and known is not None:
            return self._record(Step.VERIFIED, version=secret.version, slot=known)
        slot = known or access.current_slot or next(iter(access.slots), secret.version)
        proven = history.asked()
        asked = Asked.of(managed.spec.rotator, access, None if proven is None else proven.realm)
        return replace(
            self._record(Step.ADOPTED, version=secret.version, slot=slot),
            tags=secret.tags,
            asked=asked.to_record(),
            grace_hours=managed.promise_h,
        )

    def _record(
        self, step: Step, *, version: str | None = None, slot: str | None = None, given_up: bool | None = None
    ) -> Record:
        reason, actor = str(self.request.reason), self.request.actor
        now = self.dependencies.clock.now()
        return Record(now, step, "planned", reason, actor, version=version, slot=slot, given_up=given_up)
