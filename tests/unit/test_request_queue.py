"""What the app itself sends to its queue: through one client, a few at a time, and nothing for long."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import ServiceRequestError
from pytest_mock import MockerFixture

from app.messages import to_text
from app.request_queue import RequestQueue
from rotation.engine.reminders import UNFINISHED
from rotation.model import RotationRequest, SecretRef

SERVICE = "https://st.queue.core.windows.net"
REQUEST = RotationRequest(SecretRef("kv", "orders-db"), "v1", UNFINISHED, "test")


@pytest.fixture
def client(mocker: MockerFixture) -> Any:
    """The SDK's client, as the app gets it."""
    made = mocker.patch("azure.storage.queue.aio.QueueClient")
    made.return_value.send_message = mocker.AsyncMock(return_value=SimpleNamespace(id="m1", pop_receipt="r1"))
    made.return_value.delete_message = mocker.AsyncMock()
    return made


async def test_all_goes_to_one_queue_through_one_client_over_a_session_that_stays_the_callers(client: Any) -> None:
    identity: Any = object()
    async with aiohttp.ClientSession() as session:
        queue = RequestQueue(SERVICE, identity, session)
        await queue.put_back(REQUEST, 5)
        await queue.leave(REQUEST, 63)
        await queue.send(["a"])
        [made] = client.call_args_list
        assert made.args == (SERVICE, "rotation-requests")
        assert made.kwargs["credential"] is identity
        async with made.kwargs["transport"] as transport:
            assert transport.session is session
        assert not session.closed


async def test_what_is_sent_now_is_seen_at_once_and_what_the_queue_did_not_take_comes_back_in_order(
    client: Any, mocker: MockerFixture
) -> None:
    async def send(text: str, **_more: object) -> None:
        if text in {"b", "d"}:
            raise ServiceRequestError("no answer")

    client.return_value.send_message = mocker.AsyncMock(side_effect=send)
    assert await RequestQueue(SERVICE, mocker.Mock(), mocker.Mock()).send(["a", "b", "c", "d"]) == ["b", "d"]
    assert {call.kwargs["visibility_timeout"] for call in client.return_value.send_message.call_args_list} == {None}


async def test_many_messages_are_sent_side_by_side_but_not_all_at_once(client: Any, mocker: MockerFixture) -> None:
    now = most = 0

    async def send(_text: str, **_more: object) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    client.return_value.send_message = send
    assert await RequestQueue(SERVICE, mocker.Mock(), mocker.Mock()).send([str(n) for n in range(50)]) == []
    assert 2 <= most <= 16


@pytest.mark.parametrize("failure", [TimeoutError, ServiceRequestError, None])
async def test_a_reminder_that_cannot_be_called_off_holds_nothing_up(
    failure: Callable[[str], Exception] | None, client: Any, mocker: MockerFixture
) -> None:
    """It comes, and finds nothing to do. None: nobody answers."""

    async def delete(_message: str, _receipt: str) -> None:
        if failure is not None:
            raise failure("canary")
        await asyncio.sleep(60)

    client.return_value.delete_message = delete
    mocker.patch("app.request_queue.PATIENCE_S", 0.01)
    reminder = await RequestQueue(SERVICE, mocker.Mock(), mocker.Mock()).leave(REQUEST, 63)
    assert reminder is not None
    async with asyncio.timeout(10):
        await reminder.call_off()


async def test_a_reminder_that_was_not_left_names_its_secret_in_the_log(
    client: Any, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    client.return_value.send_message = mocker.AsyncMock(side_effect=RuntimeError("canary"))
    assert await RequestQueue(SERVICE, mocker.Mock(), mocker.Mock()).leave(REQUEST, 63) is None
    [line] = caplog.records
    assert (getattr(line, "keyturn.vault"), getattr(line, "keyturn.secret")) == ("kv", "orders-db")
    assert line.getMessage().startswith("no reminder of kv/orders-db (RuntimeError)")


async def test_without_the_queue_services_address_nothing_is_sent(client: Any, mocker: MockerFixture) -> None:
    queue = RequestQueue(None, mocker.Mock(), mocker.Mock())
    assert await queue.leave(REQUEST, 63) is None
    assert await queue.send([to_text(REQUEST)]) == [to_text(REQUEST)]
    assert not client.called
