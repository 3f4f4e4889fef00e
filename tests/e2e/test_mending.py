"""What people break by hand is noticed, and mended or told."""

import secrets
from datetime import timedelta

from tests.e2e.deployment import Deployment, logs_in, steps


async def test_a_password_changed_by_hand_is_reconciled_by_the_administrator(app: Deployment) -> None:
    await app.put("pg-admin", app.admin, life=None)
    value = await app.role("drift_app")
    await app.put("drift-by-admin", value, {"rotator": "postgres"})
    assert (await app.rotate("drift-by-admin")).json["outcome"] == "rotated"
    await app.set_password("drift_app", secrets.token_urlsafe(24))
    assert not await logs_in(value)
    answer = await app.rotate("drift-by-admin")
    assert (answer.status, answer.json["outcome"]) == (200, "repaired"), answer.text
    assert await logs_in(await app.value("drift-by-admin"))


async def test_without_an_administrator_the_refusal_says_what_to_do(app: Deployment) -> None:
    value = await app.role("locked_app")
    await app.put("locked", value, {"rotator": "postgres"})
    version = (await app.rotate("locked")).json["version"]
    await app.set_password("locked_app", secrets.token_urlsafe(24))
    answer = await app.rotate("locked")
    assert answer.status == 502, answer.text
    assert "admin" in answer.json["detail"]
    assert (await app.get("locked")).properties.version == version
    # And once somebody did it, the next look goes on by itself.
    await app.put("locked", await app.set_password("locked_app", secrets.token_urlsafe(24)), {"rotator": "postgres"})
    assert (await app.rotate("locked")).json["outcome"] == "rotated"
    assert await logs_in(await app.value("locked"))


async def test_a_version_written_by_hand_that_does_not_log_in_is_repaired_by_the_sweep(app: Deployment) -> None:
    await app.put("mistyped", await app.role("mistyped_app"), {"rotator": "postgres"})
    assert (await app.rotate("mistyped")).json["outcome"] == "rotated"
    good = await app.value("mistyped")
    await app.put("mistyped", good.reveal().replace("mistyped_app:", "mistyped_app:typo-"), {"rotator": "postgres"})
    assert not await logs_in(await app.value("mistyped"))
    await app.sweep()
    assert await logs_in(await app.value("mistyped"))
    told = await app.read("mistyped")
    assert "repaired" in steps(told)


async def test_a_version_written_by_hand_that_works_is_adopted_and_left(app: Deployment) -> None:
    await app.put("adopted", await app.role("adopted_app"), {"rotator": "postgres"})
    assert (await app.rotate("adopted")).json["outcome"] == "rotated"
    mine = await app.set_password("adopted_app", secrets.token_urlsafe(24))
    version = await app.put("adopted", mine, {"rotator": "postgres"})
    await app.sweep()
    assert (await app.get("adopted")).properties.version == version
    assert await logs_in(mine)
    assert steps(await app.read("adopted"))[-1] == "adopted"


async def test_lost_tags_are_told_and_restored_on_request(app: Deployment) -> None:
    await app.put("untagged", await app.role("untagged_app"), {"rotator": "postgres", "validity-days": "60"})
    assert (await app.rotate("untagged")).json["outcome"] == "rotated"
    mine = await app.set_password("untagged_app", secrets.token_urlsafe(24))
    version = await app.put("untagged", mine)
    answer = await app.rotate("untagged")
    assert answer.json["outcome"] == "tags_lost"
    assert "restore_tags" in answer.json["detail"]
    assert (await app.read("untagged"))["state"] == "tags_lost"
    await app.sweep()
    assert "tags_lost kv-demo/untagged" in (app.stack.data / "host.log").read_text()
    restored = await app.rotate("untagged", restore_tags="true")
    assert restored.status == 200, restored.text
    tags = (await app.get("untagged")).properties.tags
    assert tags is not None
    assert (tags["rotator"], tags["validity-days"]) == ("postgres", "60")
    assert version in {version, *await app.versions("untagged")}
    assert await logs_in(await app.value("untagged"))


async def test_a_secret_restored_to_an_old_version_by_hand_is_mended(app: Deployment) -> None:
    """Somebody copies last month's value into a new version: it is refused, and the one that works comes back."""
    first = await app.role("rolled_app")
    await app.put("rolled-back", first, {"rotator": "postgres"})
    assert (await app.rotate("rolled-back")).json["outcome"] == "rotated"
    await app.put("rolled-back", first, {"rotator": "postgres"}, life=timedelta(days=80))
    assert (await app.rotate("rolled-back")).json["outcome"] == "repaired"
    assert await logs_in(await app.value("rolled-back"))


async def test_a_secret_whose_tag_was_taken_off_is_unmanaged_and_not_one_that_lost_its_tags(app: Deployment) -> None:
    await app.put("let-go", await app.role("let_go_app"), {"rotator": "postgres"})
    assert (await app.rotate("let-go")).json["outcome"] == "rotated"
    await app.client().update_secret_properties("let-go", tags={"team": "orders"})
    assert (await app.rotate("let-go")).json["outcome"] == "unmanaged"
    assert (await app.read("let-go"))["state"] == "unmanaged"
