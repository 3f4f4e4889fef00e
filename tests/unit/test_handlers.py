"""What becomes of a message, a sweep and an outcome, with the engine and Azure's clients played."""

import json
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.functions.eventgrid import EventGridEventInConverter
from azure.functions.meta import Datum
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential
from pytest_mock import MockerFixture

from app.identity import Tokens, credential
from app.messages import from_text, to_text
from app.notifier import Notifier
from app.request_queue import LONGEST_S, RequestQueue, visible_after
from app.settings import HttpAuth
from app.shutdown import Shutdown
from app.telemetry import Off
from handlers.http import HttpRequest
from handlers.near_expiry import forward, message_of
from handlers.on_demand import rotate_now
from handlers.rotate import rotate
from handlers.sweep import sweep
from rotation.engine.reminders import UNFINISHED
from rotation.errors import Busy, Denied, Malformed, NotFound, Refused, RotationError, Stopping, Throttled, Unreachable
from rotation.model import Force, Outcome, Reason, Result, RotationRequest, SecretRef, SecretValue

REF = SecretRef("kv", "orders-db")
REQUEST = RotationRequest(REF, "v1", Reason.NEAR_EXPIRY, "event-grid", Force.YES, early=True)
OUTCOME = Outcome(
    Result.ROTATED, REF, "done", version="v2", previous_version="v1", expires_on=datetime(2026, 1, 1, tzinfo=UTC)
)


class Played:
    """An app whose engine answers with one outcome or error; what it tells and puts back is kept."""

    def __init__(self, answer: Outcome | RotationError) -> None:
        self.answer = answer
        self.handled: list[RotationRequest] = []
        self.told: list[Outcome] = []
        self.put_back: list[int] = []
        self.engine = SimpleNamespace(handle=self._handle)
        self.notifier = SimpleNamespace(tell=self._tell)
        self.request_queue = SimpleNamespace(put_back=self._put_back)
        self.shutdown = Shutdown()

    async def _handle(self, request: RotationRequest) -> Outcome:
        self.handled.append(request)
        if isinstance(self.answer, RotationError):
            raise self.answer
        return self.answer

    async def _tell(self, outcome: Outcome) -> None:
        self.told.append(outcome)

    async def _put_back(self, _request: RotationRequest, seconds: int) -> None:
        self.put_back.append(seconds)

    async def rotate(self, message: str = to_text(REQUEST)) -> None:
        app: Any = self
        await rotate(app, message)


async def test_a_message_reaches_the_engine_as_it_was_asked() -> None:
    app = Played(OUTCOME)
    await app.rotate()
    assert app.handled == [REQUEST]
    assert app.told == [OUTCOME]
    assert app.put_back == []


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        "null",
        "{",
        '{"vault": "kv"}',
        '{"vault": 1, "secret": "a", "version": "b"}',
        '{"vault": "kv", "secret": "../a", "version": "b"}',
        '{"vault": "kv\\nERROR all is lost", "secret": "a", "version": "b"}',
        '{"vault": "kv", "secret": "a", "version": "b\\nERROR all is lost"}',
        '{"vault": "kv", "secret": "a", "version": "\\ud800"}',
        '{"vault": "kv", "secret": "a", "version": "b", "reason": "x\\ny"}',
        json.dumps({"vault": "kv", "secret": "a", "version": "b" * 128}),
    ],
)
async def test_what_is_no_request_is_dropped_with_a_line_that_does_not_repeat_it(
    message: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = Played(OUTCOME)
    await app.rotate(message)
    assert app.handled == []
    [record] = caplog.records
    assert "a message is dropped" in record.message
    assert (record.levelname, getattr(record, "keyturn.event")) == ("ERROR", "dropped")
    assert message == "" or message not in record.getMessage()


def test_a_message_survives_the_queue() -> None:
    assert from_text(to_text(REQUEST)) == REQUEST
    plain = RotationRequest(REF, None, Reason.SWEEP, "sweep")
    assert from_text(to_text(plain)) == plain
    restoring = replace(plain, restore_tags=True)
    assert from_text(to_text(restoring)) == restoring
    with pytest.raises(Malformed):
        from_text("{}")


def test_who_asked_is_noted_in_one_line_that_a_ledger_can_keep() -> None:
    message = '{"vault": "kv", "secret": "a", "version": "b", "actor": "zoë\\nb\\ud800%s"}' % ("x" * 999)
    actor = from_text(message).actor
    assert actor.startswith(r"zoë\nb\ud800x")
    assert len(actor) == 200
    assert from_text(to_text(from_text(message))).actor == actor


def test_a_message_carries_the_id_of_who_asked_and_one_without_is_read_too() -> None:
    """The package before writes none, and leaves one alone that it reads."""
    named = RotationRequest(
        SecretRef("kv", "a"), "b", Reason.OPERATOR, "Ada", actor_id="0f8fad5b-d9cb-469f-a165-70867728950e"
    )
    assert from_text(to_text(named)) == named
    assert "actor_id" not in to_text(replace(named, actor_id=None))
    assert from_text('{"vault": "kv", "secret": "a", "version": "b", "actor_id": "no id"}').actor_id is None


async def test_a_busy_secret_is_asked_again_later_and_no_try_is_used_up() -> None:
    app = Played(Busy("another run works on it", retry_after_s=42))
    await app.rotate()
    assert app.put_back == [42]
    assert app.told == []


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(Busy("x"), 30), (Throttled("x"), 30), (Stopping("x"), 1), (Stopping("x", retry_after_s=4), 4)],
)
async def test_who_is_not_told_how_long_to_wait_waits_for_a_usual_while(error: RotationError, seconds: int) -> None:
    app = Played(error)
    await app.rotate()
    assert app.put_back == [seconds]


@pytest.mark.parametrize(("seconds", "put_back"), [(42, 10), (11, 10), (3, 3)])
async def test_what_may_lock_consumers_out_is_asked_again_within_seconds(seconds: int, put_back: int) -> None:
    app = Played(Busy("another run works on it", retry_after_s=seconds))
    await app.rotate(to_text(replace(REQUEST, reason=UNFINISHED)))
    assert app.put_back == [put_back]


async def test_an_instance_that_is_stopped_puts_its_messages_back_at_once() -> None:
    app = Played(Stopping("this instance is being stopped", retry_after_s=1))
    await app.rotate()
    assert app.put_back == [1]
    assert app.told == []


@pytest.mark.parametrize(
    ("error", "event", "outcome"),
    [(Busy("x"), "busy", "busy"), (Stopping("x"), "stopping", "stopping"), (Throttled("x"), "throttled", "throttled")],
)
async def test_what_is_put_back_is_one_line_that_names_the_secret(
    error: RotationError, event: str, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await Played(error).rotate()
    [line] = caplog.records
    assert (getattr(line, "keyturn.event"), getattr(line, "keyturn.outcome")) == (event, outcome)
    assert (getattr(line, "keyturn.vault"), getattr(line, "keyturn.secret")) == ("kv", "orders-db")
    assert "kv/orders-db" in line.getMessage()


async def test_a_message_is_at_work_until_its_outcome_is_told() -> None:
    app = Played(OUTCOME)
    at_work = []

    async def tell(_outcome: Outcome) -> None:
        at_work.append(app.shutdown._at_work)

    app.notifier.tell = tell
    await app.rotate()
    assert (at_work, app.shutdown._at_work) == ([1], 0)


async def test_a_failure_is_told_with_the_version_that_was_asked_for_and_its_code() -> None:
    app = Played(Denied("no rule covers it"))
    await app.rotate()
    assert app.told == [Outcome(Result.DENIED, REF, "no rule covers it", version="v1", code="denied")]
    assert app.put_back == []


@pytest.mark.parametrize("result", [one for one in Result if one is not Result.DEFERRED])
async def test_only_a_deferral_is_put_back(result: Result) -> None:
    app = Played(replace(OUTCOME, result=result, retry_after_s=30))
    await app.rotate()
    assert app.put_back == []


async def test_a_full_vault_is_asked_again_later_and_no_try_is_used_up(caplog: pytest.LogCaptureFixture) -> None:
    app = Played(Throttled("the vault takes no more new versions for now", retry_after_s=12))
    await app.rotate()
    assert app.put_back == [12]
    assert app.told == []
    [line] = caplog.records
    assert (getattr(line, "keyturn.event"), getattr(line, "keyturn.outcome")) == ("throttled", "throttled")


@pytest.mark.parametrize(("seconds", "at_most"), [(1, 3), (8, 12), (300, 309), (9_999, 309)])
def test_what_is_put_back_comes_a_little_later_than_asked_and_not_all_at_once(seconds: int, at_most: int) -> None:
    waits = {visible_after(seconds, random.Random(seed)) for seed in range(200)}
    assert min(waits) == min(seconds, LONGEST_S) + 1
    assert max(waits) == at_most


@pytest.mark.parametrize("field", ["early", "demanded", "restore_tags"])
def test_each_wish_of_a_request_is_in_its_message(field: str) -> None:
    wishing = RotationRequest(REQUEST.ref, REQUEST.version, Reason.SWEEP, "test", **{field: True})  # type: ignore[arg-type]
    assert from_text(to_text(wishing)) == wishing


@pytest.mark.parametrize(
    ("field", "told"),
    [(field, told) for field in ("vault", "secret", "reason", "actor") for told in (None, "", 7, ["kv"])],
)
def test_a_message_with_no_text_where_some_must_be_is_none(field: str, told: object) -> None:
    whole: dict[str, object] = {"vault": "kv", "secret": "a", "version": "b"}
    with pytest.raises(Malformed) as raised:
        from_text(json.dumps(whole | {field: told}))
    assert raised.value.field == "message"


async def test_what_may_pass_comes_back_by_the_queue_and_what_will_not_is_told_once() -> None:
    passing = Played(Unreachable("the server does not answer"))
    with pytest.raises(Unreachable):
        await passing.rotate()
    assert [one.result for one in passing.told] == [Result.FAILED]
    lasting = Played(Denied("no rule covers it"))
    await lasting.rotate()
    assert [one.result for one in lasting.told] == [Result.DENIED]


@pytest.mark.parametrize(("seconds", "put_back"), [(30, [30]), (300, [300]), (301, []), (None, [])])
async def test_a_short_deferral_is_put_back_and_a_long_one_left_to_the_sweep(
    seconds: int | None, put_back: list[int]
) -> None:
    app = Played(replace(OUTCOME, result=Result.DEFERRED, retry_after_s=seconds))
    await app.rotate()
    assert app.put_back == put_back


async def test_a_vault_that_cannot_be_read_does_not_keep_the_others_waiting(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    async def requests(vault: Any, _now: datetime) -> AsyncIterator[RotationRequest]:
        yield replace(REQUEST, ref=SecretRef(vault.name, "first"))
        if vault.name == "broken":
            raise Unreachable("the vault does not answer")
        yield replace(REQUEST, ref=SecretRef(vault.name, "second"))

    vaults = {name: SimpleNamespace(name=name) for name in ("broken", "kv")}
    sweeper, poison = (
        SimpleNamespace(requests=requests, expiring={}, unbound={}),
        SimpleNamespace(tell=mocker.AsyncMock()),
    )
    app: Any = SimpleNamespace(vaults=vaults, sweeper=sweeper, request_queue=None, telemetry=Off(), poison=poison)
    with caplog.at_level(logging.INFO):
        messages = await sweep(app)
    assert [str(from_text(message).ref) for message in messages] == ["broken/first", "kv/first", "kv/second"]
    assert "the sweep of broken stopped: the vault does not answer" in caplog.text
    assert [getattr(line, "keyturn.event") for line in caplog.records] == ["sweep_failed", "swept"]
    poison.tell.assert_awaited_once_with()


# The edges to Azure.


async def test_a_busy_message_is_sent_with_a_delay_that_differs(mocker: MockerFixture) -> None:
    client = mocker.patch("azure.storage.queue.aio.QueueClient").return_value
    client.send_message = mocker.AsyncMock()
    request_queue = RequestQueue("https://st.queue.core.windows.net", mocker.Mock(), mocker.Mock())
    await request_queue.put_back(REQUEST, 60)
    await request_queue.put_back(REQUEST, 100_000)
    short, long = (call.kwargs["visibility_timeout"] for call in client.send_message.call_args_list)
    assert 60 < short < 71
    assert LONGEST_S < long < LONGEST_S + 11
    assert from_text(client.send_message.call_args.args[0]) == REQUEST


async def test_a_queue_that_does_not_answer_leaves_it_to_the_queues_own_retry(mocker: MockerFixture) -> None:
    client = mocker.patch("azure.storage.queue.aio.QueueClient").return_value
    client.send_message = mocker.AsyncMock(side_effect=ServiceRequestError("x"))
    for service in ("https://st.queue.core.windows.net", None):
        request_queue = RequestQueue(service, mocker.Mock(), mocker.Mock())
        with pytest.raises(Unreachable):
            await request_queue.put_back(REQUEST, 60)
        assert await request_queue.send(["a", "b"]) == ["a", "b"]


async def test_a_reminder_is_a_message_for_later_that_is_taken_away_by_its_receipt(mocker: MockerFixture) -> None:
    client = mocker.patch("azure.storage.queue.aio.QueueClient").return_value
    client.send_message = mocker.AsyncMock(return_value=SimpleNamespace(id="m1", pop_receipt="r1"))
    client.delete_message = mocker.AsyncMock()
    request = replace(REQUEST, reason=UNFINISHED)
    reminder = await RequestQueue("https://st.queue.core.windows.net", mocker.Mock(), mocker.Mock()).leave(request, 63)
    client.send_message.assert_awaited_once_with(to_text(request), visibility_timeout=63)
    assert reminder is not None
    await reminder.call_off()
    client.delete_message.assert_awaited_once_with("m1", "r1")
    client.delete_message.side_effect = ResourceNotFoundError("canary")  # the host took it meanwhile
    await reminder.call_off()


async def test_a_reminder_that_the_queue_does_not_take_is_one_line_in_the_log(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    client = mocker.patch("azure.storage.queue.aio.QueueClient").return_value
    client.send_message = mocker.AsyncMock(side_effect=ServiceRequestError("canary"))
    assert (
        await RequestQueue("https://st.queue.core.windows.net", mocker.Mock(), mocker.Mock()).leave(REQUEST, 63) is None
    )
    [line] = caplog.records
    assert getattr(line, "keyturn.event") == "unreminded"
    assert "canary" not in line.getMessage()
    assert await RequestQueue(None, mocker.Mock(), mocker.Mock()).leave(REQUEST, 63) is None
    assert len(caplog.records) == 1, "an app that never has one is not told so at each rotation"


async def test_an_outcome_becomes_an_event_of_its_kind(mocker: MockerFixture) -> None:
    publisher = mocker.patch("azure.eventgrid.aio.EventGridPublisherClient").return_value.__aenter__.return_value
    publisher.send = mocker.AsyncMock()
    notifier = Notifier("https://topic.example.com/api/events", mocker.Mock())
    for result in Result:
        await notifier.tell(replace(OUTCOME, result=result))
    events = [call.args[0] for call in publisher.send.call_args_list]
    assert {event.event_type for event in events} == {
        "Keyturn.SecretRotated", "Keyturn.SecretRepaired", "Keyturn.CredentialRetired",
        "Keyturn.TagsLost", "Keyturn.RotationDenied", "Keyturn.RotationFailed",
    }  # fmt: skip
    assert events[0].subject == "kv/orders-db"
    assert events[0].data["version"] == "v2"


async def test_an_outcome_is_logged_in_one_line_whatever_a_slot_is_called(caplog: pytest.LogCaptureFixture) -> None:
    detail = "key1\nERROR all is lost\ud800 is still in its grace period"
    with caplog.at_level(logging.INFO):
        await Notifier(None, SimpleNamespace()).tell(replace(OUTCOME, detail=detail))
    [line] = caplog.messages
    assert line == r"rotated kv/orders-db: key1\nERROR all is lost\ud800 is still in its grace period"


async def test_a_rotation_is_not_undone_because_nobody_could_be_told(
    mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = mocker.patch("azure.eventgrid.aio.EventGridPublisherClient").return_value.__aenter__.return_value
    publisher.send = mocker.AsyncMock(side_effect=HttpResponseError("canary"))
    await Notifier("https://topic.example.com/api/events", mocker.Mock()).tell(OUTCOME)
    assert "the outcome topic took no event (HttpResponseError)" in caplog.text
    assert "canary" not in caplog.text


async def test_the_identity_is_managed_where_its_endpoint_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IDENTITY_ENDPOINT", raising=False)
    shell = credential(None)
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/token")
    monkeypatch.setenv("IDENTITY_HEADER", "x")
    azure = credential("11111111-1111-1111-1111-111111111111")
    assert (type(shell), type(azure)) == (DefaultAzureCredential, ManagedIdentityCredential)
    await shell.close()
    await azure.close()


async def test_a_token_that_is_not_given_is_told_without_what_the_library_says(mocker: MockerFixture) -> None:
    source = mocker.Mock()
    source.get_token = mocker.AsyncMock(return_value=SimpleNamespace(token="t"))
    assert await Tokens(source).token("s/.default") == SecretValue("t")
    for error, ours in (
        (ClientAuthenticationError("canary"), Refused),
        (HttpResponseError("canary"), Unreachable),
        (ServiceRequestError("canary"), Unreachable),  # nobody listens at the identity's endpoint, for a moment
    ):
        source.get_token = mocker.AsyncMock(side_effect=error)
        with pytest.raises(ours) as raised:
            await Tokens(source).token("s/.default")
        assert "canary" not in repr(raised.value)
        assert raised.value.__context__ is None


@pytest.mark.parametrize("version", ["a\nERROR all is lost", "a\ud800", "a b", "0" * 100_000])
def test_an_event_whose_version_no_secret_can_have_is_acknowledged_and_left_alone(
    version: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = {"VaultName": "kv", "ObjectType": "Secret", "ObjectName": "orders-db", "Version": version}
    assert message_of("Microsoft.KeyVault.SecretExpired", data, {"kv"}) is None
    assert caplog.messages == ["an event with a name or version that no secret can have is acknowledged and left alone"]


@pytest.mark.parametrize(
    ("vault", "version", "refusal"),
    [
        ("kv\nERROR all is lost", "v1", NotFound),
        ("kv", "v1\nERROR all is lost", Malformed),
        ("kv", "", Malformed),
        ("kv", "0" * 128, Malformed),
    ],
)
async def test_a_call_for_what_can_not_be_there_is_refused_before_anything_is_logged(
    vault: str, version: str, refusal: type[RotationError], caplog: pytest.LogCaptureFixture, mocker: MockerFixture
) -> None:
    app = SimpleNamespace(settings=SimpleNamespace(http_auth=HttpAuth.KEY), vaults={"kv": object()}, engine=None)
    running = mocker.Mock(app=mocker.AsyncMock(return_value=app))
    with pytest.raises(refusal):
        await rotate_now(running, HttpRequest({}, f"?{urlencode({'if_version': version})}"), vault, "orders-db")
    assert caplog.messages == []


@pytest.mark.parametrize("kind", [True, 5, 1.5, ["Microsoft.KeyVault.SecretExpired"], {}, None, "", " ", b"x"])
def test_an_event_without_a_type_is_an_error_in_the_log(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It may be one that asks for a rotation, read by a library that does not know its schema."""
    data = {"VaultName": "kv", "ObjectType": "Secret", "ObjectName": "orders-db", "Version": "v1"}
    assert message_of(kind, data, {"kv"}) is None
    [line] = caplog.records
    assert (line.levelname, getattr(line, "keyturn.event")) == ("ERROR", "unreadable")
    assert "orders-db" not in line.getMessage()


@pytest.mark.parametrize("body", ['{"specversion": "1.0", "id": "1", "data": {}}', '{"id": null}', "{}"])
def test_an_event_whose_schema_has_no_type_reaches_the_log_as_an_error(
    body: str, caplog: pytest.LogCaptureFixture, mocker: MockerFixture
) -> None:
    """As the worker's library makes it; the last two are what POST /admin/functions/near_expiry hands over."""
    event = EventGridEventInConverter.decode(Datum(body, "json"), trigger_metadata={})
    message = mocker.Mock()
    forward(event, {"kv"}, message)
    assert not message.set.called
    assert [line.levelname for line in caplog.records] == ["ERROR"]


def test_an_event_of_another_type_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert message_of("Microsoft.KeyVault.KeyNearExpiry", {}, {"kv"}) is None
    assert [line.levelname for line in caplog.records] == ["INFO"]
