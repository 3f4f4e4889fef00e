"""The order of the steps, seen from outside: what a request comes to."""

from datetime import timedelta

import pytest

from rotation.errors import Busy, Denied, NotFound, Rejected, RotationError, Unreachable, Unusable
from rotation.ledger.records import Step
from rotation.model import Force, Reason, Result, RotationRequest, SecretRef, SecretValue
from tests.fakes import value
from tests.world import KINDS, NAME, REF, World


@pytest.mark.parametrize("variant", KINDS)
async def test_a_due_secret_is_rotated_and_the_new_version_works(variant: str) -> None:
    world = await World(variant).start()
    before = world.latest
    outcome = await world.ask()
    assert outcome.result is Result.ROTATED
    assert (outcome.previous_version, outcome.version) == (before.version, world.latest.version)
    assert world.works(world.latest)
    assert world.latest.expires_on == outcome.expires_on
    assert world.latest.tags["rotated-from"] == before.version
    assert len(world.server.changes) == 1
    assert not world.staged_enabled()


async def test_every_step_of_what_a_caller_asked_for_names_him_and_his_id() -> None:
    world = await World().start()
    await world.engine.handle(RotationRequest(REF, None, Reason.OPERATOR, "Ada", demanded=True, actor_id="0f8fad5b"))
    asked = await world.ledger.read(REF)
    assert {(record.actor, record.actor_id) for record in asked} == {("Ada", "0f8fad5b")}
    assert Step.ROTATED in {record.step for record in asked}
    world.time.moment += timedelta(days=400)
    await world.ask()
    later = (await world.ledger.read(REF))[len(asked) :]
    assert {(record.actor, record.actor_id) for record in later} == {("test", None)}
    assert all("actor_id" not in record.to_line() for record in later)


async def test_a_hint_for_a_version_that_is_no_longer_the_latest_is_superseded() -> None:
    world = await World().start()
    old = world.latest.version
    await world.ask()
    assert (await world.ask(version=old)).result is Result.SUPERSEDED
    assert len(world.server.changes) == 1


async def test_a_secret_that_is_not_due_is_left_alone() -> None:
    world = await World().start()
    await world.ask()
    assert (await world.ask()).result is Result.NOT_DUE
    assert len(world.server.changes) == 1


async def test_a_near_expiry_event_counts_a_day_early() -> None:
    world = await World().start()
    await world.ask()
    assert world.latest.expires_on is not None
    world.time.moment = world.latest.expires_on - timedelta(days=30, hours=20)
    assert (await world.ask()).result is Result.NOT_DUE
    assert (await world.ask(early=True)).result is Result.ROTATED


async def test_a_short_life_does_not_loop_on_the_event_it_raises_at_once() -> None:
    world = World()
    world.tags |= {"validity-days": "7"}
    await world.start()
    await world.ask(demanded=True)
    assert (await world.ask(early=True)).result is Result.NOT_DUE


async def test_an_unmanaged_secret_leaves_no_trace_in_the_ledger() -> None:
    world = World()
    world.tags = {"team": "x"}
    await world.start()
    assert (await world.ask()).result is Result.UNMANAGED
    assert [entry async for entry in world.ledger.entries("kv")] == []


async def test_a_secret_whose_lease_is_held_is_busy() -> None:
    world = await World().start()
    assert await world.ledger.acquire(REF, create=True) is not None
    with pytest.raises(Busy) as busy:
        await world.ask()
    assert busy.value.retry_after_s == 60


async def test_what_the_policy_does_not_permit_is_denied_and_nothing_is_changed() -> None:
    world = World()
    world.tags |= {"validity-days": "400"}
    await world.start()
    with pytest.raises(Denied):
        await world.ask()
    assert world.server.changes == []
    assert [call for call, _ in world.vault.calls if call == "set"] == ["set", "set"]


async def test_sixteen_tags_are_refused_before_anything_changes() -> None:
    world = World()
    world.tags |= {f"t{n}": "x" for n in range(10)}
    await world.start()
    with pytest.raises(Unusable, match="tags"):
        await world.ask()
    assert world.server.changes == []


async def test_a_vault_that_is_not_listed_is_not_found() -> None:
    world = await World().start()
    with pytest.raises(NotFound, match="ROTATION_VAULTS"):
        await world.engine.handle(RotationRequest(SecretRef("evil", NAME), None, Reason.OPERATOR, "x"))


async def test_the_other_role_is_deferred_until_the_grace_of_the_old_one_is_over() -> None:
    world = await World("alternating").start()
    await world.ask()
    assert (await world.ask("operator", demanded=True)).result is Result.DEFERRED
    assert (await world.ask("operator", demanded=True, force=Force.YES)).result is Result.DEFERRED
    world.time.ahead(hours=73)
    assert (await world.ask("sweep")).result is Result.RETIRED
    assert world.server.passwords["a"] != "first"
    assert (await world.ask("operator", demanded=True)).result is Result.ROTATED
    assert world.works(world.latest)


async def test_force_grace_rotates_over_slow_consumers() -> None:
    world = await World("alternating").start()
    await world.ask()
    assert (await world.ask("operator", demanded=True, force=Force.GRACE)).result is Result.ROTATED
    assert world.works(world.latest)


async def test_a_password_changed_by_hand_is_set_anew_by_the_administrator() -> None:
    world = await World("in-place+admin").start()
    await world.ask()
    world.server.passwords["app"] = "by hand"
    world.time.ahead(hours=25)
    outcome = await world.ask("sweep")
    assert outcome.result is Result.REPAIRED
    assert world.works(world.latest)


async def test_without_an_administrator_nothing_is_changed_and_the_answer_of_the_rotator_is_recorded() -> None:
    world = await World().start()
    await world.ask()
    world.server.passwords["app"] = "by hand"
    world.time.ahead(hours=25)
    changes = list(world.server.changes)
    with pytest.raises(Rejected) as refused:
        await world.ask("sweep")
    last = (await world.ledger.read(REF))[-1]
    assert last.step is Step.FAILED
    assert last.detail is not None
    assert refused.value.message in last.detail
    assert world.server.changes == changes


async def test_a_version_written_by_hand_that_does_not_work_is_repaired_by_the_sweep() -> None:
    world = await World().start()
    await world.ask()
    await world.write(value("app", "typo"))
    outcome = await world.ask("sweep")
    assert outcome.result is Result.REPAIRED
    assert world.works(world.latest)
    assert (await world.ask("sweep")).result is Result.ROTATED, "a repaired version is due"


async def test_a_version_without_tags_is_reported_and_its_tags_are_restored_on_request() -> None:
    world = await World().start()
    await world.ask()
    good = world.latest
    await world.write(good.value, tags={})
    assert (await world.ask("sweep")).result is Result.TAGS_LOST
    assert (await world.ask("operator", restore_tags=True)).result is Result.ROTATED, "what was written by hand is due"
    assert world.latest.tags["rotator"] == "in-place"
    assert world.works(world.latest)


async def test_a_staged_value_that_the_ledger_does_not_name_is_never_used() -> None:
    world = await World().start()
    await world.vault.set(f"{NAME}--staged", value("app", "planted"), tags={"staged-for": NAME})
    await world.ask()
    assert world.server.passwords["app"] != "planted"


async def test_a_server_that_is_down_is_unreachable_and_the_operation_goes_on_later() -> None:
    world = await World().start()
    await world.ask("sweep", version=world.latest.version)
    await world.write(value("app", world.server.passwords["app"] or ""))
    world.server.down = True
    with pytest.raises(Unreachable):
        await world.ask()
    world.server.down = False
    assert (await world.ask()).result in {Result.ROTATED, Result.RESUMED}


async def test_no_error_that_leaves_the_engine_shows_a_value() -> None:
    world = await World().start()

    async def leak(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "change"):
            raise ValueError(world.latest.value.reveal())

    world.server.hook = leak
    with pytest.raises(RotationError) as failed:
        await world.ask()
    assert world.latest.value.reveal() not in failed.value.message
    assert failed.value.__context__ is None


async def test_a_plan_changes_nothing_and_says_what_would_happen() -> None:
    world = await World("alternating").start()
    world.vault.calls.clear()
    plan = await world.engine.plan(RotationRequest(REF, None, Reason.OPERATOR, "x", demanded=True))
    assert plan.result is Result.PLANNED
    assert "db.example:5432" in plan.detail
    assert {call for call, _ in world.vault.calls} == {"get"}
    assert world.server.changes == []


async def test_a_rotation_of_a_known_secret_takes_four_vault_calls_of_which_two_create() -> None:
    world = await World().start()
    await world.ask("sweep")
    await world.ask()
    world.time.ahead(days=61)
    await world.ask("sweep", version=world.latest.version)  # the daily check
    await world.ask()
    world.time.ahead(days=61)
    world.vault.calls.clear()
    assert (await world.ask()).result is Result.ROTATED
    assert [call for call, _ in world.vault.calls] == ["get", "set", "set", "set_enabled"]


async def test_the_value_written_is_the_one_that_was_staged() -> None:
    world = await World().start()
    await world.ask()
    staged = world.vault.all(f"{NAME}--staged")
    assert [secret.value for secret in staged] == [world.latest.value]
    assert isinstance(staged[0].value, SecretValue)
