"""What a sweep asks for reaches the queue, however much it is, and does not pile up in memory meanwhile."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from pytest_mock import MockerFixture

from app.messages import from_text
from app.outgoing import MAX_BOUND
from app.settings import HttpAuth
from app.telemetry import Off
from handlers.http import HttpRequest
from handlers.on_demand import rotate_many
from handlers.sweep import MAX_KEPT, sweep
from rotation.errors import Throttled
from rotation.model import Reason, RotationRequest, SecretItem, SecretRef


class Queue:
    """Takes messages, or the first `takes` of each lot alone."""

    def __init__(self, takes: int | None = None) -> None:
        self.sent: list[str] = []
        self.lots: list[int] = []
        self._takes = takes

    async def send(self, messages: Sequence[str]) -> list[str]:
        taken = len(messages) if self._takes is None else self._takes
        self.lots.append(len(messages))
        self.sent += messages[:taken]
        return list(messages[taken:])


def app(queue: Queue, found: Iterable[int], vaults: int = 1) -> Any:
    """Each vault's sweep finds so many."""
    counts = dict(zip((f"kv-{number}" for number in range(vaults)), itertools.cycle(found), strict=False))

    async def requests(vault: SimpleNamespace, _now: datetime) -> AsyncIterator[RotationRequest]:
        for number in range(counts[vault.name]):
            yield RotationRequest(SecretRef(vault.name, f"s-{number}"), "1", Reason.SWEEP, "sweep")

    stores = {name: SimpleNamespace(name=name) for name in counts}
    return SimpleNamespace(
        vaults=stores,
        sweeper=SimpleNamespace(requests=requests, expiring={}, unbound={}),
        request_queue=queue,
        telemetry=Off(),
        poison=SimpleNamespace(tell=AsyncMock()),
    )


def names(messages: Iterable[str]) -> set[str]:
    return {str(from_text(message).ref) for message in messages}


async def test_a_few_are_left_to_the_output_binding() -> None:
    queue = Queue()
    assert len(await sweep(app(queue, [MAX_BOUND - 1]))) == MAX_BOUND - 1
    assert queue.lots == []


async def test_many_are_sent_while_the_sweep_goes_on_and_none_twice() -> None:
    queue = Queue()
    left = await sweep(app(queue, [2_500, 700, 0, 1_300, 1], vaults=5))
    assert len(left) < MAX_BOUND
    assert len(left) + len(queue.sent) == 4_501
    assert len(names(left) | names(queue.sent)) == 4_501
    assert max(queue.lots) <= MAX_BOUND


async def test_what_the_queue_does_not_take_is_kept_for_the_binding() -> None:
    queue = Queue(takes=10)
    left = await sweep(app(queue, [3_000]))
    assert len(queue.lots) < 5, "a queue that does not answer is not asked for each message"
    assert len(names(left) | names(queue.sent)) == 3_000
    assert len(left) + len(queue.sent) == 3_000


async def test_without_a_queue_a_sweep_ends_early_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    left = await sweep(app(Queue(takes=0), [MAX_KEPT + 5_000]))
    assert len(left) == MAX_KEPT == 20_000
    [line] = [one for one in caplog.records if getattr(one, "keyturn.event") == "swept_early"]
    assert line.getMessage() == "the sweep of kv-0 ends early; the next one finds what is still due"
    assert getattr(line, "keyturn.vault") == "kv-0"


async def test_a_sweep_ends_before_the_platform_would_end_it(mocker: MockerFixture) -> None:
    """host.json ends a function after ten minutes. What is left of them is for the messages that are not sent yet."""
    began = 1_000.0
    clock = mocker.patch("handlers.sweep.time")
    clock.monotonic.side_effect = itertools.chain([began], itertools.repeat(began + 480.1))
    assert len(await sweep(app(Queue(), [10], vaults=2))) == 2, "one of each vault: the look is after each"
    clock.monotonic.side_effect = itertools.chain([began], itertools.repeat(began + 480.0))
    assert len(await sweep(app(Queue(), [10], vaults=2))) == 20


class Heard(Off):
    """Keeps what a sweep says of each vault."""

    def __init__(self) -> None:
        self.sweeps: list[tuple[str, int, int, str]] = []

    def swept(self, vault: str, *, asked: int, expiring: int, outcome: str) -> None:
        self.sweeps.append((vault, asked, expiring, outcome))


async def test_a_sweep_says_of_each_vault_what_it_asked_for_and_what_ends_soon(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard, made = Heard(), app(Queue(), [2, 0], vaults=2)
    made.telemetry = heard
    ends = datetime(2026, 3, 4, tzinfo=UTC)
    item = SecretItem(SecretRef("kv-1", "ending"), True, ends, ends, {"rotator": "postgres"})
    made.sweeper.expiring = {"kv-1": [item]}
    with caplog.at_level(logging.INFO):
        await sweep(made)
    assert sorted(heard.sweeps) == [("kv-0", 2, 0, "ok"), ("kv-1", 0, 1, "ok")]
    said = {(getattr(line, "keyturn.event"), line.levelname, line.getMessage()) for line in caplog.records}
    assert said == {
        ("swept", "INFO", "swept kv-0: 2 asked for"),
        ("swept", "INFO", "swept kv-1: 0 asked for"),
        ("expiring", "WARNING", "expiring kv-1/ending: it ends on 2026-03-04 00:00:00+00:00"),
    }


async def test_a_vault_whose_listing_broke_off_is_told_as_such(caplog: pytest.LogCaptureFixture) -> None:
    heard, made = Heard(), app(Queue(), [1])
    made.telemetry = heard

    async def requests(vault: SimpleNamespace, _now: datetime) -> AsyncIterator[RotationRequest]:
        yield RotationRequest(SecretRef(vault.name, "s"), "1", Reason.SWEEP, "sweep")
        raise Throttled("the vault takes no more calls for now")

    made.sweeper.requests = requests
    with caplog.at_level(logging.INFO):
        assert len(await sweep(made)) == 1
    assert heard.sweeps == [("kv-0", 1, 0, "throttled")]
    [line] = caplog.records
    fields = [getattr(line, f"keyturn.{name}") for name in ("event", "vault", "outcome")]
    assert (fields, line.levelname, line.exc_info) == (["sweep_failed", "kv-0", "throttled"], "ERROR", None)


async def test_two_vaults_are_read_at_a_time_and_no_more() -> None:
    made, now, most = app(Queue(), [1], vaults=5), 0, 0

    async def requests(_vault: SimpleNamespace, _now: datetime) -> AsyncIterator[RotationRequest]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(5):
            await asyncio.sleep(0)
        now -= 1
        return
        yield

    made.sweeper.requests = requests
    await sweep(made)
    assert most == 2


async def test_the_messages_that_were_given_up_on_are_looked_at_after_each_sweep() -> None:
    made = app(Queue(), [1])
    await sweep(made)
    made.poison.tell.assert_awaited_once_with()


async def test_a_bulk_of_very_many_is_sent_in_parts_too() -> None:
    queue, ref = Queue(), SecretRef("kv", "s")

    async def secrets() -> AsyncIterator[SecretItem]:
        for number in range(2_500):
            now = datetime.now(UTC)
            yield SecretItem(replace(ref, name=f"s-{number}"), True, None, now, {"rotator": "generated"})
        # Its leader is among them: asked for by both names, it would be rotated twice.
        yield SecretItem(replace(ref, name="f"), True, None, now, {"rotator": "generated", "follows": "kv/s-1"})

    async def get(name: str) -> SimpleNamespace:
        return SimpleNamespace(version=f"{name}-1")

    vault = SimpleNamespace(name="kv", secrets=secrets, get=get)
    whole: Any = SimpleNamespace(
        vaults={"kv": vault}, request_queue=queue, settings=SimpleNamespace(http_auth=HttpAuth.KEY)
    )
    running: Any = SimpleNamespace(app=AsyncMock(return_value=whole))
    answer = await rotate_many(running, HttpRequest({}, "https://x/api/rotations", b'{"names": ["*"]}'))
    assert answer.body == {"accepted": 2_500, "count": 2_500}
    assert queue.lots == [MAX_BOUND, MAX_BOUND]
    assert len(names(answer.messages) | names(queue.sent)) == 2_500
    assert len(answer.messages) == 500
