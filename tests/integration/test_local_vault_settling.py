"""What takes the service seconds after it answered, and what it says meanwhile; two who write one secret together."""

import asyncio
import math
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.secrets.aio import SecretClient

from local.vault import LocalVaults
from tests.integration.vault_fixtures import Rest

LONG = 3600


def error_of(body: Any) -> tuple[str, str | None]:
    return body["error"]["code"], body["error"].get("innererror", {}).get("code")


@pytest.fixture
def slow(vaults: LocalVaults) -> LocalVaults:
    vaults.settling.set(LONG)
    return vaults


async def answers(rest: Rest, *calls: str) -> list[tuple[int, str | None]]:
    found = []
    for call in calls:
        method, _, path = call.partition(" ")
        status, body, _ = await rest(method, path, json={"value": "y"} if method == "PUT" else None)
        found.append((status, error_of(body)[1] if status >= 400 else None))
    return found


async def test_a_secret_that_is_being_deleted_is_neither_here_nor_there(slow: LocalVaults, rest: Rest) -> None:
    """The recordings of @azure/keyvault-secrets; terraform-provider-azurerm#10454 for the 409."""
    await rest("PUT", "/secrets/db", json={"value": "x"})

    status, body, _ = await rest("DELETE", "/secrets/db")

    assert status == 200
    assert body["recoveryId"].endswith("/deletedsecrets/db")
    assert await answers(rest, "GET /secrets/db", "GET /deletedsecrets/db", "GET /secrets/db/versions") == [
        (404, None), (404, None), (200, None),
    ]  # fmt: skip
    assert (await rest("GET", "/deletedsecrets"))[1]["value"] == (await rest("GET", "/secrets"))[1]["value"] == []
    being_deleted = (409, "ObjectIsBeingDeleted")
    writes = ("PUT /secrets/db", "DELETE /secrets/db", "POST /deletedsecrets/db/recover", "DELETE /deletedsecrets/db")
    assert await answers(rest, *writes) == [being_deleted] * 4
    slow.clock.shift(LONG)
    assert await answers(rest, "GET /deletedsecrets/db", "PUT /secrets/db") == [
        (200, None), (409, "ObjectIsDeletedButRecoverable"),
    ]  # fmt: skip


async def test_a_secret_that_is_being_recovered_can_be_neither_read_nor_written(slow: LocalVaults, rest: Rest) -> None:
    """azure-sdk-for-net#31581."""
    await rest("PUT", "/secrets/db", json={"value": "x"})
    await rest("DELETE", "/secrets/db")
    slow.clock.shift(LONG)

    status, body, _ = await rest("POST", "/deletedsecrets/db/recover")

    assert (status, body["id"].rpartition("/")[0].endswith("/secrets/db")) == (200, True)
    assert await answers(rest, "GET /secrets/db", "GET /deletedsecrets/db") == [(404, None), (404, None)]
    being_recovered = (409, "ObjectIsBeingRecovered")
    assert await answers(rest, "PUT /secrets/db", "DELETE /deletedsecrets/db") == [being_recovered] * 2
    slow.clock.shift(LONG)
    assert (await rest("GET", "/secrets/db"))[1]["value"] == "x"
    assert await answers(rest, "PUT /secrets/db") == [(200, None)]


async def test_a_purged_name_is_free_after_a_while(slow: LocalVaults, rest: Rest) -> None:
    await rest("PUT", "/secrets/db", json={"value": "x"})
    await rest("DELETE", "/secrets/db")
    slow.clock.shift(LONG)

    assert (await rest("DELETE", "/deletedsecrets/db"))[0] == 204

    being_deleted = (409, "ObjectIsBeingDeleted")
    assert await answers(rest, "PUT /secrets/db", "POST /deletedsecrets/db/recover") == [being_deleted] * 2
    assert await answers(rest, "GET /deletedsecrets/db") == [(200, None)]
    slow.clock.shift(LONG)
    assert await answers(rest, "GET /deletedsecrets/db", "PUT /secrets/db") == [(404, None), (200, None)]


async def test_a_restored_secret_is_read_at_once_and_written_after_a_while(slow: LocalVaults, rest: Rest) -> None:
    await rest("PUT", "/secrets/db", json={"value": "x"})
    backup = (await rest("POST", "/secrets/db/backup"))[1]
    for path in ("/secrets/db", "/deletedsecrets/db"):
        await rest("DELETE", path)
        slow.clock.shift(LONG)

    assert (await rest("POST", "/secrets/restore", json=backup))[0] == 200

    assert (await rest("GET", "/secrets/db"))[1]["value"] == "x"
    assert await answers(rest, "PUT /secrets/db", "PATCH /secrets/db") == [(409, "ObjectIsBeingRecovered")] * 2
    slow.clock.shift(LONG)
    assert await answers(rest, "PUT /secrets/db") == [(200, None)]


async def test_what_is_under_way_goes_on_after_a_restart(new_vaults: Any, new_rest: Any) -> None:
    async with new_vaults(settling_s=LONG) as first:
        await (rest := new_rest(first.urls["kv-demo"]))("PUT", "/secrets/db", json={"value": "x"})
        await rest("DELETE", "/secrets/db")
    async with new_vaults(settling_s=LONG) as second:
        rest = new_rest(second.urls["kv-demo"])
        assert await answers(rest, "PUT /secrets/db") == [(409, "ObjectIsBeingDeleted")]
        second.clock.shift(LONG)
        assert await answers(rest, "GET /deletedsecrets/db") == [(200, None)]


async def test_a_control_call_sets_how_long_it_takes(control: Rest, rest: Rest) -> None:
    assert (await control("POST", "/settling", json={"seconds": 0}))[0] == 204
    await rest("PUT", "/secrets/db", json={"value": "x"})
    await rest("DELETE", "/secrets/db")
    assert await answers(rest, "GET /deletedsecrets/db") == [(200, None)]
    for wrong in ({}, {"seconds": -1}, {"seconds": "long"}):
        assert (await control("POST", "/settling", json=wrong))[0] == 400


async def test_a_deleted_secret_that_is_disabled_is_forbidden(
    vaults: LocalVaults, client: SecretClient, rest: Rest
) -> None:
    """The SDK's poller takes a 403 for the end of a deletion: azure-keyvault-secrets, `DeleteRecoverPollingMethod`."""
    await client.set_secret("db", "x", enabled=False)
    await client.delete_secret("db", _polling_interval=0)
    vaults.clock.shift(LONG)

    status, body, _ = await rest("GET", "/deletedsecrets/db")

    assert (status, error_of(body)) == (403, ("Forbidden", "SecretDisabled"))
    assert [one.name async for one in client.list_deleted_secrets()] == ["db"]
    await client.recover_deleted_secret("db", _polling_interval=0)
    vaults.clock.shift(LONG)
    await client.update_secret_properties("db", enabled=True)
    assert (await client.get_secret("db")).value == "x"


async def test_the_sdk_waits_until_it_is_done(vaults: LocalVaults, client: SecretClient) -> None:
    await client.set_secret("db", "x")
    await client.delete_secret("db", _polling_interval=0.05)
    assert (await client.get_deleted_secret("db")).name == "db"
    await client.recover_deleted_secret("db", _polling_interval=0.05)
    assert (await client.get_secret("db")).value == "x"
    await client.delete_secret("db", _polling_interval=0.05)
    await client.purge_deleted_secret("db")
    vaults.clock.shift(1)
    with pytest.raises(ResourceNotFoundError):
        await client.get_deleted_secret("db")


async def test_created_and_updated_may_be_a_second_after_the_date_and_never_before_it(rest: Rest) -> None:
    ahead = set()
    for _ in range(5):
        _, body, headers = await rest("PUT", "/secrets/db", json={"value": "x"})
        date = parsedate_to_datetime(headers["Date"]).timestamp()
        ahead |= {body["attributes"]["created"] - date, body["attributes"]["updated"] - date}
    assert ahead <= {0, 1}
    assert 1 in ahead


async def test_a_stamp_is_rounded_up(vaults: LocalVaults) -> None:
    before = vaults.clock.now()
    assert math.ceil(before) <= vaults.clock.stamp() <= math.ceil(vaults.clock.now())


async def test_of_two_who_write_one_secret_together_one_is_refused(rest: Rest) -> None:
    """azure-sdk-for-net#51761: twenty parallel SetSecret calls for one name."""

    async def put(name: str) -> tuple[int, Any]:
        status, body, _ = await rest("PUT", f"/secrets/{name}", json={"value": "x"})
        return status, error_of(body) if status == 409 else None

    done = await asyncio.gather(*(put("db") for _ in range(20)))

    assert {one for one in done if one[0] != 200} == {(409, ("Conflict", None))}
    written = sum(status == 200 for status, _ in done)
    assert len((await rest("GET", "/secrets/db/versions"))[1]["value"]) == written >= 1
    others = await asyncio.gather(*(put(f"db-{number}") for number in range(20)))
    assert {status for status, _ in others} == {200}
