"""Asks refresh targets to take the version that was published last: the last thing in a run. It never fails a run.

The record that names the version lists who is asked (`owing`), and so does the one that says that followers will be
written (`rotation.engine.following`), once they are; what came of it is written after the calls. Each call
may be repeated, so a run that is killed anywhere, or an answer that is lost, means one call more. What fails is asked
again by a message in the queue, at longer and longer intervals, and by the sweep where there is no queue.
See docs/adr/0050-push-after-a-rotation.md.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from rotation.engine.dependencies import EngineDependencies
from rotation.engine.fence import within
from rotation.engine.run import Run
from rotation.errors import Gone, LeaseLost, RotationError, Unusable
from rotation.formats import read
from rotation.ledger.records import Record, Step
from rotation.ledger.refreshes import AT_MOST, WAITS, Owed
from rotation.model import Outcome, Reason, RotationRequest, SecretValue
from rotation.policy import RuleTerms
from rotation.reasons import Refreshed, RefreshState
from rotation.refresh_targets import RefreshOrder
from rotation.spec import format_of
from rotation.terms import PASSWORD, Refresh

LONGEST_S = 24 * 60 * 60  # a refresh target that wants to be left alone for longer is asked after a day
EARLY = timedelta(seconds=2)  # a message may come a little before its time: two clocks


def owing(terms: RuleTerms, record: Record) -> Record:
    """A record that names a published version, with the list of who will be asked to take it."""
    return replace(record, refresh=[one.name for one in terms.refresh]) if terms.refresh else record


class Refreshing:
    """Does what is owed, once a run has done the rest."""

    def __init__(self, dependencies: EngineDependencies) -> None:
        self._dependencies = dependencies

    async def after(self, run: Run, outcome: Outcome) -> Outcome:
        """The run's outcome, with what became of the refresh targets that were asked.

        Never raises: it is written down what failed, or else it is still owed at the next look.
        """
        owed = run.history.owed(run.followed.waits)
        now = self._dependencies.clock.now() + EARLY
        due = [] if owed is None else [name for name in owed.tries if now >= owed.due_at(name)]
        if owed is None or not due:
            return outcome
        if self._dependencies.stopping():
            await self._ask_again(run)
            return outcome
        tries = await asyncio.gather(*(self._ask(run, owed, name) for name in due))
        done = tuple(one for one, _ in tries if one is not None)
        if await self._record(run, owed, done):
            await self._ask_again(run, at_least=max(wait for _, wait in tries))
        failed = [one for one in done if one.detail]
        run.remarks.extend(f"{one.name}: {one.detail}" for one in failed)
        return replace(outcome, refreshed=done)

    async def _ask(self, run: Run, owed: Owed, name: str) -> tuple[Refreshed | None, int]:
        """One try, and for how many seconds the refresh target wants to be left alone.

        None: it was not made, since this run may do nothing any more.
        """
        refresh = self._dependencies.policy.refreshes(run.request.ref).get(name)
        if refresh is None:
            return Refreshed(name, RefreshState.DROPPED), 0
        try:
            await self._call(run, owed, refresh)
        except Exception as error:  # noqa: BLE001  whatever it is, the rotation is done and stays done
            cleaned = run.redactor.clean(error)
        else:
            return Refreshed(name, RefreshState.DONE), 0
        if isinstance(cleaned, LeaseLost):
            return None, 0
        over = isinstance(cleaned, Gone) or owed.tries[name] + 1 >= AT_MOST
        state = RefreshState.GIVEN_UP if over else RefreshState.FAILED
        return Refreshed(name, state, cleaned.message), 0 if over else cleaned.retry_after_s or 0

    async def _call(self, run: Run, owed: Owed, refresh: Refresh) -> None:
        secret, value = await self._secret(run, refresh), await self._value(run, owed, refresh)
        ref = run.request.ref
        order = RefreshOrder(refresh, ref, owed.version, owed.operation_id, owed.published_at, secret, value)
        refresher = self._dependencies.refresher(refresh.kind)
        with run.observer.step("refresh", owed.version):
            await run.fence.provider_write(lambda: refresher.refresh(order))

    async def _secret(self, run: Run, refresh: Refresh) -> SecretValue | None:
        """What signs, or logs in there; known to the redactor from here on."""
        if refresh.secret is None:
            return None
        name, secret = refresh.secret
        vault = self._dependencies.vaults.get(name)
        if vault is None:
            raise Unusable(f"the secret {name}/{secret} is in a vault that is not among ROTATION_VAULTS", field="vault")
        value = (await within(self._dependencies.limits.vault_call, "the vault", vault.get(secret))).value
        run.redactor.add(value)
        return value

    async def _value(self, run: Run, owed: Owed, refresh: Refresh) -> SecretValue | None:
        """What is written there; known to the redactor from here on.

        Of the newest version that the history names, as followers have it: what somebody else wrote since, and nobody
        proved, is written on to no one. That is the version that is owed, or one that was adopted after it.
        """
        if refresh.part is None:
            return None
        found = await run.read(next(iter(run.history.versions()), owed.version))
        if refresh.part != PASSWORD:
            return found.value
        try:
            password = read(found.value, format_of(found.tags)).password
        except Unusable as unusable:
            raise Unusable(
                f"its password can't be found in the value: {unusable.message}; or take `part` out of the policy",
                field="value",
            ) from None
        run.redactor.add(password)
        return password

    async def _record(self, run: Run, owed: Owed, done: Sequence[Refreshed]) -> bool:
        """False: it can't be written. Then the next look asks the same once more, and not a message a moment later.

        Else a ledger that takes no record would have refresh targets asked without end.
        """
        if not done:
            return True
        failed = "; ".join(f"{one.name}: {one.detail}" for one in done if one.detail)
        note = run.note(Step.STAGED, owed.operation_id, version=owed.version, detail=failed or None)
        try:
            await run.append(replace(note, refreshed={one.name: one.state.value for one in done}))
        except RotationError:
            return False
        return True

    async def _ask_again(self, run: Run, *, at_least: int = 0) -> None:
        left = run.history.owed(run.followed.waits)
        if left is None:
            return
        soonest = max(WAITS[0], timedelta(seconds=min(at_least, LONGEST_S)))
        wait = math.ceil(max(left.next_at - self._dependencies.clock.now(), soonest).total_seconds())
        request = RotationRequest(run.request.ref, left.version, Reason.REFRESH, run.request.actor)
        await self._dependencies.reminders.leave(request, wait)
