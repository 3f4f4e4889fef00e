"""What ends an old credential's life: retirement after the grace period, and the clearing of leftovers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from rotation.capabilities import ParksPassword, RemovesOrphans
from rotation.engine.fence import within
from rotation.engine.grace import left_over, over_by_versions
from rotation.engine.jobs import job_of
from rotation.engine.managed_secret import ManagedSecret, operation_id
from rotation.engine.run import Run
from rotation.engine.unread import ask_and_judge
from rotation.errors import MovedElsewhere, NotYet
from rotation.ledger.asked import Asked
from rotation.ledger.records import AboutTo, Step
from rotation.model import Credential, Draft, Force
from rotation.ports import LEASE_S
from rotation.readers import Readers
from rotation.spec import companion


def waiting(run: Run, managed: ManagedSecret, asked: Asked, latest_slot: str) -> list[str]:
    """Older slots that are asked for and ours, so that they will be retired. All others are left alone."""
    return left_over(run.history, managed.terms, asked, latest_slot, run.ours())


async def retire_due(run: Run, managed: ManagedSecret, asked: Asked, latest_slot: str, readers: Readers) -> list[str]:
    """Retire every slot whose grace period is over (`rotation.engine.grace`), and unread; -> those slots.

    Callers asked `decision`, by which every follower is past them.
    """
    listed = await run.versions(managed.ref.name)
    known = run.history.versions()
    left = waiting(run, managed, asked, latest_slot)
    over = over_by_versions(run.history, listed, left, managed.promise_h, run.clock.now())
    by_force = run.request.force is Force.GRACE
    asked_for = frozenset() if by_force else over
    judged = await ask_and_judge(readers, managed, run.history, listed, asked_for, run.clock.now(), run.observer)
    run.remarks.extend(judged.said)
    due = [slot for slot in left if slot in judged.over or by_force]
    retired = []
    for slot in due:
        holders = [one.version for one in listed.items if one.enabled and known.get(one.version) == slot]
        try:
            await _retire(run, managed, asked, slot, latest_slot, holders, judged.noted.get(slot))
        except NotYet as not_yet:  # the provider ends it, and is not through: the next look comes back to it
            run.remarks.append(not_yet.message)
        else:
            retired.append(slot)
    return retired


async def _retire(
    run: Run,
    managed: ManagedSecret,
    asked: Asked,
    slot: str,
    latest_slot: str,
    versions: Sequence[str],
    detail: str | None = None,
) -> None:
    """`RETIRED` comes last: what is made here ends by nothing but the disabling of the versions that hold it."""
    operation = operation_id(managed.ref, managed.secret.version, f"retire {slot}")
    current = Credential(managed.secret.value, latest_slot)
    job = job_of(run, managed, current, operation, realm=asked.provider)
    acts = [run.about_to(AboutTo.RETIRE, operation, slot=slot)]
    acts += [run.about_to(AboutTo.DISABLE, operation, version=version, slot=slot) for version in versions]
    standby_version = None
    new = managed.rotator.standby(job, slot) if isinstance(managed.rotator, ParksPassword) else None
    if new is not None:
        # It is staged and recorded first: without it the next rotation could not log in to the slot.
        staged = run.history.staged_for(operation)
        value = await run.staged_value(staged) if staged else None
        if staged is None or value is None:
            note = await run.stage(operation, Draft(slot, new))
            await run.append(note, *acts)
            value, standby_version = new, note.staged_version
        else:
            standby_version = staged.version
        job = replace(job, standby=Credential(value, slot))
    await run.announce(*acts)
    try:
        with run.observer.step("retire"):
            await run.fence.provider_write(lambda: managed.rotator.retire(job, slot))
    except MovedElsewhere as moved:
        await run.give_up(managed.secret, operation, slot, moved.message)  # so that it is proven anew
        raise
    for version in versions:
        await run.disable(managed.ref.name, version)
    await run.append(run.note(Step.RETIRED, operation, slot=slot, detail=detail, unstages=standby_version))
    if standby_version is not None:
        await run.unstage(standby_version)


async def clean_up(run: Run, managed: ManagedSecret, asked: Asked, latest_slot: str) -> None:
    """Disable staged leftovers, and remove credentials at the provider that no version names.

    Only once the latest version is proven (the caller saw to that), and only what is older than any run can be.
    """
    limits = run.fence.limits
    oldest_run = timedelta(seconds=LEASE_S + limits.function_timeout)
    named = {staged.version for staged in run.history.staged()}  # others' versions are none of our business
    staged = await run.versions(companion(managed.ref.name))
    left = [
        one.version
        for one in staged.items
        if one.version in named and one.enabled and staged.read_at - one.created_on > oldest_run
    ]
    cleared = operation_id(managed.ref, managed.secret.version, "tidy")
    await run.announce(*(run.about_to(AboutTo.UNSTAGE, cleared, version=version) for version in left))
    for leftover in left:
        await run.unstage(leftover)
    if isinstance(managed.rotator, RemovesOrphans):
        operation = operation_id(managed.ref, managed.secret.version, "orphans")
        current = Credential(managed.secret.value, latest_slot)
        job = job_of(run, managed, current, operation, realm=asked.provider)
        known = frozenset(run.history.versions().values()) | {s.slot for s in run.history.staged() if s.slot}
        before = run.clock.now() - oldest_run
        orphans = managed.rotator.orphans(job, known, before, run.history.operations())
        with run.observer.step("orphans"):
            found = await within(limits.provider_call, "the provider", orphans)
        await run.announce(*(run.about_to(AboutTo.REMOVE, operation, slot=slot) for slot in found))
        for slot in found:
            with run.observer.step("retire"):
                await run.fence.provider_write(partial(managed.rotator.retire, job, slot))
            await run.append(run.note(Step.RETIRED, operation, slot=slot, detail="no version ever named it"))
