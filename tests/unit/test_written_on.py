"""Refresh targets that a value is written to: which value, which part of it, and that it gets nowhere else."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from rotation.errors import Refused, RotationError, Unreachable
from rotation.ledger.records import Step
from rotation.model import Outcome, Result, SecretValue
from rotation.reasons import RefreshState
from rotation.terms import PASSWORD, WHOLE, Refresh
from tests.crash.test_killed_anywhere import quiet
from tests.fakes import parts, uri, value
from tests.following import FollowedWorld
from tests.unit.test_refreshing import HOOK, SITE, later, states, world_with
from tests.world import KINDS, NAME, REF, World

ROOT = Path(__file__).parents[2]
GITHUB = Refresh("github-secret", "shop/web", (("secret", "DB"),), ("kv", "hook-key"), WHOLE)
CONNECTION = Refresh("azure-devops-connection", "shop/web", (("connection", "5e47a0d8"),), None, WHOLE)
OF_PASSWORD = Refresh("github-secret", "shop/web", (("secret", "PW"),), ("kv", "hook-key"), PASSWORD)


def shown(world: World, *outcomes: Outcome) -> str:
    """All that a run leaves behind where people read it."""
    lines = [record.to_line() for record in world.ledger.records(REF)]
    return "".join([*lines, *map(repr, outcomes), *map(repr, world.refresh_targets.asked)])


@pytest.mark.parametrize("variant", KINDS)
async def test_the_new_versions_value_is_written_on_and_nobody_else_gets_one(variant: str) -> None:
    world = await world_with(SITE, HOOK, GITHUB, CONNECTION, variant=variant)
    outcome = await world.ask()
    assert set(states(outcome).values()) == {RefreshState.DONE}
    assert {order.refresh: order.value for order in world.refresh_targets.asked} == {
        SITE: None,
        HOOK: None,
        GITHUB: world.latest.value,
        CONNECTION: world.latest.value,
    }
    assert parts(world.latest.value)[1] not in shown(world, outcome)


async def with_urls(*refresh_targets: Refresh) -> FollowedWorld:
    """A world whose values are of a form that is read; no follower is in it."""
    world = FollowedWorld()
    await world.vault.set("hook-key", SecretValue("gh-t0ken-Zq81"), tags={})
    world.allow(followers=(), refresh=refresh_targets)
    return await world.start()


async def test_part_takes_the_password_out_of_the_value() -> None:
    world = await with_urls(OF_PASSWORD, GITHUB)
    outcome = await world.ask()
    password = parts(world.latest.value)[1]
    assert world.latest.value == uri("app", password)
    assert {order.refresh: order.value for order in world.refresh_targets.asked} == {
        OF_PASSWORD: SecretValue(password),
        GITHUB: world.latest.value,
    }
    assert password not in shown(world, outcome)


async def test_a_value_without_a_password_that_can_be_found_is_a_failed_try_that_says_so() -> None:
    world = await world_with(OF_PASSWORD)
    outcome = await world.ask()
    assert (outcome.result, states(outcome)) == (Result.ROTATED, {OF_PASSWORD.name: RefreshState.FAILED})
    assert "its password can't be found in the value: " in outcome.detail
    assert "take `part` out of the policy" in outcome.detail
    assert world.refresh_targets.asked == []


@pytest.mark.parametrize("refresh", [GITHUB, OF_PASSWORD], ids=lambda one: one.part)
async def test_an_error_that_repeats_the_value_is_scrubbed(refresh: Refresh) -> None:
    """Also in a run that has no other business with the value: the secret is no longer managed."""
    world = await with_urls(refresh)
    world.refresh_targets.wrong = Unreachable("down")
    await world.ask()
    world.refresh_targets.wrong = None
    await world.vault.set_tags(NAME, world.latest.version, {})

    async def repeats(when: str, _call: str, _name: str) -> None:
        if when == "before":
            whole = world.latest.value
            raise Refused(f"it got {whole.reveal() if refresh.part == WHOLE else parts(whole)[1]}")

    world.refresh_targets.hook = repeats
    outcome = await later(world)
    assert "it got [hidden]" in outcome.detail
    assert parts(world.latest.value)[1] not in shown(world, outcome)


async def test_what_somebody_wrote_since_and_nobody_proved_is_written_on_to_no_one() -> None:
    world = await world_with(GITHUB)
    world.refresh_targets.wrong = Unreachable("down")
    await world.ask()
    world.refresh_targets.wrong = None
    published = world.latest.value
    await world.write(value("app", "pl4nted-Qx7"), tags={})
    outcome = await later(world)
    assert (outcome.result, states(outcome)) == (Result.TAGS_LOST, {GITHUB.name: RefreshState.DONE})
    assert [order.value for order in world.refresh_targets.asked] == [published]


async def test_a_version_that_was_adopted_since_is_written_on_in_place_of_the_one_that_is_dead() -> None:
    world = await world_with(GITHUB)
    world.refresh_targets.wrong = Unreachable("down")
    await world.ask()
    world.refresh_targets.wrong = None
    world.server.passwords["app"] = "h4nd-wr1tten-Qx"
    lives = world.time.now() + timedelta(days=80)
    adopted = await world.vault.set(NAME, value("app", "h4nd-wr1tten-Qx"), tags=world.tags, expires_on=lives)
    await later(world)
    assert Step.ADOPTED in [record.step for record in world.ledger.records(REF)]
    assert world.latest.version == adopted.version
    assert [order.value for order in world.refresh_targets.asked] == [adopted.value]


async def test_a_value_that_can_not_be_read_is_a_failed_try_and_the_next_one_writes_it() -> None:
    world = await world_with(GITHUB)

    async def no_reads(when: str, call: str, _name: str) -> None:
        records = world.ledger.records(REF)
        if (when, call) == ("before", "get") and records and records[-1].step is Step.ROTATED:
            raise Unreachable("the vault does not answer")

    world.vault.hook = no_reads
    outcome = await world.ask()
    assert (outcome.result, states(outcome)) == (Result.ROTATED, {GITHUB.name: RefreshState.FAILED})
    world.vault.hook = quiet
    await later(world)
    assert [order.value for order in world.refresh_targets.asked] == [world.latest.value]


async def test_a_repair_is_written_on_as_well() -> None:
    world = await world_with(GITHUB, variant="overlapping")
    await world.ask()
    await world.write(value("k1", "typo"))
    outcome = await world.ask("sweep")
    assert outcome.result is Result.REPAIRED
    assert world.refresh_targets.asked[-1].value == world.latest.value != value("k1", "typo")


async def test_a_value_of_a_run_that_fails_is_written_nowhere() -> None:
    world = await world_with(GITHUB)
    world.server.down = True
    with pytest.raises(RotationError):
        await world.ask()
    assert world.refresh_targets.asked == []


def test_who_writes_nothing_on_loads_no_library_for_it() -> None:
    """The policy and the wiring know the kinds; a cold start pays for none of them."""
    program = "import sys, app.wiring, rotation.policy.refreshes; print('nacl' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"
