"""The quick slice, and that what it looks for would be found."""

import asyncio
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import strategies as st

from handlers import near_expiry
from rotation import policy, spec
from rotation.engine import engine
from rotation.errors import Unusable
from rotation.model import Force, RotationRequest
from rotation.policy import file as policy_file
from tests.proof.fuzz import formats, inputs, inside, whole
from tests.proof.fuzz.explore import explore
from tests.proof.fuzz.lane import coverage_guided
from tests.proof.fuzz.said import PLANTED, Heard


def test_bad_input_does_no_harm() -> None:
    found = inside.run(seed=2, share=0.05)
    assert [line for tally in found.values() for line in tally.broken] == []
    assert all(tally.inputs > 50 for tally in found.values())
    assert found["policies"].taken > 0
    assert found["values to be rotated"].taken > 0


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel here: use Linux on x86-64"
)
def test_formats_are_explored_by_coverage() -> None:
    tally = coverage_guided(seed=2, runs=3_000)
    assert tally.broken == []
    assert tally.inputs >= 3_000


def test_a_check_that_fails_is_told_with_its_input() -> None:
    def small(one: int) -> bool:
        assert one < 1000
        return True

    [told] = explore(small, st.integers(), 500, seed=1).broken
    assert "input: 1000" in told


def raises(*_arguments: Any, **_named: Any) -> Any:
    raise ValueError("a bug on purpose")


@pytest.mark.parametrize(
    ("where", "name", "look"),
    [
        (near_expiry, "checked_name", lambda: explore(inside._event, inputs.events, 300, 1)),
        (policy_file, "covered_administrators", lambda: explore(inside._policy, inputs.policies, 300, 1)),
        (spec._Asked, "number", lambda: explore(inside._tags, inputs.tags, 300, 1)),
    ],
)
def test_a_bug_on_purpose_is_noticed(
    where: Any, name: str, look: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, raises)
    assert look().broken != []


def test_a_refusal_that_shows_the_value_is_noticed() -> None:
    text = "jdbc:postgresql://db/orders?user=app&password=pw"
    assert formats.check(text, "jdbc")
    with pytest.raises(AssertionError):
        formats._told_well(Unusable(f"what is {text}?", field="value"), text)


def permits_everything(*_arguments: Any) -> bool:
    return True


def test_a_policy_that_permits_any_target_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "permitted", permits_everything)
    broken = explore(inside._claim, inputs.claims, 500, 1).broken
    assert "a target that no rule names is permitted" in "".join(broken)


def test_a_message_that_is_not_pinned_to_its_version_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = engine.Engine.handle

    def unpinned(self: engine.Engine, request: RotationRequest) -> Any:
        return real(self, replace(request, version=None, force=Force.GRACE, demanded=True))

    monkeypatch.setattr(engine.Engine, "handle", unpinned)
    with Heard() as heard, asyncio.Runner() as runner:
        broken = explore(whole.Messages(heard, runner).take, inputs.messages, 300, 1).broken
    assert "another version than the one that was meant" in "".join(broken)


def test_a_value_in_an_outcome_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.Engine, "handle", tells_it)
    with Heard() as heard, asyncio.Runner() as runner:
        broken = explore(whole.Values(heard, runner).take, inputs.values_and_tags, 50, 1).broken
    assert "a value is told" in "".join(broken)


async def tells_it(*_arguments: Any) -> Any:
    raise Unusable(f"what is {quote(PLANTED, safe='')}?", field="value")
