"""What a run leaves behind before a change in place, so that a killed one is taken up in a minute and not in ten."""

import asyncio
from collections.abc import Callable

import pytest
from pytest_mock import MockerFixture

from app.messages import from_text
from rotation.engine.reminders import AFTER_LEASE_S, AT_MOST, UNFINISHED, OneReminder
from rotation.errors import Busy, Stopping, Unreachable
from rotation.ledger.records import Step
from rotation.model import RotationRequest, SecretRef
from rotation.ports import LEASE_S
from tests.fakes import Hook, no_hook
from tests.killer import Killed
from tests.timed_queue import TimedQueue
from tests.world import KINDS, REF, World

IN_PLACE = ("in-place", "in-place+admin")


async def reminding(variant: str = "in-place") -> tuple[World, TimedQueue]:
    world = World(variant)
    world.queue = TimedQueue(world.time)
    return await world.start(), world.queue


async def killed_after_the_change(world: World) -> None:
    """A run whose process is killed between the change and the new version; the dead do nothing more."""
    dead = False

    async def hook(when: str, call: str, _name: str) -> None:
        nonlocal dead
        dead = dead or (when, call) == ("after", "change")
        if dead:
            raise Killed

    hooked(world, hook)
    with pytest.raises(Killed):
        await world.ask()
    hooked(world, no_hook)
    assert not world.works(world.latest), "its consumers are locked out"


def hooked(world: World, hook: Hook) -> None:
    """Have every part call it."""
    assert world.queue is not None
    world.vault.hook = world.ledger.hook = world.server.hook = world.queue.hook = hook


def seen(world: World, note: Callable[[str, str], None]) -> None:
    """Have `note` told (when, call) of everything."""

    async def hook(when: str, call: str, name: str) -> None:
        note(when, f"{call} {name}".strip())

    hooked(world, hook)


@pytest.mark.parametrize("variant", KINDS)
async def test_a_reminder_is_left_where_a_change_locks_consumers_out_and_nowhere_else(variant: str) -> None:
    world, queue = await reminding(variant)
    await world.ask()
    assert world.works(world.latest)
    expected = 1 if variant in IN_PLACE else 0
    assert (queue.left, queue.called_off, queue.messages) == (expected, expected, [])


@pytest.mark.parametrize("variant", IN_PLACE)
async def test_it_is_there_before_anything_changes_and_asks_for_what_was_begun(variant: str) -> None:
    world, queue = await reminding(variant)
    before = world.latest.version
    at_the_change: list[RotationRequest] = []

    async def hook(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "change"):
            at_the_change.extend(from_text(message.text) for message in queue.messages)

    world.server.hook = hook
    await world.ask()
    assert at_the_change == [RotationRequest(REF, before, UNFINISHED, "test")]


async def test_it_comes_when_the_lease_of_a_killed_run_is_over() -> None:
    world, queue = await reminding()
    await killed_after_the_change(world)
    [message] = queue.messages
    waits = message.visible_at - world.time.monotonic()
    assert LEASE_S <= waits <= LEASE_S + AFTER_LEASE_S + 1
    assert queue.take() is None
    world.time.ahead(seconds=waits - AFTER_LEASE_S - 1)
    with pytest.raises(Busy):
        await world.engine.handle(from_text(message.text))
    world.time.ahead(seconds=AFTER_LEASE_S + 1)
    assert queue.take() is message
    await world.engine.handle(from_text(message.text))
    assert world.works(world.latest)


async def test_it_stays_where_a_run_ends_with_its_operation_open() -> None:
    """Nobody asks again for what an operator's call left unfinished, until the next sweep."""
    world, queue = await reminding()

    async def hook(when: str, call: str, name: str) -> None:
        if (when, call, name) == ("before", "set", "orders-db"):
            raise Unreachable("the vault does not answer")

    world.vault.hook = hook
    with pytest.raises(Unreachable):
        await world.ask(demanded=True)
    assert len(queue.messages) == 1


async def test_one_operation_leaves_only_so_many() -> None:
    world, queue = await reminding()

    async def hook(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "change"):
            raise Unreachable("the server does not answer")

    world.server.hook = hook
    for _ in range(AT_MOST + 3):
        with pytest.raises(Unreachable):
            await world.ask()
        world.time.ahead(seconds=61)
    assert queue.left == AT_MOST


async def test_nothing_waits_for_it_but_the_change() -> None:
    """It is under way while the new value is staged and the operation recorded."""
    world, _ = await reminding()
    order: list[str] = []
    sent = asyncio.Event()

    async def hook(when: str, call: str, name: str) -> None:
        if call == "send" and when == "before":
            await sent.wait()
        order.append(f"{when} {call} {name}")
        if (when, call, name) == ("after", "append", Step.APPLYING):
            sent.set()

    hooked(world, hook)
    await world.ask()
    assert order.index(f"after append {Step.APPLYING}") < order.index("after send unfinished")
    assert order.index("after send unfinished") < order.index("before change app")


async def test_it_is_called_off_once_the_new_version_is_out_and_holds_up_nobody() -> None:
    world, queue = await reminding()
    waits = asyncio.Event()

    async def hook(when: str, call: str, _name: str) -> None:
        if (when, call) == ("before", "delete"):
            assert world.ledger.records(REF)[-1].step in {Step.PUBLISHED, Step.ROTATED}
            await waits.wait()
        if (when, call) == ("before", "release"):
            waits.set()

    world.ledger.hook = queue.hook = hook
    await world.ask()
    assert queue.called_off == 1


async def test_a_queue_that_takes_nothing_stops_no_rotation() -> None:
    world, queue = await reminding()
    queue.down = True
    await world.ask()
    assert world.works(world.latest)
    assert queue.messages == []


class Silent:
    """A queue that does not answer."""

    async def leave(self, _request: RotationRequest, _after_s: int) -> None:
        await asyncio.Event().wait()


class Faulty:
    """A fault of ours."""

    async def leave(self, _request: RotationRequest, _after_s: int) -> None:
        raise ValueError


@pytest.mark.parametrize("reminders", [Silent(), Faulty()])
async def test_a_reminder_that_never_comes_to_be_is_not_waited_for_long(
    reminders: Silent | Faulty, mocker: MockerFixture
) -> None:
    mocker.patch("rotation.engine.reminders.PATIENCE_S", 0.1)
    one = OneReminder(reminders)
    one.send(RotationRequest(SecretRef("kv", "a"), "v", UNFINISHED, "x"), 60.0)
    async with asyncio.timeout(5):
        await one.sent()
        one.over()
        await one.called_off()


# An instance that is being stopped.


async def test_an_instance_that_is_stopped_begins_nothing() -> None:
    world, queue = await reminding()
    before = dict(world.server.passwords)
    world.stopping = True
    with pytest.raises(Stopping):
        await world.ask()
    assert (world.ledger.records(REF), world.vault.calls[-1], world.server.passwords) == (
        (),
        ("set", "orders-db"),
        before,
    )
    assert queue.messages == []


@pytest.mark.parametrize("variant", KINDS)
async def test_stopped_before_a_change_is_begun_it_leaves_everything_as_it_was(variant: str) -> None:
    world, queue = await reminding(variant)
    before = dict(world.server.passwords)

    def stop(when: str, call: str) -> None:
        world.stopping |= (when, call) == ("before", f"append {Step.ADOPTED}")

    seen(world, stop)
    with pytest.raises(Stopping):
        await world.ask()
    assert world.server.passwords == before
    assert [record.step for record in world.ledger.records(REF)] == [Step.ADOPTED], "and it is no failure"
    assert queue.messages == []
    world.stopping = False
    seen(world, lambda _when, _call: None)
    await world.ask()
    assert world.works(world.latest)
    assert not world.staged_enabled()


@pytest.mark.parametrize("variant", KINDS)
async def test_stopped_once_it_is_begun_it_goes_on_to_its_publication(variant: str) -> None:
    world, _ = await reminding(variant)
    first = world.latest

    def stop(when: str, call: str) -> None:
        world.stopping |= (when, call) == ("after", f"append {Step.APPLYING}")

    seen(world, stop)
    await world.ask()
    assert world.latest.version != first.version
    assert world.works(world.latest)
    assert world.ledger.records(REF)[-1].step is Step.ROTATED


async def test_what_another_run_left_in_the_middle_is_finished_though_the_instance_is_stopped_meanwhile() -> None:
    world, _ = await reminding()
    await killed_after_the_change(world)
    world.time.ahead(seconds=61)

    def stop(when: str, call: str) -> None:
        world.stopping |= (when, call) == ("before", "get orders-db")

    seen(world, stop)
    await world.ask(UNFINISHED)
    assert world.works(world.latest)


async def test_a_reminder_of_what_was_finished_meanwhile_changes_nothing() -> None:
    world, queue = await reminding()
    old = world.latest.version
    await world.ask()
    new = world.latest.version
    world.time.ahead(seconds=70)
    outcome = await world.ask(UNFINISHED, version=old)
    assert outcome.result == "superseded"
    assert world.latest.version == new
    assert queue.messages == []
