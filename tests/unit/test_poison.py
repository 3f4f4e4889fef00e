"""What a sweep says of messages that the platform gave up on."""

import logging
from types import SimpleNamespace

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from pytest_mock import MockerFixture

from app.messages import to_text
from app.poison import PoisonQueueMonitor
from rotation.model import Reason, RotationRequest, SecretRef

SERVICE = "https://st.queue.core.windows.net"
REQUEST = to_text(RotationRequest(SecretRef("kv", "orders-db"), "v1", Reason.SWEEP, "sweep"))


async def told(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture, found: list[str] | Exception
) -> list[logging.LogRecord]:
    made = mocker.patch("azure.storage.queue.aio.QueueClient")
    client = made.return_value.__aenter__.return_value
    messages = found if isinstance(found, Exception) else None
    answer = [SimpleNamespace(content=text) for text in found] if isinstance(found, list) else None
    client.peek_messages = mocker.AsyncMock(side_effect=messages, return_value=answer)
    with caplog.at_level(logging.INFO):
        await PoisonQueueMonitor(SERVICE, identity := mocker.Mock()).tell()
    # Asked once, and not for long: the sweep's own messages wait for this.
    made.assert_called_once_with(
        SERVICE, "rotation-requests-poison", credential=identity, retry_total=0, connection_timeout=10, read_timeout=10
    )
    client.peek_messages.assert_awaited_once_with(max_messages=32)  # the most that the service shows
    return caplog.records


async def test_what_was_given_up_on_is_told_with_the_secrets_names(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    [record] = await told(mocker, caplog, [REQUEST, REQUEST, "no request: canary"])
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "3 message(s) given up on lie in rotation-requests-poison: kv/orders-db, what is no rotation request"
    )
    assert vars(record)["keyturn.event"] == "poison"


async def test_more_than_one_look_shows_is_said_to_be_more(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    [record] = await told(mocker, caplog, [REQUEST] * 32)
    assert record.getMessage().startswith("32 messages or more given up on")


async def test_a_few_are_counted_and_each_secret_is_named_once_in_order(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    another = to_text(RotationRequest(SecretRef("kv", "api-key"), "v1", Reason.SWEEP, "sweep"))
    [record] = await told(mocker, caplog, [*([REQUEST] * 30), another])
    assert record.getMessage() == "31 message(s) given up on lie in rotation-requests-poison: kv/api-key, kv/orders-db"


@pytest.mark.parametrize("found", [[], ResourceNotFoundError("no such queue")])
async def test_an_empty_queue_and_one_that_was_never_made_are_no_news(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture, found: list[str] | Exception
) -> None:
    assert await told(mocker, caplog, found) == []


async def test_a_queue_that_cannot_be_looked_at_does_not_stop_the_sweep(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    [record] = await told(mocker, caplog, HttpResponseError("canary"))
    assert record.getMessage() == "rotation-requests-poison could not be looked at (HttpResponseError)"
    assert vars(record)["keyturn.event"] == "poison_unseen"


async def test_without_the_queue_services_address_nothing_is_looked_at(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    made = mocker.patch("azure.storage.queue.aio.QueueClient")
    await PoisonQueueMonitor(None, mocker.Mock()).tell()
    assert caplog.records == []
    assert not made.called
