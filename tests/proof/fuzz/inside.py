"""Inputs by the ten thousand, straight into the code that reads them, around an engine whose parts live in memory."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

from app.messages import from_text
from handlers.near_expiry import message_of
from rotation.errors import RotationError, Unusable
from rotation.model import Endpoints, Secret, SecretRef, SecretValue
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.file import check as check_policy
from rotation.policy.known import known_names
from rotation.policy.targets import parse_target
from rotation.ports import RotatorDependencies
from rotation.rotators import ROTATORS
from rotation.spec import leader_of, next_tags, parse
from tests.fakes import FakeClock
from tests.proof.fuzz import inputs
from tests.proof.fuzz.explore import Tally, explore
from tests.proof.fuzz.said import Heard, told_well
from tests.proof.fuzz.whole import Messages, Values
from tests.proof.simulation.planes import Tokens
from tests.proof.simulation.setting import THURSDAY

VALUES = 2_000  # each is a whole rotation, and most others are a line of parsing
MESSAGES = 5_000
OTHERS = 6_000

CLOCK = FakeClock()
SERVICES = RotatorDependencies(Tokens(), Endpoints(), CLOCK.now, CLOCK.sleep, random.Random(1))
BUILT = {name: kind.build(SERVICES) for name, kind in ROTATORS.items()}
REF = SecretRef(inputs.VAULT, inputs.SECRET)
HELD = Secret(REF, "v1", SecretValue(""), {}, None, True, THURSDAY, None, THURSDAY)
TARGETS = tuple(parse_target(target) for target in inputs.PERMITTED)
PERMIT = RuleTerms(rule=1, slots=inputs.PERMITTED_SLOTS)
POLICY = Policy((Rule((inputs.VAULT,), ("*",), tuple(ROTATORS), PERMIT, TARGETS),))
# Written out, so that what decides in the app is not what judges here.
EXACTLY = {f"{inputs.HOST}:5432", f"{inputs.HOST}:6432", inputs.ACCOUNT, inputs.APPLICATION}


def run(seed: int, share: float = 1.0) -> dict[str, Tally]:
    """Each kind of input; `share` of as many as at length."""

    def part(number: int) -> int:
        return max(1, int(number * share))

    with Heard() as heard, asyncio.Runner() as runner:
        return {
            "tags": explore(_tags, inputs.tags, part(OTHERS), seed),
            "policies": explore(_policy, inputs.policies, part(OTHERS), seed),
            "events": explore(_event, inputs.events, part(OTHERS), seed),
            "claims on targets and slots": explore(_claim, inputs.claims, part(OTHERS), seed),
            "queue messages": explore(Messages(heard, runner).take, inputs.messages, part(MESSAGES), seed),
            "values to be rotated": explore(Values(heard, runner).take, inputs.values_and_tags, part(VALUES), seed),
        }


def _tags(tags: dict[str, str]) -> bool:
    try:
        spec = parse(tags)
        if spec is not None:
            following = next_tags(tags, slot="a", rotated_at=THURSDAY, rotated_from="v1")
            assert parse(following) is not None, "the next version would not be rotated"
    except Unusable as error:
        told_well(error)
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


def _claim(one: tuple[str, str, dict[str, str]]) -> bool:
    """Whatever value and tags say: what the policy then permits are the very targets and slots that it names."""
    name, text, tags = one
    secret = replace(HELD, value=SecretValue(text), tags=tags)
    try:
        spec = parse({**tags, "rotator": name})
        if spec is None:
            assert leader_of(tags) is not None, "a rotator's name is not understood"
            return False  # it follows another, and asks for nothing
        access = BUILT[name].requested_access(spec, secret)
        POLICY.terms_for(REF, spec, access)
    except RotationError as error:
        told_well(error)
        return False
    assert access.targets or not ROTATORS[name].targets, "nothing was asked for"
    assert {target.lower() for target in access.targets} <= EXACTLY, "a target that no rule names is permitted"
    # A user of Redis is what a rule lists, and both places of its passwords are slots.
    named = set(access.listed or access.slots)
    assert named <= set(inputs.PERMITTED_SLOTS), "a slot that no rule names is permitted"
    assert {slot.rpartition(":")[0] for slot in access.slots} <= named or not access.listed, "a slot of another user"
    return True
