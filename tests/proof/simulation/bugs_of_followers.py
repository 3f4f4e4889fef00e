"""Bugs on purpose, of the rules about followers: see `bugs.py`."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from rotation.engine import ownership
from rotation.engine.decision import Looked
from rotation.engine.followers import Followers
from rotation.engine.following import Following
from rotation.engine.lead import Followed, Follower, Lead
from rotation.engine.run import Run
from rotation.engine.sweep import Sweeper
from rotation.errors import Redactor, Unusable
from rotation.ledger.history import History
from rotation.ledger.records import AboutTo, Record
from rotation.model import Secret, SecretValue
from rotation.policy import Policy
from tests.proof.simulation.bugs import bug


@bug("followers written from a version that the ledger does not name", seed=111)
def _() -> AbstractContextManager[Any]:
    async def source(_self: Followers, secret: Secret, _history: History, _redactor: Redactor) -> Secret:
        return secret

    return patch.object(Followers, "_source", source)


@bug("followers given the old login while a change in place is open", seed=759)
def _() -> AbstractContextManager[Any]:
    whole = Followers._source

    async def source(self: Followers, secret: Secret, history: History, redactor: Redactor) -> Secret | None:
        closed = History([record for record in history._records if record.step != "applying"])
        return await whole(self, secret, closed, redactor)

    return patch.object(Followers, "_source", source)


@bug("followers not looked at before a message is found to be superseded", seed=759)
def _() -> AbstractContextManager[Any]:
    whole = Following.keep_up

    async def keep_up(self: Following, run: Run, secret: Secret | None = None) -> None:
        if secret is not None and run.request.version in {None, secret.version}:
            await whole(self, run, secret)

    return patch.object(Following, "keep_up", keep_up)


@bug("a follower that has the leader's latest login already is written back", seed=855)
def _() -> AbstractContextManager[Any]:
    whole = Followed.behind

    def behind(self: Followed) -> list[Follower]:
        self.spare = None
        return whole(self)

    return patch.object(Followed, "behind", behind)


def _seen(**nothing: Any) -> AbstractContextManager[Any]:
    whole = Followed.seen

    def seen(self: Followed, looked: Looked, grace: timedelta, now: Any) -> Looked:
        return replace(whole(self, looked, grace, now), **nothing)

    return patch.object(Followed, "seen", seen)


@bug("an old slot retired before every follower is past it", seed=351)
def _() -> AbstractContextManager[Any]:
    return _seen(not_past=())


@bug("no grace for the readers of a follower", seed=351)
def _() -> AbstractContextManager[Any]:
    return patch.object(Follower, "is_past", lambda self, lead, _grace: self.has(lead))


@bug("a change in place though a follower can't be written", seed=63)
@contextlib.contextmanager
def _() -> Iterator[None]:
    async def ready(*_given: Any, **_more: Any) -> None:
        return

    with _seen(blocked=None), patch.object(Following, "ready", ready):
        yield


@bug("what was begun waits for a follower", seed=207)
def _() -> AbstractContextManager[Any]:
    whole = Following.ready

    async def ready(self: Following, run: Run, *given: Any, **more: Any) -> None:
        run.followed.urgent = False
        await whole(self, run, *given, **more)

    return patch.object(Following, "ready", ready)


@bug("followers written without the fence", seed=375)
def _() -> AbstractContextManager[Any]:
    async def write_one(self: Following, run: Run, follower: Follower, lead: Lead) -> Secret:
        assert follower.secret is not None
        value = follower.with_login_of(lead)
        run.redactor.add(value)
        return await self._dependencies.vaults[follower.ref.vault].set(
            follower.ref.name, value, tags=follower.secret.tags, expires_on=lead.expires_on
        )

    return patch.object(Following, "_write_one", write_one)


@bug("followers written without a record", seed=87)
def _() -> AbstractContextManager[Any]:
    whole = Run.announce

    async def announce(self: Run, *acts: Record) -> None:
        await whole(self, *(act for act in acts if act.about_to != AboutTo.FOLLOW))

    return patch.object(Run, "announce", announce)


@bug("the sweep looks at no follower", seed=519)
def _() -> AbstractContextManager[Any]:
    return patch.object(Sweeper, "_leads", lambda *_all: False)


@bug("a follower's hosts not held against its leader's", seed=831)
def _() -> AbstractContextManager[Any]:
    def with_login_of(self: Follower, lead: Lead) -> SecretValue:
        if self.value is None:
            raise Unusable("it can't be read", field="value")
        return self.value.with_login(lead.password, lead.user)

    return patch.object(Follower, "with_login_of", with_login_of)


@bug("a secret that says that it follows is believed", seed=303)
def _() -> AbstractContextManager[Any]:
    return patch.object(Policy, "lets_follow", lambda *_all: True)


@bug("a former owner that follows holds its leader up", seed=135)
def _() -> AbstractContextManager[Any]:
    return patch.object(ownership, "follows", lambda *_all: False)
