"""What ends an old credential's life: retirement after the grace period, and the clearing of leftovers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from rotation.capabilities import ParksPassword, RemovesOrphans
from rotation.engine.fence import within
from rotation.engine.grace import left_over, over_at, over_by_ledger
from rotation.engine.jobs import job_of
from rotation.engine.managed_secret import ManagedSecret, operation_id
from rotation.engine.run import Run
from rotation.errors import MovedElsewhere
from rotation.ledger.asked import Asked
from rotation.ledger.records import AboutTo, Step
from rotation.model import Credential, Draft, Force, Versions
from rotation.ports import LEASE_S
from rotation.spec import companion


def waiting(run: Run, managed: ManagedSecret, asked: Asked, latest_slot: str) -> list[str]:
    """Older slots that are asked for and ours, so that they will be retired. All others are left alone."""
    return left_over(run.history, managed.terms, asked, latest_slot, run.ours())


async def retire_due(run: Run, managed: ManagedSecret, asked: Asked, latest_slot: str) -> list[str]:
    """Retire every slot whose grace period is over; -> those slots.

    Grace counts from when a version that holds the slot was superseded, by the vault's own clock (the successor's
    creation against the Date of the answer that listed it), and is over when it is for every such version: each was
    promised its own, and later tags only lengthen it.
    """
    listed = await run.versions(managed.ref.name)
    known = run.history.versions()
    retired: list[str] = []
    for slot in waiting(run, managed, asked, latest_slot):
        holders = [place for place, version in enumerate(listed.items) if known.get(version.version) == slot]
        # Followers come here: a slot lives on until each of them is past it.
        over = all(listed.read_at >= _over_at(run, managed, listed, place) for place in holders)
        if not holders:  # deleted with the secret: whoever read one was promised its grace all the same
            over = run.clock.now() >= over_by_ledger(run.history, slot, managed.promise_h)
        if not over and run.request.force is not Force.GRACE:
            continue
        enabled = [listed.items[place].version for place in holders if listed.items[place].enabled]
        await _retire(run, managed, asked, slot, latest_slot, enabled)
        retired.append(slot)
    return retired


def _over_at(run: Run, managed: ManagedSecret, listed: Versions, place: int) -> datetime:
    """When nobody was promised the version at this place any more."""
    superseded_at = listed.items[max(place - 1, 0)].created_on
    return over_at(run.history, listed.items[place].version, superseded_at, managed.promise_h)


async def _retire(
    run: Run, managed: ManagedSecret, asked: Asked, slot: str, latest_slot: str, versions: Sequence[str]
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
    await run.append(run.note(Step.RETIRED, operation, slot=slot, unstages=standby_version))
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
