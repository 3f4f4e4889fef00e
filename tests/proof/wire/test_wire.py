"""The quick slice: the same trials as at length, a few of them; and that the judges can say no."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.deployment import Answer
from tests.integration.postgres_fixtures import folder
from tests.proof.kills.credentials import Managed, signing_key
from tests.proof.wire import database, services, standby
from tests.proof.wire.proxy import Fault, Proxy, serving
from tests.proof.wire.stage import staged
from tests.proof.wire.trial import dishonest, unasked

CUTS = (Fault.CUT_WITHIN, Fault.CUT_AFTER)


async def test_messages_cut_in_the_middle_or_before_their_answer_end_with_working_credentials(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        cut_in_the_database, cut_at_the_vault = await asyncio.gather(
            database.wire_trials(stage, (database.IN_PLACE, database.IN_TURN), CUTS),
            services.vault_trials(stage, (database.IN_PLACE,), (Fault.CUT_AFTER,)),
        )
        never_struck = await stage.tried("a part", "a fault", _no_fault)
    trials = [*cut_in_the_database, *cut_at_the_vault]
    assert [trial.broken for trial in trials if trial.broken] == []
    assert len(trials) == 24
    assert never_struck.broken == "a fault (never-struck): the fault was never met"
    _, leaked = stage.leaked()
    assert leaked == []


@pytest.mark.thorough
async def test_while_a_standby_stands_still_the_latest_version_is_one_that_the_primary_accepts(tmp_path: Path) -> None:
    with folder() as data:
        async with staged(tmp_path) as stage:
            trials = await standby.trials(stage, data, (database.IN_PLACE, database.BY_ADMIN), ("standing still",))
    assert [trial.broken for trial in trials if trial.broken] == []
    assert len(trials) == 2
    assert 502 not in {trial.answer for trial in trials}, "not yet is no failure"


async def _no_fault() -> tuple[Managed, Callable[[], bool]]:
    return signing_key("never-struck"), lambda: False


ECHOED = b"the first|the second"


@pytest.mark.parametrize(
    ("fault", "received", "answered"),
    [
        (Fault.CUT_WITHIN, ECHOED[:10], b""),
        (Fault.CUT_AFTER, ECHOED, b""),
        (Fault.GARBAGE, b"", b"220 mail.example.com ESMTP\r\n"),
        (Fault.SLOW, ECHOED, ECHOED),
    ],
)
async def test_the_proxy_does_to_a_message_what_its_fault_says(fault: Fault, received: bytes, answered: bytes) -> None:
    got = bytearray()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1_000):
            got.extend(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1])
    plan = proxy.plan(fault, b"second")
    async with asyncio.timeout(10), serving(proxy):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(ECHOED)
        answer = b""
        while len(answer) < max(len(answered), 1) and (more := await reader.read(1_000)):
            answer += more
        writer.transport.abort()
        await asyncio.sleep(0.05)  # for the server to have read
    server.close()
    assert plan.met.is_set()
    assert (bytes(got), answer) == (received, answered)


@pytest.mark.parametrize(
    ("status", "text", "headers"),
    [
        (500, '{"outcome": "failed"}', {}),
        (503, '{"outcome": "failed"}', {}),  # it says to come again, and not when
        (502, "Traceback (most recent call last)", {}),
        (200, "", {}),
    ],
)
def test_an_answer_that_hides_what_happened_is_called_dishonest(
    status: int, text: str, headers: dict[str, str]
) -> None:
    assert dishonest("a trial", Answer(status, text, headers)) is not None
    assert dishonest("a trial", Answer(503, '{"outcome": "failed"}', {"Retry-After": "30"})) is None


@pytest.mark.parametrize(
    ("published", "repaired", "held"), [(1, 0, True), (2, 1, True), (2, 0, False), (3, 1, False), (0, 0, False)]
)
def test_a_second_rotation_that_no_repair_explains_is_unasked(published: int, repaired: int, held: bool) -> None:
    history = [{"step": "published", "operation_id": f"operation-{number}"} for number in range(published)]
    history += [{"step": "repaired", "operation_id": "repair"} for _ in range(repaired)]
    assert (unasked("a trial", {"history": history}) is None) is held
