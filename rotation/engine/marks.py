"""A change that a provider goes on with after the run that began it (`errors.UnderWay`).

No run waits for it: it ends as deferred, and the history keeps the mark by which the next one sees that it is done.
"""

from __future__ import annotations

from dataclasses import replace

from rotation.engine.run import Run
from rotation.errors import UnderWay
from rotation.ledger.records import Step
from rotation.model import Draft


def with_mark(run: Run, draft: Draft, operation: str) -> Draft:
    """The draft, with the mark that an earlier run of the operation left for its slot, if one did."""
    left = run.history.marked(operation, draft.slot)
    return draft if left is None else replace(draft, mark=left.mark, since=left.at)


async def leave_mark(
    run: Run, under_way: UnderWay, draft: Draft, operation: str, previous_version: str, grace_hours: int
) -> None:
    """Write the mark down, unless it is there already: its time is when the change was begun last."""
    if under_way.mark is not None and (under_way.begun or under_way.mark != draft.mark):
        note = run.note(
            Step.APPLYING, operation, previous_version=previous_version, slot=draft.slot, grace_hours=grace_hours
        )
        await run.append(replace(note, mark=under_way.mark))
