"""Bugs on purpose, of the rules that say whose a credential is: see `bugs.py`."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from rotation.engine import change, decision, grace, jobs, proof, resumption, retirement
from rotation.engine import engine as engine_module
from rotation.engine.decision import Looked
from rotation.engine.dependencies import ManagedSecrets
from rotation.engine.managed_secret import ManagedSecret
from rotation.engine.ownership import Owners
from rotation.engine.repair import Repair
from rotation.engine.resumption import Resumption
from rotation.engine.run import Run
from rotation.ledger.asked import Asked
from rotation.ledger.bindings import Bindings, credential_key
from rotation.ledger.history import History, Open
from rotation.ledger.records import Record, Step
from rotation.model import Adopt, Job, Outcome, Proof, SecretRef, SecretValue, Spec
from rotation.policy import RuleTerms
from rotation.spec import companion
from tests.proof.simulation.bugs import bug
from tests.proof.simulation.providers import SERVER


@bug("no proof before a binding", seed=3)
@contextlib.contextmanager
def _() -> Iterator[None]:
    whole = proof.prove

    async def prove(
        run: Run, managed: ManagedSecret, value: SecretValue | None = None, *, slot: str | None = None
    ) -> Proof:
        named = managed.access.current_slot
        if named is None or not managed.spec.rotator.startswith("postgres"):
            return await whole(run, managed, value, slot=slot)
        return Proof(named, f"postgresql:{SERVER}", SERVER)

    with patch.object(engine_module, "prove", prove), patch.object(resumption, "prove", prove):
        yield


@dataclass
class _LetGo:
    """What is left of a lease that was given back too early."""

    records: tuple[Record, ...]

    def remaining(self) -> float:
        return 60.0

    async def release(self) -> None:
        pass


@bug("bound without the owner's lease", seed=315)
def _() -> AbstractContextManager[Any]:
    @contextlib.asynccontextmanager
    async def leases(self: Owners, others: Iterable[SecretRef]) -> AsyncIterator[dict[SecretRef, Any]]:
        held: dict[SecretRef, Any] = {}
        for other in others:
            lease = await self.ledger.acquire(other, create=False)
            if lease is not None:
                held[other] = _LetGo(tuple(lease.records))
                await lease.release()
        yield held

    return patch.object(Owners, "_leases", leases)


@bug("taken from an owner who asks for it", seed=1135)
def _() -> AbstractContextManager[Any]:
    return patch.object(Owners, "_asks_for", lambda *_all: False)


def _passed_over(*reasons: str) -> AbstractContextManager[Any]:
    whole = Owners._why_relied_on

    async def why(self: Owners, *all_of_it: Any) -> str | None:
        found = await whole(self, *all_of_it)
        return None if found is not None and found.startswith(reasons) else found

    return patch.object(Owners, "_why_relied_on", why)


@bug("taken from an owner whose value names it", seed=355)
def _() -> AbstractContextManager[Any]:
    return _passed_over("whose latest version names it", "whose latest version may hold it")


@bug("taken from an owner who is changing it", seed=1685)
def _() -> AbstractContextManager[Any]:
    return _passed_over("which is in the middle of changing it")


@bug("taken from an owner whose readers were promised grace", seed=315)
def _() -> AbstractContextManager[Any]:
    return patch.object(History, "in_grace", lambda *_all: False)


@bug("a binding not appended where it was read", seed=309)
def _() -> AbstractContextManager[Any]:
    whole = Owners._bind

    async def bind(
        self: Owners, run: Run, managed: ManagedSecret, asked: Asked, slot: str, found: Bindings, **more: Any
    ) -> Bindings:
        now = await self.ledger.bindings(credential_key(asked.realm or "", slot))
        return await whole(self, run, managed, asked, slot, Bindings(found.records, now.position), **more)

    return patch.object(Owners, "_bind", bind)


@bug("adopted before it is bound", seed=7)
def _() -> AbstractContextManager[Any]:
    whole = Owners.take

    async def take(self: Owners, run: Run, managed: ManagedSecret, proof: Proof, prove: Any) -> Asked:
        asked = Asked.of(managed.spec.rotator, managed.access, proof.realm)
        note = run.note(
            Step.ADOPTED, "early", version=managed.secret.version, slot=proof.slot, tags=managed.secret.tags,
            asked=asked, grace_hours=managed.promise_h,
        )  # fmt: skip
        await run.append(note)
        return await whole(self, run, managed, proof, prove)

    return patch.object(Owners, "take", take)


_believed: ContextVar[bool] = ContextVar("_believed", default=False)


@contextlib.contextmanager
def _ours_by_history(owner: Any, name: str) -> Iterator[None]:
    """While this method runs, the secret's own history says what is bound to it."""
    whole, ours = getattr(owner, name), Run.ours

    async def believing(*all_of_it: Any) -> Any:
        token = _believed.set(True)
        try:
            return await whole(*all_of_it)
        finally:
            _believed.reset(token)

    with (
        patch.object(owner, name, believing),
        patch.object(Run, "ours", lambda self: frozenset(self.bound) if _believed.get() else ours(self)),
    ):
        yield


@bug("a repair in slots that are not bound", seed=373)
def _() -> AbstractContextManager[Any]:
    return _ours_by_history(Repair, "rejected")


@bug("a repair in another form", seed=173)
def _() -> AbstractContextManager[Any]:
    whole = ManagedSecrets.of

    def of(self: ManagedSecrets, *given: Any) -> ManagedSecret:
        managed = whole(self, *given)
        return replace(managed, access=replace(managed.access, form="any"))

    return patch.object(ManagedSecrets, "of", of)


@bug("an open operation finished though it was taken over", seed=1693)
def _() -> AbstractContextManager[Any]:
    return _ours_by_history(Resumption, "finish")


def _begun(**changes: Any) -> AbstractContextManager[Any]:
    whole = History.open_operation

    def open_operation(self: History) -> Open | None:
        begun = whole(self)
        return None if begun is None else replace(begun, **changes)

    return patch.object(History, "open_operation", open_operation)


@bug("not given up in a slot that is no longer asked for", seed=277)
def _() -> AbstractContextManager[Any]:
    return _begun(in_place=True)


@bug("given up in place", seed=2917)
def _() -> AbstractContextManager[Any]:
    return _begun(in_place=False)


def _all_unretired(run: Run, _subject: ManagedSecret, _asked: Asked, latest_slot: str) -> list[str]:
    return sorted(run.history.unretired(latest_slot))


@bug("retired though no longer asked for", seed=47)
def _() -> AbstractContextManager[Any]:
    return patch.object(retirement, "waiting", _all_unretired)


@bug("held up by slots that are no longer asked for", seed=47)
def _() -> AbstractContextManager[Any]:
    def left_over(
        history: History, _permit: RuleTerms, _asked: Asked | None, slot: str | None, _ours: Any
    ) -> list[str]:
        return sorted(history.unretired(slot or ""))

    return patch.object(decision, "left_over", left_over)


@bug("grace by the tag of now", seed=47)
def _() -> AbstractContextManager[Any]:
    return patch.object(History, "promised", lambda _self, _version: 0)


@bug("grace of the last version alone", seed=141)
def _() -> AbstractContextManager[Any]:
    whole = grace.over_at

    def over_at(history: History, version: str, superseded_at: datetime, hours: int) -> datetime:
        known = history.versions()
        newest = next(one for one, slot in known.items() if slot == known[version])
        return whole(history, version, superseded_at, hours) if version == newest else datetime.fromtimestamp(0, UTC)

    return patch.object(grace, "over_at", over_at)


@bug("staged values of others cleared away", seed=3)
def _() -> AbstractContextManager[Any]:
    whole = retirement.clean_up

    async def clean_up(run: Run, managed: ManagedSecret, asked: Asked, latest_slot: str) -> None:
        await whole(run, managed, asked, latest_slot)
        for version in (await run.versions(companion(managed.ref.name))).items:
            if version.enabled:
                await run.unstage(version.version)

    return patch.object(engine_module, "clean_up", clean_up)


@bug("staged into a secret of somebody else's", seed=61)
def _() -> AbstractContextManager[Any]:
    async def nothing(_self: Run, _name: str) -> None:
        return

    return patch.object(Run, "_refuse_foreign_companion", nothing)


@bug("the server not held against the proof", seed=99)
def _() -> AbstractContextManager[Any]:
    def job(**given: Any) -> Job:
        return Job(**given | {"realm": None})

    return patch.object(jobs, "Job", job)


@bug("set anew though nobody named the slots", seed=597)
def _() -> AbstractContextManager[Any]:
    whole = Repair._reset

    async def reset(self: Repair, run: Run, managed: ManagedSecret) -> Outcome:
        run.request = replace(run.request, slots=managed.access.slots)
        return await whole(self, run, managed)

    return patch.object(Repair, "_reset", reset)


@bug("the tag slot believed", seed=77)
@contextlib.contextmanager
def _() -> Iterator[None]:
    whole = proof.prove

    async def prove(
        run: Run, managed: ManagedSecret, value: SecretValue | None = None, *, slot: str | None = None
    ) -> Proof:
        proof = await whole(run, managed, value, slot=slot)
        told = managed.spec.current_slot
        return replace(proof, slot=told) if told in managed.access.slots and told is not None else proof

    with patch.object(engine_module, "prove", prove), patch.object(resumption, "prove", prove):
        yield


@bug("what was given up is begun anew", seed=1357)
def _() -> AbstractContextManager[Any]:
    return patch.object(change, "replace", lambda job, **_changes: job)


@bug("not proven again under the owner's lease", seed=197)
def _() -> AbstractContextManager[Any]:
    whole = Owners.take

    async def take(self: Owners, run: Run, managed: ManagedSecret, proof: Proof, _prove: Any) -> Asked:
        async def proven() -> Proof:
            return proof

        return await whole(self, run, managed, proof, proven)

    return patch.object(Owners, "take", take)


@bug("bound though the owner's lease may have run out", seed=285)
def _() -> AbstractContextManager[Any]:
    whole = Owners._bind

    async def bind(self: Owners, *given: Any, **more: Any) -> Bindings:
        return await whole(self, *given, **{**more, "others": ()})

    return patch.object(Owners, "_bind", bind)


@bug("never given to another, even where it is needed", seed=189)
def _() -> AbstractContextManager[Any]:
    async def why(_self: Owners, *_all: Any) -> str:
        return "which once had it"

    return patch.object(Owners, "_why_relied_on", why)


@bug("what the package before began is finished without a proof", seed=885)
def _() -> AbstractContextManager[Any]:
    async def bind_begun(_self: Resumption, _run: Run, managed: ManagedSecret, _begun: Open) -> Asked:
        return Asked.of(managed.spec.rotator, managed.access, None)

    return patch.object(Resumption, "_bind_begun", bind_begun)


@bug("what the provider assigned is not bound", seed=557)
def _() -> AbstractContextManager[Any]:
    async def made(_self: Owners, *_all: Any) -> None:
        return

    return patch.object(Owners, "made", made)


@bug("retired in slots that are another's", seed=2749)
@contextlib.contextmanager
def _() -> Iterator[None]:
    def waiting(run: Run, _subject: ManagedSecret, asked: Asked, latest_slot: str) -> list[str]:
        return sorted(run.history.unretired(latest_slot) & frozenset(asked.slots or run.history.versions().values()))

    whole = grace.left_over

    def left_over(history: History, terms: RuleTerms, asked: Asked | None, slot: str | None, _ours: Any) -> list[str]:
        return whole(history, terms, asked, slot, frozenset(history.versions().values()))

    with patch.object(retirement, "waiting", waiting), patch.object(decision, "left_over", left_over):
        yield


@bug("reset though another relies on it", seed=71)
def _() -> AbstractContextManager[Any]:
    whole = Owners._refuse_if_relied_on

    async def refuse(self: Owners, run: Run, *given: Any) -> None:
        if run.request.adopt is not Adopt.RESET:
            await whole(self, run, *given)

    return patch.object(Owners, "_refuse_if_relied_on", refuse)


@bug("believed to be owned still", seed=33)
def _() -> AbstractContextManager[Any]:
    whole = decision.is_confirmed

    def is_confirmed(history: History, spec: Spec, version: str, looked: Looked) -> Asked | None:
        found = history.asked()
        if found is None or looked.access is None or not found.is_asked_by(spec.rotator, looked.access):
            return whole(history, spec, version, looked)
        return found

    return patch.object(decision, "is_confirmed", is_confirmed)
