"""Inputs by the ten thousand, straight into the code that reads them, around an engine whose parts live in memory."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

from hypothesis import strategies as st

from handlers.messages import from_text
from handlers.near_expiry import message_of
from handlers.rotate import rotate
from rotation.errors import RotationError, Unexpected, Unusable
from rotation.model import Outcome, RotationRequest, SecretValue
from rotation.policy_check import known_names
from rotation.policy_file import check as check_policy
from rotation.spec import LONGEST_TAG, MOST_TAGS, next_tags, parse
from tests.fuzz import inputs
from tests.fuzz.explore import Tally, explore
from tests.simulation.setting import REF, THURSDAY, Setting
from tests.world import World

VALUES = 1_500  # each is a whole rotation, and the others are a line of parsing
OTHERS = 8_000


def run(seed: int, share: float = 1.0) -> dict[str, Tally]:
    """Each kind of input; `share` of as many as at length."""
    few, many = max(1, int(VALUES * share)), max(1, int(OTHERS * share))
    with Heard() as heard, asyncio.Runner() as runner:
        return {
            "tags": explore(_tags, inputs.tags, many, seed),
            "policies": explore(_policy, inputs.policies, many, seed),
            "events": explore(_event, inputs.events, many, seed),
            "messages": explore(_Engine(heard, runner).take, inputs.messages, many, seed),
            "values": explore(_value(heard, runner), st.tuples(inputs.connections, inputs.tags), few, seed),
        }


class Heard(logging.Handler):
    """All that is logged while it lasts."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert record.exc_info is None, "a stack trace is logged"
        self.lines.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("keyturn").addHandler(self)
        return self

    def __exit__(self, *_error: object) -> None:
        logging.getLogger("keyturn").removeHandler(self)

    def taken(self) -> str:
        """What was heard since it was asked last."""
        text = "\n".join(self.lines)
        self.lines.clear()
        return text


def _one_line(error: RotationError) -> None:
    assert not isinstance(error, Unexpected), f"a fault of ours: {error.message}"
    assert error.message, "no word on what is wrong"
    assert "\n" not in error.message, "more than one line"


def _tags(tags: dict[str, str]) -> bool:
    try:
        spec = parse(tags)
        if spec is not None:
            following = next_tags(tags, slot="a", rotated_at=THURSDAY, rotated_from="v1")
            assert parse(following) is not None, "the next version would not be rotated"
    except Unusable as error:
        _one_line(error)
        assert error.field, "the tag is not named"
        return False
    return spec is not None


def _policy(text: str) -> bool:
    _, findings = check_policy(text, known_names())
    for one in findings:
        assert 1 <= one.line <= text.count("\n") + 1, "a line that is not there"
        assert one.message, "no word on what is wrong"
        assert "\n" not in one.message, "more than one line"
    return not findings


def _event(event: tuple[Any, Any]) -> bool:
    text = message_of(*event, {inputs.VAULT})
    if text is None:
        return False
    request = from_text(text)
    assert request.ref.vault == inputs.VAULT, "another vault"
    assert request.version, "not pinned"
    assert not request.demanded, "an event demands nothing"
    return True


class _Engine:
    """A vault with one secret, which no message may change: none is pinned to its version, or none is due."""

    def __init__(self, heard: Heard, runner: asyncio.Runner) -> None:
        self._heard = heard
        self._runner = runner
        self._world = World("in-place")
        self._runner.run(self._world.start())
        # Due in a year, so that only a demand could rotate it; and a demand comes from an operator alone.
        self._before = self._state()
        self._app: Any = SimpleNamespace(engine=SimpleNamespace(handle=self._handle), notifier=self, delay=self)
        self._told: list[str] = []

    async def _handle(self, request: RotationRequest) -> Outcome:
        if request.version is None or request.demanded:
            raise Unusable("what an operator's call alone asks for is left out here", field="version")
        return await self._world.engine.handle(request)

    async def tell(self, outcome: Outcome) -> None:
        self._told.append(repr(outcome))

    async def put_back(self, request: RotationRequest, _seconds: int) -> None:
        self._told.append(repr(request))

    def take(self, message: str) -> bool:
        try:
            self._runner.run(rotate(self._app, message))
        except RotationError as error:
            assert error.transient, "a message that can never work comes back"
            _one_line(error)
        assert self._state() == self._before, "something changed"
        said = self._heard.taken() + "".join(self._told)
        assert self._world.latest.value.reveal() not in said, "a value is told"
        taken = bool(self._told)
        self._told.clear()
        return taken

    def _state(self) -> tuple[object, ...]:
        return tuple(one.version for one in self._world.vault.all("orders-db")), dict(self._world.server.passwords)


def _value(heard: Heard, runner: asyncio.Runner) -> Callable[[tuple[str, dict[str, str]]], bool]:
    """A secret with any value and any tags, and an operator who has it rotated by the app's own PostgreSQL rotator."""

    async def ask(text: str, asked: dict[str, str]) -> tuple[bool, str]:
        world = Setting("postgres", random.Random(1), THURSDAY - THURSDAY, None, lambda _staged: None)
        with world.provider.simulated():
            await world.start()
            held = world.latest
            fitting = {name: told for name, told in asked.items() if max(len(name), len(told)) <= LONGEST_TAG}
            tags = list({**world.tags, **fitting}.items())[:MOST_TAGS]  # as many as a vault takes
            await world.write(SecretValue(text), dict(tags))
            before = len(world.versions)
            try:
                outcome = await world.engine.handle(RotationRequest(REF, None, "operator", "fuzz", demanded=True))
                told, changed = repr(outcome), outcome.version not in {None, world.versions[before - 1].version}
            except RotationError as error:
                _one_line(error)
                told, changed = f"{error.message} {error.field}", False
            assert changed or world.works(held), "what worked does no longer"
            assert not changed or world.works(world.latest), "what was published does not work"
        return changed, told

    def check(one: tuple[str, dict[str, str]]) -> bool:
        text = one[0]
        changed, told = runner.run(ask(*one))
        said = told + heard.taken()
        assert len(text) < len("a longer text can't be there by chance") or text not in said, "the value is told"
        return changed

    return check
