"""What the traces and the metrics say of a run."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from rotation.errors import Busy, RotationError, Unreachable
from rotation.model import Force, Reason, RotationRequest
from tests.fakes import parts, value
from tests.telemetry.recorded import Point, Recorded
from tests.telemetry.watched import Watched
from tests.world import KINDS, REF

IN_ORDER = ("lease", "read", "prove", "bind", "stage", "record", "apply", "publish", "disable", "release")


async def watched(variant: str = "in-place") -> Watched:
    world = Watched(variant)
    await world.start()
    return world


def steps(recorded: Recorded) -> list[str]:
    return [str((span.attributes or {})["keyturn.step"]) for span in recorded.spans() if span.parent is not None]


def facts(span: ReadableSpan) -> dict[str, object]:
    return {name.removeprefix("keyturn."): fact for name, fact in (span.attributes or {}).items()}


async def test_a_rotation_is_one_trace_whose_children_are_its_steps_in_order() -> None:
    world = await watched()
    before = world.latest.version
    outcome = await world.ask()
    root = world.recorded.root()
    assert root.name == "keyturn.rotation"
    assert facts(root) == {
        "vault": "kv",
        "secret": "orders-db",
        "rotator": "in-place",
        "outcome": "rotated",
        "operation_id": outcome.operation_id,
        "version": world.latest.version,
        "previous_version": before,
    }
    assert root.context is not None
    children = [span for span in world.recorded.spans() if span is not root]
    assert all(span.parent is not None and span.parent.span_id == root.context.span_id for span in children)
    assert {span.name for span in children} == {f"keyturn.{name}" for name in steps(world.recorded)}
    told = iter(steps(world.recorded))
    assert all(step in told for step in IN_ORDER), "each after the one before"
    assert all(facts(span)["outcome"] == "ok" for span in children)


async def test_a_plan_is_a_trace_of_its_own_and_counts_as_no_outcome() -> None:
    world = await watched()
    await world.ask()
    counted = world.recorded.points("keyturn.outcomes")
    world.recorded.spans_out.clear()
    await world.engine.plan(RotationRequest(REF, None, Reason.OPERATOR, "test", demanded=True))
    assert world.recorded.root().name == "keyturn.plan"
    assert world.recorded.points("keyturn.outcomes") == counted


async def test_a_step_that_fails_is_marked_with_the_errors_code_and_nothing_of_its_text() -> None:
    world = await watched()
    world.server.down = True
    with pytest.raises(Unreachable):
        await world.ask()
    failed = [span for span in world.recorded.spans() if span.status.status_code is StatusCode.ERROR]
    assert [span.name for span in failed] == ["keyturn.rotation", "keyturn.prove"]
    assert [facts(span)["outcome"] for span in failed] == ["failed", "unreachable"]
    assert all(span.status.description is None and not span.events for span in failed)
    assert world.recorded.points("keyturn.outcomes") == [
        Point({"keyturn.outcome": "failed", "keyturn.rotator": "in-place", "keyturn.vault": "kv"}, 1)
    ]


async def test_what_is_foreign_is_called_unexpected_in_the_step_and_failed_in_the_run() -> None:
    world = await watched()

    async def hook(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "change"):
            raise ZeroDivisionError("the password is first")

    world.server.hook = hook
    with pytest.raises(RotationError):
        await world.ask()
    by_name = {span.name: facts(span)["outcome"] for span in world.recorded.spans()}
    assert (by_name["keyturn.apply"], by_name["keyturn.rotation"]) == ("unexpected", "failed")
    assert "password is" not in world.recorded.all_text()


async def test_a_call_that_the_host_stops_is_called_interrupted() -> None:
    world = await watched()
    reached = asyncio.Event()

    async def hook(_when: str, call: str, _name: str) -> None:
        if call == "change":
            reached.set()
            await asyncio.Event().wait()

    world.server.hook = hook
    run = asyncio.ensure_future(world.ask())
    await reached.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    by_name = {span.name: facts(span)["outcome"] for span in world.recorded.spans()}
    assert (by_name["keyturn.apply"], by_name["keyturn.rotation"]) == ("interrupted", "interrupted")


async def test_a_busy_secret_is_an_outcome_too() -> None:
    world = await watched()
    await world.ask()
    held = await world.ledger.acquire(world.latest.ref, create=False)
    assert held is not None
    with pytest.raises(Busy):
        await world.ask(force=Force.YES)
    outcomes = {str(point.attributes["keyturn.outcome"]) for point in world.recorded.points("keyturn.outcomes")}
    assert outcomes == {"rotated", "busy"}


async def test_runs_side_by_side_don_t_take_each_others_outcomes() -> None:
    worlds = [await watched("in-place"), await watched("overlapping")]
    shared = worlds[0].recorded
    worlds[1].recorded = shared
    await asyncio.gather(*(world.ask() for world in worlds))
    told = {str(facts(span)["rotator"]): facts(span)["version"] for span in shared.spans() if span.parent is None}
    assert told == {"in-place": worlds[0].latest.version, "overlapping": worlds[1].latest.version}


async def test_each_run_and_each_step_is_timed_in_seconds() -> None:
    world = await watched()
    await world.ask()
    assert world.recorded.points("keyturn.rotation.duration") == [
        Point({"keyturn.outcome": "rotated", "keyturn.rotator": "in-place"}, 1)
    ]
    timed = {str(p.attributes["keyturn.step"]): p.value for p in world.recorded.points("keyturn.step.duration")}
    counted = {step: steps(world.recorded).count(step) for step in set(steps(world.recorded))}
    assert timed == counted


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "keyturn"):
        yield caplog


async def test_a_sweep_counts_what_it_asked_for_and_names_what_ends_unrotated(heard: pytest.LogCaptureFixture) -> None:
    world = await watched()
    assert len(await world.sweep()) == 1
    kv = {"keyturn.vault": "kv"}
    assert world.recorded.points("keyturn.sweeps") == [Point({**kv, "keyturn.outcome": "ok"}, 1)]
    assert world.recorded.points("keyturn.sweep.requests") == [Point(kv, 1)]
    assert world.recorded.points("keyturn.secrets.expiring") == [Point(kv, 1)]
    events = {getattr(line, "keyturn.event"): getattr(line, "keyturn.secret", None) for line in heard.records}
    assert events == {"swept": None, "expiring": "orders-db"}


async def test_nothing_that_ends_is_told_as_none() -> None:
    world = await watched()
    await world.vault.set_enabled("orders-db", world.latest.version, enabled=False)
    await world.sweep()
    assert world.recorded.points("keyturn.secrets.expiring") == [Point({"keyturn.vault": "kv"}, 0)]


async def test_a_sweep_that_broke_off_says_nothing_of_what_it_did_not_see() -> None:
    world = await watched()

    async def hook(_when: str, _call: str, _name: str) -> None:
        raise Unreachable("the vault does not answer")

    world.vault.hook = hook
    await world.sweep()
    told = {"keyturn.vault": "kv", "keyturn.outcome": "unreachable"}
    assert world.recorded.points("keyturn.sweeps") == [Point(told, 1)]
    assert world.recorded.points("keyturn.secrets.expiring") == []


@pytest.mark.parametrize("variant", KINDS)
async def test_no_value_leaves_by_traces_metrics_or_logs(variant: str) -> None:
    world = await watched(variant)
    log = logging.getLogger("keyturn")
    log.addHandler(world.recorded.handler)
    try:
        await world.ask()
        world.time.ahead(days=70)
        await world.ask("sweep")
        await world.write(value(world.slot, "written-by-hand"))
        with contextlib.suppress(RotationError):
            await world.ask(force=Force.GRACE)
        await world.sweep()
    finally:
        log.removeHandler(world.recorded.handler)
    secrets = {parts(one.value)[1] for name in ("orders-db", "orders-db--staged") for one in world.vault.all(name)}
    secrets |= {password for password in world.server.passwords.values() if password} | {"pw-of-the-administrator-27"}
    told = world.recorded.all_text()
    assert "keyturn.apply" in told
    assert "keyturn.event" in told
    assert not [secret for secret in secrets - {"first", "other"} if secret in told]


async def test_a_tag_that_names_an_unknown_rotator_is_no_attribute() -> None:
    world = await watched()
    await world.write(value("app", "first"), tags={"rotator": "c4n4ry-of-a-tag"})
    with pytest.raises(RotationError):
        await world.ask()
    assert "c4n4ry" not in world.recorded.all_text()
