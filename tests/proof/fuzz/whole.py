"""Inputs that reach the engine: queue messages; values and tags of a secret that somebody has rotated."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from app.messages import from_text
from app.notifier import Notifier
from app.shutdown import Shutdown
from handlers.rotate import rotate
from rotation.errors import RotationError
from rotation.formats import read
from rotation.model import Outcome, Reason, RotationRequest, Secret, SecretRef, SecretValue
from rotation.ports import Ledger
from rotation.spec import LONGEST_TAG, MAX_TAGS
from tests import world
from tests.fakes import value
from tests.proof.fuzz import inputs
from tests.proof.fuzz.said import PLANTED, Heard, tells_none, told_well
from tests.proof.simulation import setting
from tests.proof.simulation.providers import value as connection
from tests.proof.simulation.setting import THURSDAY, Setting

LONG = 40  # a shorter text of the fuzzing's own could stand in an error by chance


class Messages:
    """The queue's trigger over one vault with one secret that is due. Whatever a message says: only one that is pinned
    to the latest version, or to none, may change something, and then what is published works."""

    def __init__(self, heard: Heard, runner: asyncio.Runner) -> None:
        self._heard = heard
        self._runner = runner
        nobody: Any = SimpleNamespace()  # asked for no token, since there is no topic
        self._notifier = Notifier(None, nobody)
        self._told: list[str] = []
        self._world = runner.run(self._fresh())

    async def _fresh(self) -> world.World:
        made = world.World("in-place")
        await made.start()
        made.server.passwords["app"] = PLANTED
        await made.write(value("app", PLANTED))
        return made

    async def tell(self, outcome: Outcome) -> None:
        self._told.append(repr(outcome))
        await self._notifier.tell(outcome)

    async def put_back(self, request: RotationRequest, _seconds: int) -> None:
        self._told.append(repr(request))

    def take(self, message: str) -> bool:
        """-> whether it was a rotation request."""
        before, held = self._state(), self._world.latest
        text = message.replace(inputs.LATEST, held.version)
        app: Any = SimpleNamespace(engine=self._world.engine, notifier=self, request_queue=self, shutdown=Shutdown())
        try:
            self._runner.run(rotate(app, text))
        except RotationError as error:
            assert error.transient, "a message that can never work comes back"
            told_well(error)
        said = self._heard.taken() + "".join(self._told)
        said += self._runner.run(_ledger(self._world.ledger, world.REF))
        tells_none((PLANTED, held.value.reveal(), self._world.latest.value.reveal()), said)
        taken = bool(self._told)
        self._told.clear()
        if self._state() != before:
            assert from_text(text).version in {None, held.version}, "another version than the one that was meant"
            assert self._world.works(self._world.latest), "what was published does not work"
            self._world = self._runner.run(self._fresh())
        return taken

    def _state(self) -> tuple[object, ...]:
        versions = tuple(one.version for one in self._world.vault.all(world.NAME))
        return versions, dict(self._world.server.passwords)


class Values:
    """A secret with any value and any tags, and an operator who has it rotated by the app's own PostgreSQL rotators."""

    def __init__(self, heard: Heard, runner: asyncio.Runner) -> None:
        self._heard = heard
        self._runner = runner

    def take(self, one: tuple[str, str, dict[str, str]]) -> bool:
        """-> whether it was rotated, or repaired."""
        return self._runner.run(self._ask(*one))

    async def _ask(self, kind: str, text: str, asked: dict[str, str]) -> bool:
        place = Setting(kind, random.Random(1), timedelta(), None, lambda _staged: None)
        provider: Any = place.provider
        with provider.simulated():
            await place.start()
            role = provider.slot(place.latest)
            provider.passwords[role] = PLANTED
            held = connection(role, PLANTED)
            await place.vault.set(setting.NAME, held, tags=place.tags, expires_on=THURSDAY + timedelta(days=10))
            fitting = {name: told for name, told in asked.items() if max(len(name), len(told)) <= LONGEST_TAG}
            tags = dict(list({**place.tags, **fitting}.items())[:MAX_TAGS])  # as many as a vault takes
            await place.write(SecretValue(text), tags)
            written = place.latest
            request = RotationRequest(setting.REF, None, Reason.OPERATOR, "fuzz", demanded=True)
            try:
                told = repr(await place.engine.handle(request))
            except RotationError as error:
                told = told_well(error)
            changed = place.latest.version != written.version
            if changed:
                assert _works(provider, place.latest), "what was published does not work"
            else:
                assert provider.passwords[role] == PLANTED, "what worked does no longer"
            told += await _ledger(place.ledger, setting.REF) + self._heard.taken()
        values = {one.value.reveal() for one in (*place.versions, *place.staged)}
        tells_none({PLANTED, *values} - ({text} if len(text) < LONG else set()), told)
        return changed


def _works(provider: Any, secret: Secret) -> bool:
    """As a consumer reads it, in whatever format it is; blanks around a tag mean nothing."""
    found = read(secret.value, secret.tags.get("format", "").strip() or None)
    return found.user is not None and provider.passwords.get(found.user) == found.password.reveal()


async def _ledger(ledger: Ledger, ref: SecretRef) -> str:
    """Its lines, which a file can keep."""
    return b"".join(record.to_line().encode() for record in await ledger.read(ref)).decode()
