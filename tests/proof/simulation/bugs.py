"""Bugs on purpose: each takes one rule out, and the simulation must notice. What it can't notice, it does not prove."""

import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from rotation.engine import engine as engine_module
from rotation.engine import jobs, proof, repair, resumption, retirement
from rotation.engine.change import Change
from rotation.engine.engine import Engine
from rotation.engine.fence import Fence, within
from rotation.engine.managed_secret import ManagedSecret
from rotation.engine.run import Run
from rotation.errors import Disabled, NotFound, Rejected, Unreachable
from rotation.ledger.asked import Asked
from rotation.ledger.history import History, Staged
from rotation.ledger.records import AboutTo, Record, Step
from rotation.model import (
    Applied,
    Credential,
    Draft,
    Force,
    Job,
    Login,
    LoginSource,
    Outcome,
    Proof,
    Result,
    SecretValue,
)
from rotation.readers import Readers
from rotation.rotators.azure.entra_app_secret import EntraAppSecret
from rotation.rotators.databases.alternating import Alternating
from rotation.rotators.databases.rotator import DatabaseRotator
from rotation.spec import companion
from tests.fakes import InMemoryLease, InMemoryLedger

Switch = Callable[[], AbstractContextManager[Any]]
BUGS: dict[str, "Bug"] = {}


@dataclass(frozen=True, slots=True)
class Bug:
    """seed: of the first story that noticed it when it was looked for last; the quick tests begin there."""

    switch: Switch
    seed: int


def bug(title: str, *, seed: int) -> Callable[[Switch], Switch]:
    """Put a patch on the list."""

    def add(switch: Switch) -> Switch:
        BUGS[title] = Bug(switch, seed)
        return switch

    return add


def _applying(run: Run, job: Job, managed: ManagedSecret, draft: Draft, asked: Asked, grace: int) -> Record:
    return run.note(
        Step.APPLYING, job.operation_id, previous_version=managed.secret.version, slot=draft.slot,
        tags=managed.secret.tags, asked=asked, grace_hours=grace,
    )  # fmt: skip


@bug("staging skipped", seed=0)
def _() -> AbstractContextManager[Any]:
    async def stage(
        _self: Change, run: Run, job: Job, managed: ManagedSecret, asked: Asked, grace: int
    ) -> tuple[Draft, str | None]:
        draft = managed.rotator.draft(job)
        await run.append(_applying(run, job, managed, draft, asked, grace))
        return draft, None

    return patch.object(Change, "_stage", stage)


@bug("staged value not reused", seed=5)
def _() -> AbstractContextManager[Any]:
    return patch.object(History, "staged_for", lambda _self, _operation: None)


@bug("only the newest staged value tried", seed=4)
def _() -> AbstractContextManager[Any]:
    all_of_them = History.staged
    return patch.object(History, "staged", lambda self: all_of_them(self)[:1])


@bug("disabled staged values not tried", seed=4)
def _() -> AbstractContextManager[Any]:
    async def staged_value(self: Run, staged: Staged) -> SecretValue | None:
        try:
            return (await self.read(staged.version, name=companion(self.request.ref.name))).value
        except (Disabled, NotFound):
            return None

    return patch.object(Run, "staged_value", staged_value)


@bug("what was deleted is neither found staged nor made anew", seed=3613)
@contextlib.contextmanager
def _() -> Iterator[None]:
    async def settled(_run: Run, _gone: Collection[str]) -> AsyncIterator[tuple[Credential, str]]:
        nothing: list[tuple[Credential, str]] = []
        for one in nothing:
            yield one

    with (
        patch.object(proof, "_superseded", settled),
        patch.object(repair.Repair, "_slot_without_versions", lambda *_all: None),
    ):
        yield


@bug("staged versions believed that the ledger does not name", seed=10)
def _() -> AbstractContextManager[Any]:
    whole = Change._stage

    async def stage(
        self: Change, run: Run, job: Job, managed: ManagedSecret, asked: Asked, grace: int
    ) -> tuple[Draft, str | None]:
        listed = await run.vault.versions(companion(managed.ref.name))
        for version in listed.items[:1]:
            if version.enabled:
                value = (await run.read(version.version, name=companion(managed.ref.name))).value
                draft = Draft(managed.rotator.draft(job).slot, value)
                await run.append(_applying(run, job, managed, draft, asked, grace))
                return draft, version.version
        return await whole(self, run, job, managed, asked, grace)

    return patch.object(Change, "_stage", stage)


@bug("publish before apply", seed=0)
def _() -> AbstractContextManager[Any]:
    whole = Change._stage

    async def stage(
        self: Change, run: Run, job: Job, managed: ManagedSecret, asked: Asked, grace: int
    ) -> tuple[Draft, str | None]:
        draft, version = await whole(self, run, job, managed, asked, grace)
        if draft.value is not None and draft.slot is not None:
            await self._publish(
                run, managed, Credential(draft.value, draft.slot), job.operation_id, grace, None, self._expiry(managed)
            )
        return draft, version

    return patch.object(Change, "_stage", stage)


@bug("lease ignored", seed=2)
@contextlib.contextmanager
def _() -> Iterator[None]:
    whole = InMemoryLedger.acquire

    async def acquire(self: InMemoryLedger, ref: Any, *, create: bool) -> Any:
        for history in self._histories.values():
            history.holder = None
        return await whole(self, ref, create=create)

    with (
        patch.object(InMemoryLedger, "acquire", acquire),
        patch.object(InMemoryLease, "_still_ours", lambda _self: None),
        patch.object(InMemoryLease, "remaining", lambda _self: 60.0),
    ):
        yield


@bug("write fence removed", seed=14)
@contextlib.contextmanager
def _() -> Iterator[None]:
    async def write(_self: Fence, call: Any, limit: float, whom: str, _others: Any = ()) -> Any:
        return await within(limit, whom, call())

    with patch.object(Fence, "_write", write):
        yield


@bug("not re-read under the lease", seed=1526)
@contextlib.contextmanager
def _() -> Iterator[None]:
    handle, read = Engine._handle, Run.read

    async def handles(self: Engine, request: Any, redactor: Any) -> Any:
        before = await self._vault(request).get(request.ref.name)
        request = replace(request, version=request.version or before.version)
        _remembered[request.version] = before
        return await handle(self, request, redactor)

    async def reads(self: Run, version: str | None = None, *, name: str | None = None) -> Any:
        if version is None and name is None and self.request.version in _remembered:
            return _remembered[self.request.version or ""]
        return await read(self, version, name=name)

    _remembered: dict[str, Any] = {}
    with patch.object(Engine, "_handle", handles), patch.object(Run, "read", reads):
        yield


@bug("request's version not pinned", seed=0)
def _() -> AbstractContextManager[Any]:
    whole = Engine._handle

    async def handle(self: Engine, request: Any, redactor: Any) -> Any:
        return await whole(self, replace(request, version=None, demanded=True), redactor)

    return patch.object(Engine, "_handle", handle)


@bug("open operation held back by the window", seed=36)
def _() -> AbstractContextManager[Any]:
    whole = Engine._under_lease

    async def under_lease(self: Engine, run: Run) -> Outcome:
        [rule] = self._dependencies.policy.rules
        window = rule.terms.window
        if run.history.open_operation() is not None and window is not None and not window.contains(run.clock.now()):
            return Outcome(Result.DEFERRED, run.request.ref, "outside the policy's window")
        return await whole(self, run)

    return patch.object(Engine, "_under_lease", under_lease)


@bug("latest not verified when foreign or unfinished", seed=990)
def _() -> AbstractContextManager[Any]:
    whole = Engine._proven

    async def proven(
        self: Engine, run: Run, managed: ManagedSecret, known: str | None, confirmed: Asked | None, unfinished: Any
    ) -> tuple[str, Asked, bool]:
        slot = known or managed.access.current_slot
        if confirmed is None or slot is None:  # what was never proven is looked at all the same
            return await whole(self, run, managed, known, confirmed, unfinished)
        finished = await proof.record_proven(run, managed, slot, confirmed, unfinished, anew=False)
        return slot, confirmed, finished

    return patch.object(Engine, "_proven", proven)


@bug("rejected and unreachable confused", seed=114)
@contextlib.contextmanager
def _() -> Iterator[None]:
    verifies, proves = proof.verify, proof.prove

    async def verify(run: Run, managed: ManagedSecret, credential: Credential) -> None:
        try:
            await verifies(run, managed, credential)
        except Unreachable:
            raise Rejected("refused") from None

    async def prove(
        run: Run, managed: ManagedSecret, value: SecretValue | None = None, *, slot: str | None = None
    ) -> Proof:
        try:
            return await proves(run, managed, value, slot=slot)
        except Unreachable:
            raise Rejected("refused") from None

    with (
        patch.object(engine_module, "prove", prove),
        patch.object(resumption, "prove", prove),
        patch.object(proof, "verify", verify),
        patch.object(engine_module, "verify", verify),
        patch.object(repair, "verify", verify),
    ):
        yield


@bug("ALTER repeated", seed=2)
def _() -> AbstractContextManager[Any]:
    async def holds(_self: DatabaseRotator, _job: Job, _credential: Credential) -> bool:
        return False

    return patch.object(DatabaseRotator, "_holds", holds)


@bug("force ignoring grace", seed=102)
def _() -> AbstractContextManager[Any]:
    whole = Engine._handle

    async def handle(self: Engine, request: Any, redactor: Any) -> Any:
        force = Force.GRACE if request.force is Force.YES else request.force
        return await whole(self, replace(request, force=force), redactor)

    return patch.object(Engine, "_handle", handle)


@bug("only one old slot retired", seed=4)
def _() -> AbstractContextManager[Any]:
    whole = History.unretired
    return patch.object(
        History,
        "unretired",
        lambda self, latest: (
            frozenset(sorted(whole(self, latest))[:1])
            if not any(record.step is Step.RETIRED for record in self._records)
            else frozenset()
        ),
    )


@bug("grace by the local clock", seed=18)
def _() -> AbstractContextManager[Any]:
    whole = retirement.retire_due

    async def retire_due(
        run: Run, managed: ManagedSecret, asked: Asked, latest_slot: str, readers: Readers
    ) -> list[str]:
        vault = run.vault

        class LocalClock:
            async def versions(self, name: str) -> Any:
                return replace(await vault.versions(name), read_at=run.clock.now())

            def __getattr__(self, name: str) -> Any:
                return getattr(vault, name)

        stand_in: Any = LocalClock()
        run.vault = stand_in
        try:
            return await whole(run, managed, asked, latest_slot, readers)
        finally:
            run.vault = vault

    return patch.object(engine_module, "retire_due", retire_due)


@bug("leftover disabled before the latest verified", seed=2)
def _() -> AbstractContextManager[Any]:
    whole = Engine._under_lease

    async def under_lease(self: Engine, run: Run) -> Outcome:
        if run.request.reason == "sweep":
            for version in (await run.vault.versions(companion(run.request.ref.name))).items:
                if version.enabled:
                    await run.announce(run.about_to(AboutTo.UNSTAGE, "too early", version=version.version))
                    await run.unstage(version.version)
        return await whole(self, run)

    return patch.object(Engine, "_under_lease", under_lease)


@bug("parked password not recorded first", seed=4)
def _() -> AbstractContextManager[Any]:
    whole = Alternating.retire

    async def retire(self: Alternating, job: Job, slot: str) -> None:
        other = self.standby(job, slot)
        if job.standby is not None and other is not None:  # another one than what was staged and written down
            job = replace(job, standby=Credential(other, slot))
        await whole(self, job, slot)

    return patch.object(Alternating, "retire", retire)


@bug("apply dropping an orphan", seed=374)
def _() -> AbstractContextManager[Any]:
    whole = EntraAppSecret.apply

    async def apply(self: EntraAppSecret, job: Job, draft: Draft) -> Applied:
        made = await whole(self, job, draft)
        application = await self._application(None, job)  # type: ignore[arg-type]  # the simulation needs no session
        for key_id in application.passwords:
            if key_id not in {made.credential.slot, job.current.slot}:
                await self.retire(job, key_id)
        return made

    return patch.object(EntraAppSecret, "apply", apply)


@bug("versions of the slot not tried as logins", seed=0)
def _() -> AbstractContextManager[Any]:
    whole = jobs.logins

    async def logins(run: Run, managed: ManagedSecret, slot: str, operation: str) -> AsyncIterator[Login]:
        async for login in whole(run, managed, slot, operation):
            if login.source is not LoginSource.VERSION:
                yield login

    return patch.object(jobs, "logins", logins)


def _unannounced(act: AboutTo) -> AbstractContextManager[Any]:
    """The act is done, and nothing said that it would be."""
    whole = Run.announce

    async def announce(self: Run, *acts: Record) -> None:
        await whole(self, *(one for one in acts if one.about_to != act))

    return patch.object(Run, "announce", announce)


@bug("tags restored without a record", seed=16)
def _() -> AbstractContextManager[Any]:
    return _unannounced(AboutTo.SET_TAGS)


@bug("a slot retired without a record", seed=6)
def _() -> AbstractContextManager[Any]:
    return _unannounced(AboutTo.RETIRE)


@bug("versions disabled without a record", seed=6)
def _() -> AbstractContextManager[Any]:
    return _unannounced(AboutTo.DISABLE)


@bug("a leftover disabled without a record", seed=10)
def _() -> AbstractContextManager[Any]:
    return _unannounced(AboutTo.UNSTAGE)


@bug("a repair published without a record", seed=158)
def _() -> AbstractContextManager[Any]:
    return _unannounced(AboutTo.PUBLISH)


@bug("a staged value enabled without a record", seed=1376)
def _() -> AbstractContextManager[Any]:
    return _unannounced(AboutTo.READ_STAGED)


@bug("a staged value disabled without a record", seed=0)
def _() -> AbstractContextManager[Any]:
    whole = Run.note

    def note(self: Run, step: Step, operation: str, **more: Any) -> Record:
        return whole(self, step, operation, **(more | {"unstages": None}))

    return patch.object(Run, "note", note)
