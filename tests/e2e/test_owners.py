"""One credential, one owner: strangers' secrets, takeovers and resets against the real stack."""

import secrets

import pytest

from tests.e2e.deployment import Deployment, logs_in

POSTGRES = {"rotator": "postgres"}


async def test_of_two_secrets_that_name_one_role_the_first_keeps_it_and_the_other_is_told(app: Deployment) -> None:
    value = await app.role("shared_app")
    await app.put("shared-first", value, POSTGRES)
    assert (await app.rotate("shared-first")).json["outcome"] == "rotated"
    await app.put("shared-second", (await app.value("shared-first")).reveal(), POSTGRES)
    answer = await app.rotate("shared-second")
    assert answer.status == 409, answer.text
    assert answer.json["type"] == "urn:keyturn:problem:bound_elsewhere"
    assert "kv-demo/shared-first" in answer.json["detail"]
    assert await logs_in(await app.value("shared-first"))
    taken = await app.rotate("shared-second", adopt="takeover")
    assert taken.json["outcome"] == "rotated", taken.text
    assert await logs_in(await app.value("shared-second"))
    assert (await app.rotate("shared-first")).status in {409, 502}
    assert await logs_in(await app.value("shared-second"))


async def test_one_server_under_two_names_is_one_server(app: Deployment) -> None:
    value = (await app.role("alias_app")).reveal()
    await app.put("alias-first", value, POSTGRES)
    assert (await app.rotate("alias-first")).json["outcome"] == "rotated"
    again = (await app.value("alias-first")).reveal()
    named = again.replace("127.0.0.1", "localhost") if "127.0.0.1" in again else again.replace("localhost", "127.0.0.1")
    assert named != again
    await app.put("alias-second", named, POSTGRES)
    answer = await app.rotate("alias-second")
    assert (answer.status, answer.json["type"]) == (409, "urn:keyturn:problem:bound_elsewhere"), answer.text


async def test_a_strangers_secret_does_not_change_a_role_though_the_administrator_could(app: Deployment) -> None:
    await app.put("pg-admin", app.admin, life=None)
    value = await app.role("victim_app")
    wrong = value.reveal().replace("victim_app:", "victim_app:x")
    await app.put("stranger-by-admin", wrong, POSTGRES)
    answer = await app.rotate("stranger-by-admin", force="grace")
    assert answer.json["type"] == "urn:keyturn:problem:unproven", answer.text
    assert await logs_in(value)


async def test_a_reset_sets_anew_what_the_operator_names_and_nothing_else(app: Deployment) -> None:
    await app.put("pg-admin", app.admin, life=None)
    value = await app.role("reset_app")
    await app.put("reset-by-admin", value, POSTGRES)
    await app.set_password("reset_app", secrets.token_urlsafe(24))
    refused = await app.rotate("reset-by-admin", adopt="reset", slots="another")
    assert (refused.status, refused.json["field"]) == (422, "slots"), refused.text
    answer = await app.rotate("reset-by-admin", adopt="reset", slots="reset_app")
    assert answer.json["outcome"] == "repaired", answer.text
    assert await logs_in(await app.value("reset-by-admin"))


@pytest.mark.parametrize(
    "query",
    [{"adopt": "maybe"}, {"slots": "a"}, {"adopt": "takeover", "slots": "a"}, {"adopt": "reset", "slots": "a,,b"}],
)
async def test_a_wish_to_own_that_can_not_be_understood_is_refused(app: Deployment, query: dict[str, str]) -> None:
    assert (await app.rotate("whatever", **query)).status == 400
