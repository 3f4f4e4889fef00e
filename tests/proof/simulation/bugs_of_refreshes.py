"""Bugs on purpose, of the rules about refresh targets: see `bugs.py`."""

import contextlib
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

from rotation.engine import change, decision, following, refreshing, sweep
from rotation.engine.lead import Followed
from rotation.engine.refreshing import Refreshing
from rotation.engine.run import Run
from rotation.errors import Refused
from rotation.ledger import refreshes
from rotation.ledger.history import History
from rotation.ledger.records import Record, Step
from rotation.model import Outcome, SecretRef
from rotation.policy import Policy
from rotation.reasons import RefreshState
from rotation.terms import Refresh
from tests.proof.simulation.bugs import bug


@bug("who is to be asked is not in the record of the version", seed=0)
def _() -> AbstractContextManager[Any]:
    return patch.object(change, "owing", lambda _terms, record: record)


@bug("asked to take a version that is not proven", seed=256)
def _() -> AbstractContextManager[Any]:
    return patch.object(refreshes, "PROVES", frozenset(Step))


@bug("who was taken out of the rule is asked all the same", seed=1188)
def _() -> AbstractContextManager[Any]:
    whole = Policy.refreshes
    in_story: WeakKeyDictionary[AbstractEventLoop, dict[str, Refresh]] = (
        WeakKeyDictionary()
    )  # each has a loop of its own

    def refreshes_of(self: Policy, ref: SecretRef) -> dict[str, Refresh]:
        remembered = in_story.setdefault(get_running_loop(), {})
        remembered.update(whole(self, ref))
        return dict(remembered)

    return patch.object(Policy, "refreshes", refreshes_of)


@bug("who is in the rule of another secret is asked", seed=1034)
def _() -> AbstractContextManager[Any]:
    def refreshes_of(self: Policy, _ref: SecretRef) -> dict[str, Refresh]:
        return {one.name: one for rule in self.rules for one in rule.terms.refresh}

    return patch.object(Policy, "refreshes", refreshes_of)


@bug("a refresh target that is down fails the rotation", seed=0)
def _() -> AbstractContextManager[Any]:
    whole = Refreshing.after

    async def after(self: Refreshing, run: Run, outcome: Outcome) -> Outcome:
        found = await whole(self, run, outcome)
        for one in found.refreshed:
            if one.state is RefreshState.FAILED:
                raise Refused(one.detail)
        return found

    return patch.object(Refreshing, "after", after)


@bug("what a killed run left behind is not asked", seed=190)
def _() -> AbstractContextManager[Any]:
    whole = Refreshing.after

    async def after(self: Refreshing, run: Run, outcome: Outcome) -> Outcome:
        began = run.clock.monotonic() - run._started
        first = run.history.owed()
        ours = first is not None and (run.clock.now() - first.published_at).total_seconds() <= began
        tried = first is not None and any(first.tries.values())
        return await whole(self, run, outcome) if ours or tried else outcome

    return patch.object(Refreshing, "after", after)


@bug("the sweep looks at nothing that is owed to refresh targets", seed=68)
@contextlib.contextmanager
def _() -> Iterator[None]:
    look, asks = decision.next_look, decision.sweep_asks

    def without(history: History) -> History:
        return History([replace(one, refresh=None) for one in history._records])

    with (
        patch.object(sweep, "next_look", lambda history, *more: look(without(history), *more)),
        patch.object(
            sweep,
            "sweep_asks",
            lambda request, secret, spec, terms, history, *more: asks(
                request, secret, spec, terms, without(history), *more
            ),
        ),
    ):
        yield


@bug("never given up", seed=22)
def _() -> AbstractContextManager[Any]:
    return patch.object(refreshing, "AT_MOST", 10_000)


@bug("given up at the first refusal", seed=0)
def _() -> AbstractContextManager[Any]:
    return patch.object(refreshing, "AT_MOST", 1)


@bug("given up, and no outcome says so", seed=22)
def _() -> AbstractContextManager[Any]:
    whole = Refreshing.after

    async def after(self: Refreshing, run: Run, outcome: Outcome) -> Outcome:
        found = await whole(self, run, outcome)
        return replace(found, refreshed=tuple(one for one in found.refreshed if one.state is not RefreshState.GIVEN_UP))

    return patch.object(Refreshing, "after", after)


@bug("asked again at each look, whatever time has passed", seed=0)
def _() -> AbstractContextManager[Any]:
    return patch.object(refreshes.Owed, "due_at", lambda self, name: self.since[name])


@bug("what came of it is not written down", seed=0)
def _() -> AbstractContextManager[Any]:
    async def record(*_all: Any) -> bool:
        return False  # else a message would come for ever

    return patch.object(Refreshing, "_record", record)


@bug("a follower that is written later asks nobody again", seed=87)
def _() -> AbstractContextManager[Any]:
    whole = following._about_to_write

    def about_to_write(*given: Any) -> Record:
        return replace(whole(*given), refresh=None)

    return patch.object(following, "_about_to_write", about_to_write)


@bug("asked for the sake of a follower that could not be written", seed=231)
def _() -> AbstractContextManager[Any]:
    return patch.object(Followed, "waits", lambda _self, _replaced: False)
