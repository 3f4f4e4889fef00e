"""Does the latest version work, whose is it, and if it does not: what does?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from rotation.errors import Denied, NotYet, Rejected, Unreachable, Unusable
from rotation.fence import within
from rotation.history import Open
from rotation.model import Credential, Secret, Spec
from rotation.records import Step
from rotation.run import Run, Subject, operation_id

Permits = Callable[[Secret, Spec], Subject]


async def identify(run: Run, subject: Subject) -> tuple[str, bool]:
    """Prove the latest version, and write down whose it is. -> (its slot, whether that finished an operation).

    A slot is never believed from a tag: each that comes into question is tried, and the provider decides.

    Raises:
        Rejected: it works as none of them. Unreachable: nobody can tell, a provider that says "not yet" included.
    """
    secret = subject.secret
    unfinished = run.history.open_operation()
    ours = unfinished is not None and await _is_staged_value(run, subject, unfinished)
    known = run.history.versions().get(secret.version)
    for slot in _slots_in_question(run, subject, unfinished if ours else None):
        try:
            await _verify(run, subject, Credential(secret.value, slot))
        except Rejected:
            continue
        break
    else:
        raise Rejected("the latest version is refused by the provider")

    publication = run.history.publication(secret.version)
    if known is not None:
        await run.append(
            run.note(Step.VERIFIED, operation_id(secret.ref, secret.version), version=secret.version, slot=slot)
        )
        if (
            publication is None
            or publication.step is not Step.PUBLISHED
            or run.history.was_finished(publication.operation_id)
        ):
            return slot, False
        await _finish(run, publication.operation_id, secret, slot)
        return slot, True
    if unfinished is not None and ours and _is_slot_of(unfinished, slot, secret):
        # Killed between writing the new version and recording it.
        await run.append(
            run.note(
                Step.PUBLISHED, unfinished.operation_id, version=secret.version,
                previous_version=unfinished.base_version, slot=slot, tags=secret.tags,
            )
        )  # fmt: skip
        await _finish(run, unfinished.operation_id, secret, slot)
        return slot, True
    await run.append(
        run.note(
            Step.ADOPTED, operation_id(secret.ref, secret.version, "adopt"), version=secret.version, slot=slot,
            detail="written by somebody else; it works", tags=secret.tags,
        )
    )  # fmt: skip
    return slot, False


async def working_value(run: Run, subject: Subject, permitted: Permits) -> Credential | None:
    """The newest credential that works: staged values that the ledger names, then known versions.

    Each is claimed and permitted anew: an old value may name another server.

    Raises:
        Unreachable: nobody can tell.
    """
    async for credential in _candidates(run, subject):
        try:
            candidate = permitted(replace(subject.secret, value=credential.value), subject.spec)
            await _verify(run, candidate, credential)
        except (Rejected, Denied, Unusable):
            continue
        return credential
    return None


async def _candidates(run: Run, subject: Subject) -> AsyncIterator[Credential]:
    staged = run.history.staged()
    latest = subject.secret
    for one in [s for s in staged if not s.settled]:
        if one.slot is not None and (value := await run.staged_value(one)) is not None:
            yield Credential(value, one.slot)
    for version, slot in run.history.versions().items():
        if version != latest.version and (value := await run.older_value(version)) is not None:
            yield Credential(value, slot)


async def _verify(run: Run, subject: Subject, credential: Credential) -> None:
    job = run.job(subject, credential, operation_id(subject.ref, subject.secret.version))
    try:
        with run.watch.step("verify", subject.secret.version):
            await within(run.fence.limits.provider_call, "the provider", subject.rotator.verify(job, credential))
    except NotYet as not_yet:
        raise Unreachable(not_yet.message, retry_after_s=not_yet.retry_after_s) from None


def _slots_in_question(run: Run, subject: Subject, ours: Open | None) -> list[str]:
    known = run.history.versions()
    latest = subject.secret.version
    if latest in known:
        return [known[latest]]
    asked = [
        ours.slot if ours else None,
        subject.claim.current_slot,
        *list(known.values())[:1],
        *subject.claim.slots,
    ]
    permitted = subject.permit.slots
    slots = [s for s in dict.fromkeys(asked) if s is not None]
    if permitted and "*" not in permitted:
        slots = [s for s in slots if s in permitted]
    # Where the provider assigns slots and nobody named one, the version's own id serves as well as any.
    return slots or ([] if subject.claim.slots else [latest])


async def _is_staged_value(run: Run, subject: Subject, unfinished: Open) -> bool:
    """Whether the latest version is what the open operation was about to publish. Nothing staged: it may be."""
    staged = run.history.staged_for(unfinished.operation_id)
    if staged is None:
        return True
    return await run.staged_value(staged) == subject.secret.value


def _is_slot_of(unfinished: Open, slot: str, secret: Secret) -> bool:
    """Whether the open operation was about to publish this slot.

    One that the provider assigns was not known when the operation began. Then the version's own tag tells what it was
    made from; were that forged, the history would call a working credential ours, and nothing else would change.
    """
    if unfinished.slot is not None:
        return slot == unfinished.slot
    return secret.tags.get("rotated-from") == unfinished.base_version


async def _finish(run: Run, operation: str, secret: Secret, slot: str) -> None:
    staged = run.history.staged_for(operation)
    if staged is not None:
        await run.unstage(staged.version)
    await run.append(run.note(Step.ROTATED, operation, version=secret.version, slot=slot))
