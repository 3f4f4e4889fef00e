"""From "expires soon" to "rotated and proven"."""

import asyncio
from datetime import timedelta

from azure.core.exceptions import ResourceNotFoundError

from local.demo_cases import ACCOUNT_ID
from tests.e2e.deployment import VAULT, Deployment, logs_in, steps

SOON = timedelta(days=29, hours=23)


async def rotated(app: Deployment, name: str, version: str) -> str:
    """The version after `version`, once it is there and the work is done."""
    async with asyncio.timeout(30):
        while (await app.get(name)).properties.version == version:  # noqa: ASYNC110  the vault tells by being read
            await asyncio.sleep(0.05)
    await app.idle()
    return str((await app.get(name)).properties.version)


async def test_the_vaults_own_event_rotates_a_password_in_place(app: Deployment) -> None:
    old = await app.role("inplace_app")
    version = await app.put("inplace", old, {"rotator": "postgres", "team": "orders"}, life=SOON, content_type="text")
    await rotated(app, "inplace", version)
    assert not await logs_in(old)
    assert await logs_in(await app.value("inplace"))
    new = (await app.get("inplace")).properties
    assert new.tags is not None
    assert new.tags["team"] == "orders"
    assert new.tags["rotated-from"] == version
    assert new.content_type == "text"
    told = await app.read("inplace")
    assert told["state"] == "current"
    assert told["slot"] == "inplace_app"
    assert steps(told) == ["adopted", "staged", "applying", "published", "rotated"]


async def test_the_staged_value_is_disabled_after_use_and_never_deleted(app: Deployment) -> None:
    old = await app.role("staged_app")
    await app.put("staged", old, {"rotator": "postgres"})
    assert (await app.rotate("staged")).json["outcome"] == "rotated"
    companion = [one async for one in app.client().list_properties_of_secret_versions("staged--staged")]
    assert [one.enabled for one in companion] == [False]
    assert companion[0].expires_on is None
    assert companion[0].tags is not None
    assert companion[0].tags["staged-for"]


async def test_two_roles_take_turns_and_the_old_value_goes_on_working(app: Deployment) -> None:
    tags = {"rotator": "postgres-alternating", "slots": "turn_a,turn_b"}
    await app.put("turns", await app.role("turn_b"), life=None)
    old = await app.role("turn_a")
    version = await app.put("turns", old, tags, life=SOON)
    await rotated(app, "turns", version)
    new = await app.value("turns")
    assert "turn_b" in new.reveal()
    assert await logs_in(old)
    assert await logs_in(new)
    again = await app.rotate("turns")
    assert again.json["outcome"] == "deferred"
    assert "grace" in again.json["detail"]


async def test_a_storage_key_and_a_generated_key_rotate(app: Deployment) -> None:
    keys = app.stack.azure_control.post("accounts", {"id": ACCOUNT_ID})["keys"]
    first = await app.put("storage", keys["key1"], {"rotator": "storage-key", "target": ACCOUNT_ID, "slot": "key1"})
    second = await app.put("made-here", "0" * 64, {"rotator": "generated", "format": "hex"})
    assert (await app.rotate("storage")).json["slot"] == "key2"
    assert (await app.rotate("made-here")).json["outcome"] == "rotated"
    assert (await app.get("storage")).properties.version != first
    assert (await app.get("made-here")).properties.version != second


async def test_a_life_under_thirty_days_does_not_loop(app: Deployment) -> None:
    """Key Vault raises near-expiry for the new version at once: it is not due before half its life is over."""
    old = await app.role("short_app")
    version = await app.put(
        "short", old, {"rotator": "postgres", "validity-days": "20", "lead-days": "30"}, life=timedelta(days=9)
    )
    new = await rotated(app, "short", version)
    async with asyncio.timeout(30):
        while not any(  # noqa: ASYNC110  as above
            one["version"] == new and one["state"] == "delivered" for one in app.stack.vault_control.get("events")
        ):
            await asyncio.sleep(0.05)
    await app.idle()
    await app.sweep()
    assert len(await app.versions("short")) == 2


async def test_an_expired_secret_rotates(app: Deployment) -> None:
    old = await app.role("late_app")
    version = await app.put("late", old, {"rotator": "postgres"}, life=timedelta(seconds=-60))
    await rotated(app, "late", version)
    assert await logs_in(await app.value("late"))


async def test_a_lost_event_is_found_by_the_sweep(app: Deployment) -> None:
    old = await app.role("swept_app")
    version = await app.put("swept", old, {"rotator": "postgres", "lead-days": "45"}, life=timedelta(days=40))
    await app.sweep()
    assert await rotated(app, "swept", version) != version
    assert await logs_in(await app.value("swept"))


async def test_many_are_asked_for_at_once(app: Deployment) -> None:
    for number in range(3):
        await app.put(f"bulk-{number}", await app.role(f"bulk_{number}"), {"rotator": "postgres"})
    await app.put("bulk-unmanaged", "nothing")
    answer = await app.call("POST", "/api/rotations", json={"vaults": [VAULT], "names": ["bulk-*"]})
    assert answer.status == 202
    assert answer.json["count"] == 3
    await app.idle()
    for number in range(3):
        assert len(await app.versions(f"bulk-{number}")) == 2
    assert len(await app.versions("bulk-unmanaged")) == 1


async def test_what_nobody_manages_has_no_companion_and_no_history(app: Deployment) -> None:
    await app.put("plain", "not managed")
    answer = await app.rotate("plain")
    assert (answer.status, answer.json["outcome"]) == (200, "unmanaged")
    try:
        await app.get("plain--staged")
    except ResourceNotFoundError:
        pass
    else:
        raise AssertionError("a companion was made")
    assert (await app.read("plain"))["history"] == []
