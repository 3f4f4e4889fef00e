"""Does the latest version work, whose is it, and if it does not: what does?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import replace

from rotation.engine.fence import within
from rotation.engine.jobs import job_of
from rotation.engine.managed_secret import ManagedSecret, operation_id
from rotation.engine.refreshing import owing
from rotation.engine.run import MAX_TRIES, Run
from rotation.errors import Disabled, NotFound, NotYet, RotationError, Unreachable
from rotation.ledger.asked import Asked
from rotation.ledger.history import Open
from rotation.ledger.records import Record, Step
from rotation.model import Credential, Proof, Secret, SecretValue, Spec
from rotation.spec import parse

Permits = Callable[[Secret, Spec], ManagedSecret]


async def prove(
    run: Run, managed: ManagedSecret, value: SecretValue | None = None, *, slot: str | None = None
) -> Proof:
    """Whose the latest version (or `value`) is, by a login where consumers and changes go.

    slot: what the ledger has it for; only what nobody but the vault knows is believed to be just that.

    Raises:
        Rejected: it is refused. Unreachable: nobody can tell, a provider that says "not yet" included.
        Unusable: it works, and nobody can tell whose it is.
    """
    current = Credential(value or managed.secret.value, slot or managed.access.current_slot or "")
    job = job_of(run, managed, current, operation_id(managed.ref, managed.secret.version))
    try:
        with run.observer.step("prove", managed.secret.version):
            return await within(run.fence.limits.provider_call, "the provider", managed.rotator.prove(job))
    except NotYet as not_yet:
        raise Unreachable(not_yet.message, retry_after_s=not_yet.retry_after_s) from None


async def verify(run: Run, managed: ManagedSecret, credential: Credential) -> None:
    """Prove a credential whose slot is known.

    Raises:
        Rejected, Unreachable: as `prove`.
    """
    job = job_of(run, managed, credential, operation_id(managed.ref, managed.secret.version))
    try:
        with run.observer.step("verify", managed.secret.version):
            await within(run.fence.limits.provider_call, "the provider", managed.rotator.verify(job, credential))
    except NotYet as not_yet:
        raise Unreachable(not_yet.message, retry_after_s=not_yet.retry_after_s) from None


async def record_proven(
    run: Run, managed: ManagedSecret, slot: str, asked: Asked, unfinished: Open | None, *, anew: bool
) -> bool:
    """Write down whose the latest version is, now that it is proven and bound. -> whether that finished an operation.

    anew: what is asked for was not proven before, or is another than it was.
    """
    secret = managed.secret
    publication = run.history.publication(secret.version)
    if publication is not None:
        name = operation_id(secret.ref, secret.version, "adopt" if anew else "rotate")
        ends = publication.step is Step.PUBLISHED and not run.history.was_finished(publication.operation_id)
        staged = _staged_version(run, publication.operation_id) if ends else None
        if anew:
            why = "what it asks for is proven to be its own"
            await run.append(_adopted(run, managed, name, slot, asked, why, unstages=staged))
        else:
            await run.append(run.note(Step.VERIFIED, name, version=secret.version, slot=slot, unstages=staged))
        if ends:
            await _finish(run, publication.operation_id, secret, slot)
        return ends
    if (
        unfinished is not None
        and _is_slot_of(unfinished, slot, secret)
        and await _is_staged_value(run, managed, unfinished)
    ):
        # Killed between writing the new version and recording it.
        note = run.note(
            Step.PUBLISHED, unfinished.operation_id, version=secret.version,
            previous_version=unfinished.base_version, slot=slot, tags=secret.tags, asked=asked,
            grace_hours=max(unfinished.grace_hours or 0, managed.promise_h),
            unstages=_staged_version(run, unfinished.operation_id),
        )  # fmt: skip
        await run.append(owing(managed.terms, note))
        await _finish(run, unfinished.operation_id, secret, slot)
        return True
    name = operation_id(secret.ref, secret.version, "adopt")
    note = _adopted(run, managed, name, slot, asked, "written by somebody else; it works")
    # A run may have written it, killed before it said so, where nothing is staged that would show it.
    await run.append(note if unfinished is None else owing(managed.terms, note))
    return False


def _adopted(
    run: Run, managed: ManagedSecret, name: str, slot: str, asked: Asked, detail: str, *, unstages: str | None = None
) -> Record:
    ours = frozenset(asked.slots) or run.history.named_since_proven()
    left = sorted(run.history.unretired(slot) - ours) if asked.realm is not None else []
    if left:
        why = "is no longer asked for" if asked.slots else "was never proven to be this secret's"
        run.remarks.append(f"{', '.join(left)} {why}: end it by hand, nobody else does")
        detail = f"{detail}; {run.remarks[-1]}"
    return run.note(
        Step.ADOPTED, name, version=managed.secret.version, slot=slot, detail=detail, tags=managed.secret.tags,
        asked=asked, grace_hours=managed.promise_h, unstages=unstages,
    )  # fmt: skip


def as_it_was(run: Run, managed: ManagedSecret, version: str, permitted: Permits, value: SecretValue) -> ManagedSecret:
    """An older value, with the tags that its version had when the ledger last saw it.

    Raises:
        Unusable, Denied: they can't be understood, or are not permitted any more.
    """
    tags: Mapping[str, str] = run.history.tags_of(version) or {}
    spec = parse(tags)
    if spec is None:  # it was not managed when it was written, and is now
        tags, spec = managed.secret.tags, managed.spec
    return permitted(replace(managed.secret, value=value, tags=tags), spec)


async def working_value(
    run: Run, managed: ManagedSecret, permitted: Permits, slots: frozenset[str] | None, targets: Collection[str]
) -> tuple[Credential, ManagedSecret] | None:
    """The newest credential that works: staged values that the ledger names, known versions, superseded staged values.

    slots: those that are bound to this secret, at `targets`; None: it owns nothing at a provider. Each value is read
    and permitted anew, as it was: an old one may name another server, from which consumers were moved away, or another
    secret's by now. None is written over a value of another form.

    Raises:
        Unreachable: nobody can tell.
    """
    async for credential, version in _candidates(run, managed):
        if slots is not None and credential.slot not in slots:
            continue
        try:
            candidate = as_it_was(run, managed, version, permitted, credential.value)
            if candidate.access.form != managed.access.form:
                continue
            if slots is not None and set(targets).isdisjoint(candidate.access.targets):
                continue
            await verify(run, candidate, credential)
        except Unreachable:
            raise
        except RotationError:
            continue
        return credential, candidate
    return None


async def _candidates(run: Run, managed: ManagedSecret) -> AsyncIterator[tuple[Credential, str]]:
    """With the version whose tags it goes by. What is superseded comes last, as in `jobs.logins`."""
    latest = managed.secret
    known = run.history.versions()
    newest = next(iter(known), latest.version)
    for one in [s for s in run.history.staged() if not s.superseded]:
        if one.slot is not None and (value := await run.staged_value(one)) is not None:
            yield Credential(value, one.slot), newest
    gone: set[str] = set()
    for version, slot in known.items():
        if version == latest.version:
            continue
        try:
            value = (await run.read(version)).value
        except NotFound:
            gone.add(version)
        except Disabled:  # by its owner, or retired: it stays so, and its staged copy too
            pass
        else:
            yield Credential(value, slot), version
    async for credential, version in _superseded(run, gone):
        yield credential, version


async def _superseded(run: Run, gone: Collection[str]) -> AsyncIterator[tuple[Credential, str]]:
    """What versions that are gone were staged as: their secret was deleted and written anew. Not what was retired."""
    unretired = run.history.unretired("")
    for one in [s for s in run.history.staged() if s.superseded and s.slot in unretired][:MAX_TRIES]:
        version = run.history.published_by(one.operation_id)
        if one.slot is None or version is None or version not in gone:
            continue
        if (value := await run.staged_value(one)) is not None:
            yield Credential(value, one.slot), version


async def published_slot(run: Run, managed: ManagedSecret, unfinished: Open | None) -> str | None:
    """The slot of a latest version that is what the open operation staged: it was killed before it could say so."""
    if unfinished is None or run.history.staged_for(unfinished.operation_id) is None:
        return None
    return unfinished.slot if await _is_staged_value(run, managed, unfinished) else None


async def _is_staged_value(run: Run, managed: ManagedSecret, unfinished: Open) -> bool:
    """Whether the latest version is what the open operation was about to publish. Nothing staged: it may be."""
    staged = run.history.staged_for(unfinished.operation_id)
    if staged is None:
        return True
    return await run.staged_value(staged) == managed.secret.value


def _is_slot_of(unfinished: Open, slot: str, secret: Secret) -> bool:
    """Whether the open operation was about to publish this slot.

    One that the provider assigns was not known when the operation began. Then the version's own tag tells what it was
    made from; were that forged, the history would call a working credential ours, and nothing else would change.
    """
    if unfinished.slot is not None:
        return slot == unfinished.slot
    return secret.tags.get("rotated-from") == unfinished.base_version


def _staged_version(run: Run, operation: str) -> str | None:
    staged = run.history.staged_for(operation)
    return None if staged is None else staged.version


async def _finish(run: Run, operation: str, secret: Secret, slot: str) -> None:
    """The record before this one said that the staged value will be disabled."""
    staged = _staged_version(run, operation)
    if staged is not None:
        await run.unstage(staged)
    await run.append(run.note(Step.ROTATED, operation, version=secret.version, slot=slot))
