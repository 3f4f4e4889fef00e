"""One credential in three secrets of two vaults, against the real stack."""

import re

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rotation.model import SecretValue
from tests.e2e.deployment import Deployment, logs_in

LED, FOLLOWS = "led", "led-follows"
TAGS = {"follows": f"kv-demo/{LED}", "team": "reports"}
OTHER = "kv-orders"


async def values(app: Deployment) -> list[SecretValue]:
    """The leader's, and those of its followers."""
    found = [await app.get(LED), await app.get(FOLLOWS), await app.get(FOLLOWS, vault=OTHER)]
    return [SecretValue(one.value or "") for one in found]


async def test_after_a_rotation_all_three_log_in_and_who_is_not_named_is_denied(app: Deployment) -> None:
    value = await app.role("led_app")
    keywords = make_conninfo("", **conninfo_to_dict(value.reveal()), application_name="reports")
    await app.put(LED, value, {"rotator": "postgres"})
    await app.put(FOLLOWS, keywords, TAGS, content_type="keywords")
    await app.put(FOLLOWS, value, TAGS, vault=OTHER)

    answer = await app.rotate(FOLLOWS, vault=OTHER)
    assert (answer.status, answer.json["outcome"], answer.json["secret"]) == (200, "rotated", LED), answer.text
    assert answer.json["detail"].startswith(f"{OTHER}/{FOLLOWS} follows kv-demo/{LED}: ")
    assert not await logs_in(value)
    assert [await logs_in(one) for one in await values(app)] == [True, True, True]
    kept = await app.get(FOLLOWS)
    assert (kept.properties.tags, kept.properties.content_type) == (TAGS, "keywords")
    assert conninfo_to_dict(kept.value or "")["application_name"] == "reports"

    leader = await app.read(LED)
    assert {(one["vault"], one["secret"], one["past"]) for one in leader["followers"]} == {
        ("kv-demo", FOLLOWS, True), (OTHER, FOLLOWS, True)
    }  # fmt: skip
    follower = await app.read(FOLLOWS, vault=OTHER)
    assert (follower["state"], follower["follows"], follower["history"]) == ("follower", f"kv-demo/{LED}", [])

    await app.put("stranger-follows", value, TAGS, vault=OTHER)
    denied = await app.rotate("stranger-follows", vault=OTHER)
    assert (denied.status, denied.json["field"]) == (403, "follows"), denied.text
    assert LED not in denied.json["detail"].replace(f"{OTHER}/stranger-follows", "")
    assert "follows" not in await app.read("stranger-follows", vault=OTHER)


async def test_a_follower_written_by_hand_is_mended_by_the_sweep_and_a_plan_says_so(app: Deployment) -> None:
    value = await app.role("led_again")
    await app.put(LED, value, {"rotator": "postgres"})
    await app.put(FOLLOWS, value, TAGS)
    await app.put(FOLLOWS, value, TAGS, vault=OTHER)
    assert (await app.rotate(LED)).json["outcome"] == "rotated"
    await app.put(FOLLOWS, value, TAGS)  # its old login, which is dead
    plan = await app.rotate(LED, dry_run="true")
    assert f"followers would be written: kv-demo/{FOLLOWS}" in plan.json["detail"]
    assert [await logs_in(one) for one in await values(app)] == [True, False, True]
    await app.sweep()
    assert [await logs_in(one) for one in await values(app)] == [True, True, True]
    await app.put(FOLLOWS, re.sub("@[^:/]+", "@db.example", value.reveal()), TAGS, vault=OTHER)
    answer = await app.rotate(LED)
    assert answer.json["outcome"] == "deferred", answer.text
    assert "it leads to a host that its leader does not ask for" in answer.json["detail"]
