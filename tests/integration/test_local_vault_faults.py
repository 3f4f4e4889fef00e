"""Faults, limits, clock and the record of calls: what control calls bring about."""

import asyncio
import ssl
import time
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.keyvault.secrets.aio import SecretClient

from local.certificates import Certificates
from local.vault import LocalVaults
from local.vault.faults import Fault, Kind
from local.vault.limits import Limits, Rates
from local.vault.operations import Operation
from tests.integration.vault_fixtures import VAULT, Rest, aio_client


async def values(client: SecretClient, name: str) -> list[str]:
    versions = [one.version async for one in client.list_properties_of_secret_versions(name)]
    return sorted([(await client.get_secret(name, version)).value or "" for version in versions])


async def test_a_connection_dropped_before_the_write_writes_nothing(vaults: LocalVaults, client: SecretClient) -> None:
    await client.set_secret("db", "one")
    vaults.faults.add(Fault(Kind.DROP_BEFORE, (Operation.SET,), times=1))

    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        await client.set_secret("db", "two")

    assert await values(client, "db") == ["one"]


async def test_a_lost_answer_has_written_all_the_same(vaults: LocalVaults, client: SecretClient) -> None:
    await client.set_secret("db", "one")
    vaults.faults.add(Fault(Kind.DROP_AFTER, (Operation.SET,), times=1))

    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        await client.set_secret("db", "two")

    assert await values(client, "db") == ["one", "two"]
    assert [call.status for call in vaults.calls.records(operation="set")][-1] is None


async def test_a_client_that_tries_again_makes_a_second_version_of_a_lost_answer(
    vaults: LocalVaults, identity: None, session: aiohttp.ClientSession
) -> None:
    vaults.faults.add(Fault(Kind.DROP_AFTER, (Operation.SET,), times=1))

    async with aio_client(vaults.urls[VAULT], session, retry_total=3, retry_backoff_factor=0.01) as client:
        await client.set_secret("db", "one")
        assert await values(client, "db") == ["one", "one"]


async def test_aiohttp_sends_a_put_again_by_itself_where_nothing_keeps_it_from_that(
    vaults: LocalVaults, identity: None, certificates: Certificates
) -> None:
    tls = ssl.create_default_context(cafile=certificates.ca)
    vaults.faults.add(Fault(Kind.DROP_AFTER, (Operation.SET,), times=1))

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as plain,
        aio_client(vaults.urls[VAULT], plain, retry_total=0) as client,
    ):
        await client.set_secret("db", "one")
        assert await values(client, "db") == ["one", "one"]


async def test_the_next_calls_are_refused_with_the_given_status_and_then_none(
    vaults: LocalVaults, client: SecretClient
) -> None:
    await client.set_secret("db", "one")
    fault = vaults.faults.add(Fault(Kind.STATUS, status=503, times=2))

    for _ in range(2):
        with pytest.raises(HttpResponseError) as raised:
            await client.get_secret("db")
        assert raised.value.status_code == 503
    assert (await client.get_secret("db")).value == "one"
    assert vaults.faults.struck(fault) == 2


async def test_a_throttled_call_says_when_to_come_back(control: Rest, rest: Rest) -> None:
    await control("POST", "/faults", json={"kind": "status", "status": 429, "retry_after_s": 7, "operation": "list"})

    status, body, headers = await rest("GET", "/secrets")

    assert (status, headers["Retry-After"]) == (429, "7")
    assert body["error"]["code"] == "Throttled"
    assert body["error"]["message"].startswith("Request was not processed because too many requests were received.")


async def test_a_throttled_call_need_not_say_when_to_come_back(control: Rest, rest: Rest) -> None:
    """AzureSignTool#219 shows a real answer with all its headers."""
    await control("POST", "/faults", json={"kind": "status", "status": 429, "operation": "list"})
    await control("POST", "/limits", json={"creates": 0, "others": 100, "retry_after": False})

    for answer in (await rest("GET", "/secrets"), await rest("PUT", "/secrets/db", json={"value": "x"})):
        status, body, headers = answer
        assert (status, body["error"]["code"]) == (429, "Throttled")
        assert "Retry-After" not in headers


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("Conflict", 409, "Secret db is being written"),
        ("ObjectIsBeingDeleted", 409, "Secret is currently being deleted."),
        ("ObjectIsBeingRecovered", 409, "Secret is currently being recovered."),
        ("ObjectIsDeletedButRecoverable", 409, "Secret db is currently in a deleted but recoverable state"),
        ("ForbiddenByRbac", 403, "Action: 'Microsoft.KeyVault/vaults/secrets/setSecret/action'\r\n"),
        ("ForbiddenByRbac", 403, "DecisionReason: 'DeniedWithNoValidRBAC' \r\n"),
        ("ForbiddenByPolicy", 403, "does not have secrets set permission on key vault 'kv-demo;location=local'"),
        (
            "ForbiddenByFirewall",
            403,
            "Client address is not authorized and caller is not a trusted service.\r\nClient a",
        ),
        ("ForbiddenByConnection", 403, "Connection is not an approved private link"),
    ],
)
async def test_a_call_is_refused_for_the_reason_that_is_asked_for(
    control: Rest, rest: Rest, code: str, status: int, words: str
) -> None:
    """The words of real answers: terraform-provider-azurerm#10454 and #4553, Terraform_AKS#2, azure-cli#15528."""
    assert (await control("POST", "/faults", json={"kind": "refuse", "code": code, "times": 1}))[0] == 201
    assert (await control("GET", "/faults"))[1][0]["code"] == code

    answered, body, _ = await rest("PUT", "/secrets/db", json={"value": "x"})

    inner = body["error"].get("innererror")
    assert (answered, inner) == (status, None if code == "Conflict" else {"code": code})
    assert words in body["error"]["message"]
    assert (await rest("GET", "/secrets/db"))[0] == 404, "nothing was done"


async def test_a_slow_call_is_done_after_the_wait_and_a_slow_answer_before_it(
    vaults: LocalVaults, client: SecretClient
) -> None:
    vaults.faults.add(Fault(Kind.LATENCY, (Operation.SET,), ms=400, times=1, name="late"))
    vaults.faults.add(Fault(Kind.SLOW_ANSWER, (Operation.SET,), ms=400, times=1, name="early"))
    started = time.monotonic()
    late = asyncio.ensure_future(client.set_secret("late", "x"))
    early = asyncio.ensure_future(client.set_secret("early", "x"))

    async with asyncio.timeout(10):
        while not (found := [one.name async for one in client.list_properties_of_secrets()]):
            pass
    assert found == ["early"]
    assert not early.done()

    await asyncio.gather(late, early)
    assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize(
    ("fault", "struck"),
    [
        ({"operation": "get"}, {"get"}),
        ({"operations": ["set", "list"]}, {"set", "list"}),
        ({"operation": "update"}, {"update"}),
        ({"operation": "versions"}, {"versions"}),
        ({"method": "put"}, {"set"}),
        ({"path": "/versions$"}, {"versions"}),
        ({"name": "DB"}, {"set", "get", "update", "versions"}),
        ({"vault": "kv-orders"}, set()),
        ({}, {"set", "get", "update", "versions", "list"}),
    ],
)
async def test_a_fault_strikes_the_calls_it_is_meant_for(
    rest: Rest, control: Rest, fault: dict[str, Any], struck: set[str]
) -> None:
    await rest("PUT", "/secrets/db", json={"value": "x"})
    await control("POST", "/faults", json={"kind": "status", "status": 500, **fault})
    calls = {
        "set": ("PUT", "/secrets/db", {"value": "x"}),
        "get": ("GET", "/secrets/db", None),
        "update": ("PATCH", "/secrets/db", {}),
        "versions": ("GET", "/secrets/db/versions", None),
        "list": ("GET", "/secrets", None),
    }

    statuses = {name: (await rest(method, path, json=body))[0] for name, (method, path, body) in calls.items()}

    assert {name for name, status in statuses.items() if status == 500} == struck
    await control("DELETE", "/faults")
    assert (await rest("GET", "/secrets/db"))[0] == 200


async def test_a_fault_lets_the_first_calls_pass_where_it_says_so(rest: Rest, control: Rest) -> None:
    await control("POST", "/faults", json={"kind": "status", "status": 502, "skip": 2, "times": 1})

    assert [(await rest("GET", "/secrets"))[0] for _ in range(4)] == [200, 200, 502, 200]
    assert (await control("GET", "/faults"))[1][0]["struck"] == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({}, "kind is missing"),
        ({"kind": "explode"}, "explode"),
        ({"kind": "status", "status": 404}, "404"),
        ({"kind": "latency"}, "ms is missing"),
        ({"kind": "latency", "ms": "long"}, "ms is"),
        ({"kind": "drop_after", "operation": "rotate"}, "rotate"),
        ({"kind": "drop_after", "colour": "red"}, "colour"),
        ({"kind": "refuse"}, "code goes with a refuse fault"),
        ({"kind": "status", "code": "Conflict"}, "code goes with a refuse fault"),
        ({"kind": "refuse", "code": "ForbiddenByMood"}, "ForbiddenByMood"),
    ],
)
async def test_a_fault_that_can_not_be_says_why(control: Rest, fault: dict[str, Any], words: str) -> None:
    status, body, _ = await control("POST", "/faults", json=fault)

    assert status == 400
    assert words in body["error"]


async def test_limits_throttle_what_exceeds_them_and_only_that(rest: Rest, control: Rest) -> None:
    async def put() -> int:
        return (await rest("PUT", "/secrets/db", json={"value": "x"}))[0]

    await control("POST", "/limits", json={"creates": 2, "others": 3})

    assert [await put() for _ in range(3)] == [200, 200, 429]
    assert [(await rest("GET", "/secrets/db"))[0] for _ in range(4)] == [200, 200, 200, 429]
    status, body, headers = await rest("PUT", "/secrets/db", json={"value": "x"})
    assert (status, body["error"]["code"]) == (429, "Throttled")
    assert 1 <= int(headers["Retry-After"]) <= 10
    await control("POST", "/limits", json={"enabled": False})
    assert await put() == 200


def test_the_default_limits_are_the_services() -> None:
    limits = Limits(lambda: 0.0)
    limits.set(Rates())
    for operation, most in ((Operation.SET, 300), (Operation.GET, 4_000)):
        for _ in range(most):
            limits.take("kv", operation)
        with pytest.raises(Exception, match="too many requests"):
            limits.take("kv", operation)


def test_the_window_slides_and_refused_calls_do_not_count() -> None:
    now = 0.0
    limits = Limits(lambda: now)
    limits.set(Rates(creates=1, others=1, window_s=10))
    limits.take("kv", Operation.SET)
    for now in (4.0, 9.9):
        with pytest.raises(Exception, match="too many requests") as raised:
            limits.take("kv", Operation.SET)
        assert getattr(raised.value, "headers")["Retry-After"] == {4.0: "6", 9.9: "1"}[now]  # noqa: B009  typed as Exception
    limits.take("other", Operation.SET)
    now = 10.0
    limits.take("kv", Operation.SET)


async def test_the_clock_goes_forward_on_request_and_never_back(rest: Rest, control: Rest) -> None:
    _, first, _ = await rest("PUT", "/secrets/db", json={"value": "x"})

    status, answer, _ = await control("POST", "/clock", json={"shift_s": 3600})

    assert (status, answer["offset_s"]) == (200, 3600)
    _, second, _ = await rest("PUT", "/secrets/db", json={"value": "y"})
    assert second["attributes"]["created"] - first["attributes"]["created"] >= 3600
    assert (await control("POST", "/clock", json={"shift_s": -1}))[0] == 400
    assert (await control("POST", "/clock", json={}))[0] == 400
    assert (await control("GET", "/clock"))[1]["offset_s"] == 3600


async def test_a_shifted_clock_leaves_tokens_good(vaults: LocalVaults, client: SecretClient) -> None:
    vaults.clock.shift(400 * 86_400)

    assert (await client.set_secret("db", "x")).value == "x"


async def test_the_record_of_calls_tells_who_did_what_and_never_a_value(rest: Rest, control: Rest) -> None:
    await rest("PUT", "/secrets/db", json={"value": "hunter2"})
    await rest("GET", "/secrets/db")
    await rest("GET", "/secrets/no")
    await rest("GET", "/secrets/db/versions")

    _, calls, _ = await control("GET", "/calls")

    shown = [(call["vault"], call["method"], call["operation"], call["name"], call["status"]) for call in calls]
    assert shown == [
        (VAULT, "PUT", "set", "db", 200),
        (VAULT, "GET", "get", "db", 200),
        (VAULT, "GET", "get", "no", 404),
        (VAULT, "GET", "versions", "db", 200),
    ]
    assert all(call["at"] and call["duration_ms"] >= 0 for call in calls)
    assert "hunter2" not in str(calls)
    query = {"params": {"operation": "get", "status": "404"}}
    assert [call["name"] for call in (await control("GET", "/calls", **query))[1]] == ["no"]
    await control("DELETE", "/calls")
    assert (await control("GET", "/calls"))[1] == []


async def test_control_calls_need_the_key(control: Rest) -> None:
    for headers in ({}, {"X-Control-Key": "guess"}):
        status, body, _ = await control("GET", "/calls", headers=headers)
        assert status == 401
        assert "X-Control-Key" in body["error"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/rights", {}),
        ("/rights", {"deny": ["fly"]}),
        ("/limits", {"colour": "red"}),
        ("/event-endpoint", {"url": "ftp://x"}),
        ("/clock", []),
    ],
)
async def test_a_control_call_that_can_not_be_says_why(control: Rest, path: str, body: Any) -> None:
    status, answer, _ = await control("POST", path, json=body)

    assert status == 400
    assert answer["error"]
