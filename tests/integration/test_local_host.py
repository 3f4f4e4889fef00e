"""The local host: what Azure's host would do with an app that Microsoft's worker library indexes and runs."""

import ast
import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient
from yarl import URL

from local.certificates import Certificates
from local.host.pump import LAST_S, OUT_OF_SIGHT_S
from local.tokens import TokenAuthority
from tests.integration.host_fixtures import TOY, HostProcess, Journal, journal, toy
from tests.timed_queue import pass_by

pytestmark = pytest.mark.thorough

__all__ = ["journal", "toy"]

EVENT = {
    "id": "1",
    "topic": "t",
    "subject": "job",
    "eventType": "Kind",
    "eventTime": "2026-01-01T00:00:00Z",
    "data": {},
    "dataVersion": "1",
    "metadataVersion": "1",
}
CLOUD = {"specversion": "1.0", "id": "1", "source": "s", "subject": "cloudy", "type": "CloudKind", "data": {}}


async def test_routes_ask_for_the_function_key_and_pass_all_parts_of_a_request(toy: HostProcess) -> None:
    assert (await toy.call("POST", "/api/echo/x"))[0] == 401
    assert (await toy.call("POST", "/api/echo/x", headers={"x-functions-key": "wrong"}))[0] == 401
    status, text, headers = await toy.call(
        "POST", f"/api/echo/w%20rd?a=1&code={toy.key}", data="body", headers={"x-functions-key": toy.key}
    )
    assert status == 201
    assert text == f"{{'word': 'w rd', 'query': {{'a': '1', 'code': '{toy.key}'}}, 'body': 'body'}}"
    assert headers["X-Told"] == "yes"
    assert (await toy.call("GET", "/api/echo/x", headers={"x-functions-key": toy.key}))[0] == 404
    assert (await toy.call("GET", "/api/open"))[:2] == (200, "open")
    assert (await toy.call("GET", "/api/open?fail=1"))[:2] == (500, "")
    assert "password" not in toy.log


@pytest.mark.parametrize(
    ("query", "given"),
    [
        ("a", {}),
        ("a=&b=%20", {"b": " "}),
        ("a=1&A=2&a=3", {"A": "1,2,3"}),
        ("a=&A=1", {"A": "1"}),
        ("a=1;b=2&&%63=+%2B", {"a": "1;b=2", "c": " +"}),
    ],
)
async def test_a_function_gets_of_a_query_what_the_real_host_gives_it_and_the_url_whole(
    toy: HostProcess, query: str, given: dict[str, str]
) -> None:
    """GrpcMessageConversionExtensions.cs of Azure/azure-functions-host, and StringValues.ToString of .NET."""
    url = URL(f"/api/echo/x?{query}", encoded=True)
    status, text, headers = await toy.call("POST", url, headers={"x-functions-key": toy.key})
    assert (status, ast.literal_eval(text)["query"]) == (201, given)
    assert headers["X-Url"] == f"{toy.url}{url}"


async def test_a_function_gets_no_chunked_body(toy: HostProcess) -> None:
    """The host reads a body that has a length: GrpcMessageConversionExtensions.cs of Azure/azure-functions-host."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"bo"
        yield b"dy"

    key = {"x-functions-key": toy.key}
    status, text, headers = await toy.call("POST", "/api/echo/x", data=pieces(), headers=key)
    assert (status, ast.literal_eval(text)["body"], headers["X-Sent"]) == (201, "", "chunked")


async def test_events_of_both_schemas_reach_the_function_and_its_message_the_queue(
    toy: HostProcess, journal: Journal
) -> None:
    assert (await toy.event([EVENT]))[0] == 202
    assert (await toy.event([EVENT | {"subject": "nothing"}]))[0] == 202
    assert (await toy.event(CLOUD, Content_Type="application/cloudevents+json"))[0] == 202
    for line in ("event Kind", "done job", "event CloudKind", "done cloudy"):
        await journal.has(line)
    assert "done nothing" not in journal.lines()


async def test_the_handshakes_are_answered(toy: HostProcess) -> None:
    validation = EVENT | {"data": {"validationCode": "c0de"}}
    status, text = await toy.event([validation], aeg_event_type="SubscriptionValidation")
    assert (status, json.loads(text)) == (200, {"validationResponse": "c0de"})
    path = "/runtime/webhooks/eventgrid?functionName=on_event"
    status, _, headers = await toy.call("OPTIONS", path, headers={"WebHook-Request-Origin": "eventgrid.azure.net"})
    assert status == 200
    assert headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert (await toy.event([EVENT], aeg_event_type="SubscriptionValidation"))[0] == 500


@pytest.mark.parametrize("body", ['[{"id": "1", "subj', "7", '["text"]', "", "[" * 100_000])
async def test_a_body_that_is_no_event_is_an_error_so_that_it_is_delivered_again(toy: HostProcess, body: str) -> None:
    assert (await toy.event(body))[0] == 500


async def test_a_function_that_raises_is_answered_with_500_and_its_text_is_not_logged(toy: HostProcess) -> None:
    assert (await toy.event([EVENT | {"subject": "broken"}]))[0] == 500
    assert (await toy.event([EVENT], function="on_work"))[0] == 404
    assert (await toy.event([EVENT], function="nobody"))[0] == 404
    assert "on_event failed: ValueError" in toy.log
    assert "password" not in toy.log


async def test_what_fails_each_time_ends_among_the_poisoned(toy: HostProcess, journal: Journal) -> None:
    await toy.event([EVENT | {"subject": "hopeless"}])
    await journal.has("work hopeless 3")
    async with asyncio.timeout(10):
        while (await toy.count("work"))["poison"] != 1:  # noqa: ASYNC110  seen from outside only
            await asyncio.sleep(0.02)
    assert [line for line in journal.lines() if line.startswith("work hopeless")] == [
        f"work hopeless {number}" for number in (1, 2, 3)
    ]


async def test_the_timer_puts_each_element_of_its_list_into_the_queue(toy: HostProcess, journal: Journal) -> None:
    await journal.has("done one")
    await journal.has("done two")


async def test_a_schedule_that_is_not_read_switches_its_function_off_and_nothing_else(
    toy: HostProcess, journal: Journal
) -> None:
    """As the host does: one line says so. Seen on the host 4.1037."""
    await journal.has("done one")
    assert [line for line in toy.log.splitlines() if "is off, since its schedule is not read" in line]
    assert "eighth day" not in journal.lines()
    assert (await toy.call("POST", "/admin/functions/on_eighth_day", json={}))[0] == 202
    await journal.has("eighth day")


async def test_app_settings_say_what_host_json_says_otherwise(toy: HostProcess, journal: Journal) -> None:
    await toy.end()
    name = "AzureFunctionsJobHost__extensions__queues__maxDequeueCount"
    await toy.start(**{name: "1"})
    await toy.event([EVENT | {"subject": "hopeless"}])
    await journal.has("work hopeless 1")
    async with asyncio.timeout(30):
        while (await toy.count("work"))["poison"] != 1:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.02)
    assert "work hopeless 2" not in journal.lines()


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
async def test_what_was_in_hand_when_the_host_ended_is_out_of_sight_for_the_rest_of_ten_minutes(
    toy: HostProcess, journal: Journal, tmp_path: Path, number: signal.Signals
) -> None:
    """As with the host 4.1037: killed, or stopped and its ten seconds over."""
    await toy.event([EVENT | {"subject": "slow"}])
    await journal.has("work slow 1")
    began = time.monotonic()
    await toy.end(number)
    waited = time.monotonic() - began
    assert (waited >= LAST_S) == (number is signal.SIGTERM)
    await toy.start()
    await toy.event([EVENT | {"subject": "another"}])
    await journal.has("done another")
    assert "work slow 2" not in journal.lines()
    assert (await toy.count("work"))["delayed"] >= 1
    pass_by(tmp_path / "host" / "queues.sqlite", OUT_OF_SIGHT_S - waited - 30)
    await asyncio.sleep(1)
    assert "work slow 2" not in journal.lines()
    pass_by(tmp_path / "host" / "queues.sqlite", 31)
    await journal.has("done slow")
    assert "work slow 2" in journal.lines()


async def test_a_host_that_is_stopped_waits_for_what_runs(toy: HostProcess, journal: Journal) -> None:
    await toy.event([EVENT | {"subject": "a second"}])
    await journal.has("work a second 1")
    await toy.end()
    assert "done a second" in journal.lines()
    await toy.start()
    assert (await toy.count("work"))["delayed"] == 0


async def test_functions_without_a_route_are_run_by_name(toy: HostProcess, journal: Journal) -> None:
    async def run(name: str, body: Any, **headers: str) -> int:
        return (await toy.call("POST", f"/admin/functions/{name}", data=json.dumps(body), headers=headers))[0]

    assert await run("on_work", {"input": "by hand"}) == 202
    await journal.has("done by hand")
    assert await run("on_event", {"input": json.dumps(EVENT | {"subject": "e"})}) == 202
    await journal.has("done e")
    before = journal.lines().count("done one")
    assert await run("on_tick", {}) == 202
    await journal.has("done one", before + 1)
    assert await run("on_work", {"input": "hopeless"}) == 500
    assert await run("nobody", {}) == 404
    assert await run("on_tick", {}, **{"x-functions-key": "wrong"}) == 401
    assert (await toy.call("POST", "/admin/functions/on_tick", data="{"))[0] == 400
    assert await run("echo", {}) == 202


class _Credential:
    def __init__(self, authority: TokenAuthority, audience: str) -> None:
        self._token = authority.issue(audience)

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken(self._token, 2**33)


async def test_the_storage_sdk_puts_a_message_for_later_into_the_queue(
    toy: HostProcess, journal: Journal, tmp_path: Path, certificates: Certificates
) -> None:
    authority = TokenAuthority.from_file(tmp_path / "signing.key")
    service = (await toy.call("GET", "/admin/queues"))[1]

    def put(audience: str) -> None:
        url = json.loads(service)["service"]
        credential = _Credential(authority, audience)
        with QueueClient(
            url, "work", credential=credential, connection_verify=str(certificates.ca), retry_total=0
        ) as queue:
            queue.send_message("<later> & once", visibility_timeout=1)

    await asyncio.to_thread(put, "https://storage.azure.com")
    assert "done <later> & once" not in journal.lines()
    await journal.has("done <later> & once")
    with pytest.raises(Exception, match="InvalidAuthenticationInfo"):
        await asyncio.to_thread(put, "https://vault.azure.net")


async def test_the_storage_sdk_takes_a_message_away_by_its_receipt_until_the_host_took_it(
    toy: HostProcess, journal: Journal, tmp_path: Path, certificates: Certificates
) -> None:
    authority = TokenAuthority.from_file(tmp_path / "signing.key")
    url = json.loads((await toy.call("GET", "/admin/queues"))[1])["service"]

    def take_away() -> None:
        with QueueClient(
            url, "work", credential=_Credential(authority, "https://storage.azure.com"), retry_total=0,
            connection_verify=str(certificates.ca),
        ) as queue:  # fmt: skip
            early = queue.send_message("called off", visibility_timeout=600)
            kept = queue.send_message("kept", visibility_timeout=600)
            for message, receipt in (
                (early.id, "another"),
                (kept.id, early.pop_receipt),
                ("another", kept.pop_receipt),
            ):
                with pytest.raises(ResourceNotFoundError, match="MessageNotFound"):
                    queue.delete_message(message, receipt)
            queue.delete_message(early.id, early.pop_receipt)
            taken = queue.send_message("taken")
            while "done taken" not in journal.lines():
                time.sleep(0.02)
            with pytest.raises(ResourceNotFoundError):
                queue.delete_message(taken.id, taken.pop_receipt)

    await asyncio.to_thread(take_away)
    assert (await toy.count("work"))["delayed"] == 1


async def test_an_app_that_does_not_start_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "function_app.py").write_text("raise SystemError('what is missing')\n")
    (tmp_path / "app" / "host.json").write_text((TOY / "host.json").read_text())
    host = HostProcess(tmp_path / "app", tmp_path, {})
    with pytest.raises(AssertionError):
        await host.start()
    told = [line for line in host.log.splitlines() if line.startswith("host:")]
    assert told == ["host: the app does not start: SystemError: what is missing"]
