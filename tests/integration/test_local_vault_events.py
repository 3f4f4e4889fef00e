"""The events that the local vault raises by itself, and how it delivers them."""

import asyncio
import signal
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest
from azure.eventgrid import EventGridEvent
from azure.keyvault.secrets.aio import SecretClient

from local.vault import LocalVaults
from local.vault.outbox import EXPIRED, NEAR_EXPIRY, NEW_VERSION, Event
from tests.integration.vault_fixtures import VAULT, NewRest, NewVaults, Receiver, Rest, VaultProcess, eventually

DAY = 86_400


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


async def raised(vaults: LocalVaults, count: int) -> list[Event]:
    async def there() -> bool:
        return len(vaults.outbox.events()) >= count

    await eventually(there)
    return vaults.outbox.events()


async def settled(vaults: LocalVaults, count: int) -> list[Event]:
    async def so() -> bool:
        return len([event for event in vaults.outbox.events() if event.state != "pending"]) >= count

    await eventually(so)
    return vaults.outbox.events()


async def test_a_life_under_30_days_is_announced_at_once(
    vaults: LocalVaults, client: SecretClient, receiver: Receiver
) -> None:
    vaults.publisher.endpoint = receiver.url
    made = await client.set_secret("orders-db", "hunter2", expires_on=in_days(20), not_before=in_days(-1))

    (event,) = await receiver.wait_for(1)

    assert receiver.headers == ["Notification"]
    assert event["eventType"] == "Microsoft.KeyVault.SecretNearExpiry"
    assert event["subject"] == "orders-db"
    assert event["topic"].endswith(f"/providers/Microsoft.KeyVault/vaults/{VAULT}")
    assert (event["dataVersion"], event["metadataVersion"]) == ("1", "1")
    assert made.properties.expires_on is not None
    assert made.properties.not_before is not None
    assert event["data"] == {
        "Id": made.id,
        "VaultName": VAULT,
        "ObjectType": "Secret",
        "ObjectName": "orders-db",
        "Version": made.properties.version,
        "NBF": int(made.properties.not_before.timestamp()),
        "EXP": int(made.properties.expires_on.timestamp()),
    }
    assert "hunter2" not in str(event)
    parsed = EventGridEvent.from_dict(event)
    assert abs(parsed.event_time - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_long_life_is_announced_30_days_before_it_ends_and_when_it_ends(
    vaults: LocalVaults, client: SecretClient
) -> None:
    await client.set_secret("db", "x", expires_on=in_days(90))
    vaults.outbox.raise_due(vaults.clock.now() + 59 * DAY)
    assert vaults.outbox.events() == []

    vaults.clock.shift(60 * DAY + 60)
    assert [event.type for event in await raised(vaults, 1)] == [NEAR_EXPIRY]

    vaults.clock.shift(30 * DAY)
    assert [event.type for event in await raised(vaults, 2)] == [NEAR_EXPIRY, EXPIRED]


async def test_only_the_current_version_raises_events(vaults: LocalVaults, client: SecretClient) -> None:
    await client.set_secret("db", "x", expires_on=in_days(40))
    second = await client.set_secret("db", "y", expires_on=in_days(50))

    vaults.outbox.raise_due(vaults.clock.now() + 100 * DAY)

    events = vaults.outbox.events()
    assert [(event.version, event.type) for event in events] == [
        (second.properties.version, NEAR_EXPIRY),
        (second.properties.version, EXPIRED),
    ]


async def test_each_event_is_raised_once_however_often_the_version_is_touched(
    vaults: LocalVaults, client: SecretClient
) -> None:
    await client.set_secret("db", "x", expires_on=in_days(20))
    await raised(vaults, 1)

    await client.update_secret_properties("db", expires_on=in_days(10))
    await client.delete_secret("db", _polling_interval=0)
    await client.recover_deleted_secret("db", _polling_interval=0)
    vaults.outbox.raise_due(vaults.clock.now())

    assert [event.type for event in vaults.outbox.events()] == [NEAR_EXPIRY]


async def test_an_expiry_given_later_counts_and_a_deleted_secret_is_silent(
    vaults: LocalVaults, client: SecretClient
) -> None:
    for name in ("db", "gone", "plain"):
        await client.set_secret(name, "x")
    for name in ("db", "gone"):
        await client.update_secret_properties(name, expires_on=in_days(40))
    await client.delete_secret("gone", _polling_interval=0)

    vaults.outbox.raise_due(vaults.clock.now() + 15 * DAY)

    assert [(event.name, event.type) for event in vaults.outbox.events()] == [("db", NEAR_EXPIRY)]


@pytest.mark.parametrize("asked_for", [True, False])
async def test_new_versions_are_announced_only_where_asked_for(
    new_vaults: NewVaults, new_rest: NewRest, asked_for: bool
) -> None:
    async with new_vaults(new_version_events=asked_for) as vaults:
        await put(new_rest(vaults.urls[VAULT]))

        assert [event.type for event in vaults.outbox.events()] == [NEW_VERSION] * asked_for


async def test_events_wait_for_an_endpoint_and_are_delivered_when_it_is_named(
    vaults: LocalVaults, client: SecretClient, control: Rest, receiver: Receiver
) -> None:
    await client.set_secret("db", "x", expires_on=in_days(1))
    await raised(vaults, 1)

    await control("POST", "/event-endpoint", json={"url": receiver.url})

    await receiver.wait_for(1)
    (event,) = await settled(vaults, 1)
    assert (event.state, event.attempts) == ("delivered", 1)
    assert (await control("GET", "/events"))[1][0]["id"] == event.id


async def test_an_endpoint_that_does_not_answer_well_is_tried_again(
    vaults: LocalVaults, client: SecretClient, receiver: Receiver
) -> None:
    receiver.answers = [500, 404]
    vaults.publisher.endpoint = receiver.url
    await client.set_secret("db", "x", expires_on=in_days(1))

    events = await receiver.wait_for(3)

    assert len({event["id"] for event in events}) == 1
    (event,) = await settled(vaults, 1)
    assert (event.state, event.attempts) == ("delivered", 3)


async def test_an_endpoint_that_is_not_there_yet_is_tried_again(
    vaults: LocalVaults, client: SecretClient, receiver: Receiver
) -> None:
    vaults.publisher.endpoint = "http://127.0.0.1:1/nobody"
    await client.set_secret("db", "x", expires_on=in_days(1))

    async def attempted() -> bool:
        return any(event.attempts for event in vaults.outbox.events())

    await eventually(attempted)
    vaults.publisher.endpoint = receiver.url
    await receiver.wait_for(1)


@pytest.mark.parametrize("status", [400, 403, 413])
async def test_a_final_refusal_is_not_tried_again(
    vaults: LocalVaults, client: SecretClient, receiver: Receiver, status: int
) -> None:
    receiver.answers = [status]
    vaults.publisher.endpoint = receiver.url
    await client.set_secret("db", "x", expires_on=in_days(1))

    (event,) = await settled(vaults, 1)

    assert (event.state, event.attempts) == ("refused", 1)
    assert vaults.outbox.pending() == []


async def test_a_mass_of_events_is_delivered_each_once(vaults: LocalVaults, rest: Rest, receiver: Receiver) -> None:
    exp = int(time.time()) + DAY
    for number in range(150):
        await rest("PUT", f"/secrets/db-{number}", json={"value": "x", "attributes": {"exp": exp}})
    vaults.publisher.endpoint = receiver.url

    events = await settled(vaults, 150)

    assert {(event.state, event.attempts) for event in events} == {("delivered", 1)}
    assert sorted(event["id"] for event in receiver.received) == sorted(event.id for event in events)


async def test_events_go_on_after_the_database_failed_for_a_while(
    vaults: LocalVaults, rest: Rest, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    raise_due = vaults.outbox.raise_due
    failed = asyncio.Event()

    def fail_once(now: float) -> None:
        monkeypatch.setattr(vaults.outbox, "raise_due", raise_due)
        failed.set()
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(vaults.outbox, "raise_due", fail_once)
    await failed.wait()
    await put(rest, exp=int(time.time()) + DAY)

    assert [event.type for event in await raised(vaults, 1)] == [NEAR_EXPIRY]
    assert "disk I/O error" in capfd.readouterr().err


async def test_events_are_replayed_on_request(
    vaults: LocalVaults, client: SecretClient, control: Rest, receiver: Receiver
) -> None:
    vaults.publisher.endpoint = receiver.url
    await client.set_secret("db", "x", expires_on=in_days(1))
    await client.set_secret("other", "x", expires_on=in_days(1))
    await settled(vaults, 2)

    assert (await control("POST", "/events/replay", json={"name": "DB"}))[1] == {"count": 1}

    events = await receiver.wait_for(3)
    assert events[2]["subject"] == "db"
    assert events[2]["id"] in {event["id"] for event in events[:2]}
    assert (await control("POST", "/events/replay", json={"ids": []}))[1] == {"count": 0}
    assert (await control("POST", "/events/replay", json={"type": EXPIRED}))[1] == {"count": 0}
    assert (await control("POST", "/events/replay", json={}))[1] == {"count": 2}


async def test_what_fell_due_while_the_vault_was_down_is_raised_after_it_is_up(
    new_vaults: NewVaults, new_rest: NewRest
) -> None:
    async with new_vaults() as vaults:
        await put(new_rest(vaults.urls[VAULT]), exp=int(time.time()) + 40 * DAY)
    async with new_vaults(clock_offset_s=15 * DAY) as vaults:
        assert [event.type for event in await raised(vaults, 1)] == [NEAR_EXPIRY]


async def test_a_kill_between_raising_and_acknowledgement_delivers_the_same_event_again(
    vault_process: VaultProcess, receiver: Receiver, new_rest: NewRest
) -> None:
    receiver.acknowledges = False
    await vault_process.start("--event-endpoint", receiver.url)
    await put(new_rest(vault_process.ready["vaults"][VAULT], vault_process.authority), exp=int(time.time()) + DAY)
    await receiver.wait_for(1)

    await vault_process.end(signal.SIGKILL)
    receiver.acknowledges = True
    await vault_process.start("--event-endpoint", receiver.url)

    first, again = await receiver.wait_for(2)
    assert first == again
    control = new_rest(vault_process.ready["control"]["url"])
    control.headers = {"X-Control-Key": vault_process.ready["control"]["key"]}

    async def delivered() -> bool:
        return [event["state"] for event in (await control("GET", "/events"))[1]] == ["delivered"]

    await eventually(delivered)


async def put(rest: Rest, *, exp: int | None = None) -> None:
    status, _, _ = await rest("PUT", "/secrets/db", json={"value": "x", "attributes": {"exp": exp}})
    assert status == 200
