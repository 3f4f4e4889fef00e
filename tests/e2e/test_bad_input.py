"""Bad input: one clear line that names the field and the remedy, no value in it, and nothing changed."""

import secrets
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rotation.model import SecretValue
from tests.e2e.deployment import Answer, Deployment, logs_in

POSTGRES = {"rotator": "postgres"}


async def refused(app: Deployment, name: str, status: int, *said: str, **query: str) -> Any:
    """Rotate, and be refused with a problem of RFC 9457 -> its body."""
    before = await app.versions(name)
    answer = await app.rotate(name, **query)
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    body = answer.json
    assert body["status"] == status
    assert "\n" not in body["detail"]
    for text in said:
        assert text in body["detail"]
    assert await app.versions(name) == before
    return body


async def place(app: Deployment, name: str, **tags: str) -> SecretValue:
    """A good secret but for these tags."""
    value = await app.role(f"{name}_bad")
    await app.put(name, value, {**POSTGRES, **{tag.replace("_", "-"): text for tag, text in tags.items()}})
    return value


@pytest.mark.parametrize(
    ("name", "tags", "status", "field"),
    [
        ("unknown-rotator", {"rotator": "oracle"}, 422, "rotator"),
        ("wrong-number", {"validity_days": "ninety"}, 422, "validity-days"),
        ("zero-days", {"validity_days": "0"}, 422, "validity-days"),
        ("negative-grace", {"grace_hours": "-1"}, 422, "grace-hours"),
        ("unknown-format", {"format": "xml"}, 422, "format"),
        ("wrong-format", {"format": "jdbc"}, 422, "format"),
    ],
)
async def test_a_wrong_tag_is_named(app: Deployment, name: str, tags: dict[str, str], status: int, field: str) -> None:
    value = await place(app, name, **tags)
    body = await refused(app, name, status, "jdbc" if name == "wrong-format" else field)
    assert body["field"] == field
    assert await logs_in(value)


async def test_a_life_longer_than_the_policy_permits_is_denied(app: Deployment) -> None:
    await place(app, "too-long", validity_days="3000")
    body = await refused(app, "too-long", 403, "validity-days")
    assert body["outcome"] == "denied"


async def test_what_no_rule_covers_is_denied(app: Deployment) -> None:
    await app.put("pg-admin", app.admin, POSTGRES, vault="kv-orders")
    answer = await app.rotate("pg-admin", vault="kv-orders")
    assert answer.status == 403
    assert "rule" in answer.json["detail"]
    assert await logs_in(app.admin)


async def test_a_target_outside_the_policy_is_denied_and_not_connected_to(app: Deployment) -> None:
    await app.put("elsewhere-db", "postgresql://u:p4ssw0rd-of-nobody@db.example.org/orders", POSTGRES)
    await refused(app, "elsewhere-db", 403, "no rule lists it", "not among the `targets`")


async def test_sixteen_tags_are_told_before_anything_changes(app: Deployment) -> None:
    value = await app.role("tagged_bad")
    extra = {f"extra-{number}": "x" for number in range(13)}
    await app.put("sixteen-tags", value, {**POSTGRES, **extra})
    await refused(app, "sixteen-tags", 422, "a vault keeps 15")
    assert await logs_in(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("no-user", "postgresql://127.0.0.1/orders"),
        ("empty", " "),
        ("half-json", '{"host": "127.0.0.1", "password":'),
        ("plain-without-target", "just-a-password-and-nothing-else"),
    ],
)
async def test_a_value_that_cant_be_understood_is_never_shown(app: Deployment, name: str, value: str) -> None:
    await app.put(name, value, POSTGRES)
    before = await app.versions(name)
    answer = await app.rotate(name)
    assert answer.status == 422, answer.text
    assert answer.json["field"] in {"value", "target", "format", "slot"}
    assert value == " " or value not in answer.text
    assert await app.versions(name) == before


async def test_a_server_that_is_down_is_503_and_asked_again_later(app: Deployment) -> None:
    down = SecretValue("postgresql://somebody:not-a-real-password@127.0.0.1:1/orders")
    version = await app.put("server-down", down, POSTGRES)
    answer = await app.rotate("server-down")
    assert answer.status == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    await app.near_expiry("server-down", version, kind="SecretExpired")
    assert (await app.versions("server-down")) == [version]


async def test_a_wrong_password_of_a_new_secret_says_what_to_do(app: Deployment) -> None:
    await place(app, "wrong-password")
    await app.set_password("wrong-password_bad", secrets.token_urlsafe(20))
    await refused(app, "wrong-password", 502, "working value", "adopt=reset&slots=wrong-password_bad")


async def test_a_role_without_login_is_told(app: Deployment) -> None:
    value = await app.role("nologin_bad", options="NOLOGIN")
    await app.put("no-login", value, POSTGRES)
    await refused(app, "no-login", 502, "LOGIN")


async def test_a_server_that_asks_for_the_password_in_clear_does_not_get_it(app: Deployment) -> None:
    value = await place(app, "clear-text")
    postgres = app.stack.postgres
    postgres.hba = ('host all "clear-text_bad" all password',)
    postgres.reload()
    try:
        await refused(app, "clear-text", 502, "SCRAM", "pg_hba.conf")
    finally:
        postgres.hba = ()
        postgres.reload()
    assert await logs_in(value)


async def test_a_disabled_secret_is_told(app: Deployment) -> None:
    await place(app, "disabled")
    latest = (await app.get("disabled")).properties
    await app.client().update_secret_properties("disabled", latest.version, enabled=False)
    await refused(app, "disabled", 422, "disabled")


async def test_a_deleted_secret_is_not_there(app: Deployment) -> None:
    await place(app, "deleted")
    await app.client().delete_secret("deleted")
    answer = await app.rotate("deleted")
    assert (answer.status, answer.json["type"]) == (404, "urn:keyturn:problem:not_found")


async def test_a_name_too_long_for_its_companion_is_told(app: Deployment) -> None:
    name = "n" * 122
    value = await app.role("long_bad")
    await app.put(name, value, POSTGRES)
    await refused(app, name, 422, "name")
    assert await logs_in(value)


async def test_a_companion_is_not_rotated_itself(app: Deployment) -> None:
    await app.put("sneaky--staged", await app.role("sneaky_bad"), POSTGRES)
    answer = await app.rotate("sneaky--staged")
    assert answer.status in {403, 422}, answer.text


@pytest.mark.parametrize(
    ("query", "field"),
    [({"force": "please"}, "force"), ({"dry_run": "maybe"}, "dry_run"), ({"restore_tags": "1"}, "restore_tags")],
)
async def test_a_wrong_query_is_named(app: Deployment, query: dict[str, str], field: str) -> None:
    answer = await app.rotate("whatever", **query)
    assert (answer.status, answer.json["field"]) == (400, field)


@pytest.mark.parametrize(
    "body", ["", "[", "[]", "{}", '{"vault": ["kv-demo"]}', '{"names": 7}', '{"names": [""]}', '{"force": "x"}', "null"]
)
async def test_a_wrong_filter_asks_for_nothing(app: Deployment, body: str) -> None:
    before = await app.queue()
    answer = await app.call("POST", "/api/rotations", data=body)
    assert answer.status == 400, answer.text
    assert await app.queue() == before


async def test_a_blank_if_version_is_refused_and_not_taken_for_any_version(app: Deployment) -> None:
    answer = await app.rotate("whatever", if_version="")
    assert (answer.status, answer.json["field"]) == (400, "if_version")


@pytest.mark.parametrize("body", [{"names": []}, {"force": "true"}, {"vaults": [], "rotators": []}])
async def test_a_filter_that_names_nothing_asks_for_nothing(app: Deployment, body: dict[str, object]) -> None:
    answer = await app.call("POST", "/api/rotations", json=body)
    assert (answer.status, answer.json["field"]) == (400, "body")


async def test_an_unknown_vault_is_404_everywhere(app: Deployment) -> None:
    wishes: list[Answer] = [
        await app.rotate("x", vault="kv-nobody"),
        await app.call("GET", "/api/vaults/kv-nobody/secrets"),
        await app.call("GET", "/api/vaults/kv-nobody/secrets/x"),
        await app.call("POST", "/api/rotations", json={"vaults": ["kv-nobody"]}),
    ]
    assert [answer.status for answer in wishes] == [404] * 4


async def test_a_name_that_no_secret_can_have_is_404_and_not_asked_for(app: Deployment) -> None:
    for name in ("a%2Fb", "..%2F..%2Fkeys", "a%20b", "%00", "x" * 200):
        answer = await app.call("POST", f"/api/vaults/kv-demo/secrets/{name}/rotate")
        assert answer.status in {400, 404}, (name, answer.text)


async def test_without_a_key_only_health_and_the_document_answer(app: Deployment) -> None:
    for method, path in (
        ("GET", "/api/vaults/kv-demo/secrets"),
        ("GET", "/api/vaults/kv-demo/secrets/x"),
        ("POST", "/api/vaults/kv-demo/secrets/x/rotate"),
        ("POST", "/api/rotations"),
    ):
        assert (await app.call(method, path, key=None)).status == 401
        assert (await app.call(method, path, key="wrong")).status == 401
    health = await app.call("GET", "/api/health", key=None)
    assert (health.status, health.json["status"]) == (200, "ok")
    assert (await app.call("GET", "/api/openapi.json", key=None)).status == 200


async def test_a_throttled_vault_is_503_with_retry_after(app: Deployment) -> None:
    await place(app, "throttled")
    fault = {"kind": "status", "status": 429, "name": "throttled", "retry_after_s": 7}
    app.stack.vault_control.post("faults", fault)
    try:
        answer = await app.rotate("throttled")
    finally:
        app.stack.vault_control.delete("faults")
    assert answer.status == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_server_that_is_read_only_is_told(app: Deployment) -> None:
    value = await place(app, "read-only")
    statement = sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(sql.Identifier("read-only_bad"))
    async with await psycopg.AsyncConnection.connect(app.admin.reveal(), autocommit=True) as connection:
        await connection.execute(statement)
    answer = await app.rotate("read-only")
    assert answer.status in {200, 502, 503}, answer.text
    assert await logs_in(await app.value("read-only"))
    assert answer.status != 200 or not await logs_in(value)


async def test_a_password_whose_time_is_over_is_told(app: Deployment) -> None:
    await place(app, "valid-until")
    statement = sql.SQL("ALTER ROLE {} VALID UNTIL '2001-01-01'").format(sql.Identifier("valid-until_bad"))
    async with await psycopg.AsyncConnection.connect(app.admin.reveal(), autocommit=True) as connection:
        await connection.execute(statement)
    await refused(app, "valid-until", 502)


async def test_a_stale_wish_is_a_conflict(app: Deployment) -> None:
    await place(app, "stale-wish")
    first = (await app.get("stale-wish")).properties.version or ""
    assert (await app.rotate("stale-wish", if_version=first)).json["outcome"] == "rotated"
    body = await refused(app, "stale-wish", 409, if_version=first)
    assert body["field"] == "if_version"


async def test_a_dry_run_changes_nothing_and_says_what_would_be_done(app: Deployment) -> None:
    value = await place(app, "planned")
    version = (await app.get("planned")).properties.version
    answer = await app.rotate("planned", dry_run="true")
    assert (answer.status, answer.json["outcome"]) == (200, "planned")
    assert "127.0.0.1" in answer.json["detail"]
    assert (await app.get("planned")).properties.version == version
    assert (await app.read("planned"))["history"] == []
    assert await logs_in(value)


async def test_the_answer_of_a_rotation_has_the_fields_that_are_promised(app: Deployment) -> None:
    await place(app, "shape")
    answer = await app.rotate("shape")
    names = "outcome vault secret version previous_version operation_id slot expires_on duration_ms"
    promised = set(names.split())
    assert promised <= answer.json.keys()
    assert all(answer.json[name] for name in promised)
    told = await app.read("shape")
    assert {
        *promised - {"outcome", "previous_version", "operation_id", "duration_ms"},
        "rotator",
        "state",
        "last",
        "history",
    } <= told.keys()
    listed = await app.call("GET", "/api/vaults/kv-demo/secrets")
    assert any(one["secret"] == "shape" and one["state"] == "current" for one in listed.json["secrets"])


async def test_an_event_for_bad_input_ends_in_no_loop(app: Deployment) -> None:
    """A permanent refusal is told once and uses its message up."""
    await place(app, "told-once", format="xml")
    version = (await app.get("told-once")).properties.version or ""
    await app.near_expiry("told-once", version)
    await app.idle()
    queue = await app.queue()
    assert queue["poison"] == 0
