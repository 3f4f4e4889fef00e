"""Who hears what a rotation came to: a line in the log, and an event where somebody may want to act on it."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from pytest_mock import MockerFixture

from app.notifier import Notifier, as_json
from rotation.model import Outcome, Result, SecretRef
from rotation.reasons import Refreshed, RefreshState

TOPIC = "https://topic.example.com/api/events"
OUTCOME = Outcome(
    Result.ROTATED, SecretRef("kv", "orders-db"), "done", version="v2", previous_version="v1", operation_id="op",
    slot="app", expires_on=datetime(2026, 1, 1, tzinfo=UTC), duration_ms=7,
)  # fmt: skip
LOUD = {Result.TAGS_LOST, Result.DENIED, Result.FAILED}
REFRESHED = tuple(Refreshed(state.value, state, f"why\n{state.value}") for state in RefreshState)


def quiet(mocker: MockerFixture) -> Notifier:
    """One without a topic."""
    return Notifier(None, mocker.Mock())


def test_an_outcome_is_told_with_all_that_is_known_and_nothing_that_is_not() -> None:
    told = {
        "outcome": "rotated", "vault": "kv", "secret": "orders-db", "version": "v2", "previous_version": "v1",
        "operation_id": "op", "slot": "app", "expires_on": "2026-01-01T00:00:00+00:00", "duration_ms": 7,
        "detail": "done",
    }  # fmt: skip
    assert as_json(OUTCOME) == told
    assert as_json(replace(OUTCOME, code="denied", expires_on=None)) == told | {"code": "denied", "expires_on": None}
    refreshed = {"done": "done", "failed": "failed", "given_up": "given_up", "dropped": "dropped"}
    assert as_json(replace(OUTCOME, refreshed=REFRESHED)) == told | {"refreshed": refreshed}


@pytest.mark.parametrize("result", Result)
async def test_what_somebody_must_mend_is_an_error_in_the_log(
    result: Result, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await quiet(mocker).tell(replace(OUTCOME, result=result))
    [line] = caplog.records
    assert line.levelname == ("ERROR" if result in LOUD else "INFO")
    assert line.getMessage() == f"{result.value} kv/orders-db: done"
    fields = ("event", "vault", "secret", "outcome", "version", "previous_version", "operation_id")
    assert [getattr(line, f"keyturn.{name}") for name in fields] == [
        "outcome", "kv", "orders-db", result.value, "v2", "v1", "op",
    ]  # fmt: skip


async def test_a_refresh_target_that_could_not_be_asked_is_a_line_of_its_own(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await quiet(mocker).tell(replace(OUTCOME, refreshed=REFRESHED))
    _, failed, given_up = caplog.records
    assert failed.getMessage() == r"refresh_failed kv/orders-db: failed: why\nfailed; it is asked again"
    assert given_up.getMessage() == (
        r"refresh_given_up kv/orders-db: given_up: why\ngiven_up; it is not asked again for this version"
    )
    assert (failed.levelname, given_up.levelname) == ("WARNING", "ERROR")
    fields = ("event", "vault", "secret", "version", "refresh_target")
    for line, event, target in ((failed, "refresh_failed", "failed"), (given_up, "refresh_given_up", "given_up")):
        assert [getattr(line, f"keyturn.{name}") for name in fields] == [event, "kv", "orders-db", "v2", target]


async def test_an_event_goes_to_the_topic_by_the_apps_identity_with_what_an_answer_has(mocker: MockerFixture) -> None:
    made = mocker.patch("azure.eventgrid.aio.EventGridPublisherClient")
    send = made.return_value.__aenter__.return_value.send = mocker.AsyncMock()
    identity: Any = object()
    await Notifier(TOPIC, identity).tell(OUTCOME)
    made.assert_called_once_with(TOPIC, identity)
    [event] = send.call_args.args
    assert (event.subject, event.event_type, event.data_version) == ("kv/orders-db", "Keyturn.SecretRotated", "1")
    assert event.data == as_json(OUTCOME)


async def test_a_topic_that_takes_no_event_is_a_warning_that_names_the_secret(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    made = mocker.patch("azure.eventgrid.aio.EventGridPublisherClient")
    made.return_value.__aenter__.return_value.send = mocker.AsyncMock(side_effect=ServiceRequestError("canary"))
    await Notifier(TOPIC, mocker.Mock()).tell(OUTCOME)
    [line] = [one for one in caplog.records if one.levelname == "WARNING"]
    assert line.getMessage() == "the outcome topic took no event (ServiceRequestError)"
    fields = ("event", "vault", "secret")
    assert [getattr(line, f"keyturn.{name}") for name in fields] == ["topic_failed", "kv", "orders-db"]


async def test_what_nobody_acts_on_is_no_event(mocker: MockerFixture) -> None:
    made = mocker.patch("azure.eventgrid.aio.EventGridPublisherClient")
    for result in (Result.NOT_DUE, Result.DEFERRED, Result.BUSY, Result.UNMANAGED, Result.PLANNED):
        await Notifier(TOPIC, mocker.Mock()).tell(replace(OUTCOME, result=result))
    await quiet(mocker).tell(OUTCOME)
    assert not made.called
