"""Which failures of a run go into its history, and how often."""

from __future__ import annotations

from rotation.engine.change import PublishedUnproven
from rotation.engine.managed_secret import operation_id
from rotation.engine.run import Run
from rotation.errors import Busy, LeaseLost, Overtaken, RotationError, Stopping, Throttled
from rotation.ledger.history import REPEATED
from rotation.ledger.records import Step


async def record_failure(run: Run, error: RotationError) -> None:
    """Write down that a run failed. error: cleaned of every value. Never raises: the failure itself is to be heard of.

    Without the lease nothing may be written; after an unproven publication the missing final record is the sign.
    A full vault or another run's turn is no failure: the wish comes back, and what was begun is in the history.
    """
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
        return
