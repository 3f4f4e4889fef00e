"""How the local vault says no: statuses, codes and bodies as the service answers them."""

import time
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import ApiVersion
from azure.keyvault.secrets.aio import SecretClient

from local.tokens import ISSUER, TENANT, TokenAuthority
from local.vault import LocalVaults
from tests.integration.vault_fixtures import OTHER_VAULT, Rest

UNKNOWN = "0123456789abcdef0123456789abcdef"


def error_of(body: Any) -> tuple[str, str | None]:
    return body["error"]["code"], body["error"].get("innererror", {}).get("code")


async def test_an_unknown_secret_is_not_found(client: SecretClient, rest: Rest) -> None:
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        await client.get_secret("nobody")

    status, body, _ = await rest("GET", "/secrets/nobody/")
    assert (status, error_of(body)) == (404, ("SecretNotFound", None))
    assert body["error"]["message"].startswith("A secret with (name/id) nobody was not found in this key vault.")


async def test_an_unknown_version_is_not_found(client: SecretClient, rest: Rest) -> None:
    await client.set_secret("db", "x")

    status, body, _ = await rest("GET", f"/secrets/db/{UNKNOWN}")

    assert (status, error_of(body)) == (404, ("SecretNotFound", None))
    assert f"db/{UNKNOWN}" in body["error"]["message"]


async def test_a_disabled_version_is_forbidden_and_comes_back_when_enabled(client: SecretClient, rest: Rest) -> None:
    made = await client.set_secret("db", "x", enabled=False)

    for path in ("/secrets/db", f"/secrets/db/{made.properties.version}"):
        status, body, _ = await rest("GET", path)
        assert (status, error_of(body)) == (403, ("Forbidden", "SecretDisabled"))
        assert body["error"]["message"] == "Operation get is not allowed on a disabled secret."
    with pytest.raises(HttpResponseError) as raised:
        await client.get_secret("db")
    assert raised.value.error is not None
    assert raised.value.error.innererror == {"code": "SecretDisabled"}
    await client.update_secret_properties("db", enabled=True)
    assert (await client.get_secret("db")).value == "x"


async def test_an_older_version_is_read_while_the_latest_is_disabled(client: SecretClient) -> None:
    first = await client.set_secret("db", "x")
    await client.set_secret("db", "y", enabled=False)

    assert (await client.get_secret("db", first.properties.version)).value == "x"
    with pytest.raises(HttpResponseError, match="disabled"):
        await client.get_secret("db")


async def test_a_deleted_name_conflicts(client: SecretClient, rest: Rest) -> None:
    await client.set_secret("db", "x")
    await client.delete_secret("db", _polling_interval=0)

    status, body, _ = await rest("PUT", "/secrets/db", json={"value": "y"})

    assert (status, error_of(body)) == (409, ("Conflict", "ObjectIsDeletedButRecoverable"))


async def test_what_is_not_deleted_is_neither_recovered_nor_purged(client: SecretClient, rest: Rest) -> None:
    await client.set_secret("db", "x")

    for method, path in (
        ("POST", "/deletedsecrets/db/recover"),
        ("DELETE", "/deletedsecrets/db"),
        ("GET", "/deletedsecrets/db"),
    ):
        status, body, _ = await rest(method, path)
        assert (status, error_of(body)) == (404, ("SecretNotFound", None))
        assert body["error"]["message"] == "Deleted Secret not found: db"


@pytest.mark.parametrize("name", ["under_score", "dot.dot", "a%20b", "n" * 128])
async def test_a_name_of_other_characters_or_too_long_is_a_bad_parameter(rest: Rest, name: str) -> None:
    status, body, _ = await rest("PUT", f"/secrets/{name}", json={"value": "x"})

    assert (status, error_of(body)) == (400, ("BadParameter", None))
    assert body["error"]["message"].startswith("The request URI contains an invalid name: ")


async def test_the_longest_name_is_accepted(rest: Rest) -> None:
    assert (await rest("PUT", f"/secrets/{'n' * 127}", json={"value": "x"}))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"value": 5},
        {"value": "ä" * 12_800 + "x"},
        {"value": "x", "tags": {f"t{number}": "" for number in range(16)}},
        {"value": "x", "tags": {"t" * 257: ""}},
        {"value": "x", "tags": {"t": "v" * 257}},
        {"value": "x", "tags": {"t": 1}},
        {"value": "x", "tags": ["t"]},
        {"value": "x", "contentType": "c" * 256},
        {"value": "x", "attributes": "enabled"},
        {"value": "x", "attributes": {"enabled": "yes"}},
        {"value": "x", "attributes": {"exp": "soon"}},
        {"value": "x", "attributes": {"nbf": 20, "exp": 10}},
        ["value"],
    ],
)
async def test_a_body_beyond_the_limits_is_a_bad_parameter_and_writes_nothing(rest: Rest, body: Any) -> None:
    status, answer, _ = await rest("PUT", "/secrets/db", json=body)

    assert (status, error_of(answer)) == (400, ("BadParameter", None))
    assert (await rest("GET", "/secrets/db"))[0] == 404


async def test_what_is_at_the_limits_is_accepted(rest: Rest) -> None:
    tags = {f"{number:0256}": "v" * 256 for number in range(15)}

    status, made, _ = await rest("PUT", "/secrets/db", json={"value": "ä" * 12_800, "tags": tags})

    assert status == 200
    assert made["tags"] == tags
    assert (await rest("GET", "/secrets/db"))[1]["value"] == "ä" * 12_800


async def test_a_body_that_is_no_json_is_refused_without_being_quoted(rest: Rest) -> None:
    status, body, _ = await rest("PUT", "/secrets/db", data=b'{"value": "hunter2')

    assert (status, error_of(body)) == (400, ("BadParameter", None))
    assert "hunter2" not in str(body)


@pytest.mark.parametrize("size", ["0", "26", "many"])
async def test_a_page_has_between_1_and_25_items(rest: Rest, size: str) -> None:
    status, body, _ = await rest("GET", "/secrets", params={"api-version": "7.5", "maxresults": size})

    assert (status, error_of(body)) == (400, ("BadParameter", None))


async def test_a_foreign_skip_token_and_a_version_of_another_form_are_bad_parameters(rest: Rest) -> None:
    params = {"api-version": "7.5", "$skiptoken": "!\u20ac"}
    assert (await rest("GET", "/secrets", params=params))[0] == 400
    assert (await rest("GET", "/secrets/db/not-a-version"))[0] == 400


@pytest.mark.parametrize(
    ("value", "code"),
    [("Zm9yZ2Vk", "Malformed backup blob"), ("A" * 6304, "Malformed backup blob"), (None, "BadParameter")],
)
async def test_what_is_no_backup_of_this_vault_is_malformed(rest: Rest, value: str | None, code: str) -> None:
    """@azure/keyvault-secrets, "can restore a secret (Malformed Backup Bytes)": 4,728 zero bytes, as recorded."""
    status, body, _ = await rest("POST", "/secrets/restore", json={"value": value})

    assert (status, error_of(body)) == (400, (code, None))
    assert value is None or body["error"]["message"] == "Backup blob contains invalid or corrupt version."


async def test_a_call_without_an_api_version_is_a_bad_parameter(rest: Rest) -> None:
    status, body, _ = await rest("GET", "/secrets", params={})

    assert (status, error_of(body)) == (400, ("BadParameter", None))


@pytest.mark.parametrize("version", ["7.7", "2027-01-01", "7", "7.5 ", "latest", "2019-09-01"])
async def test_an_unknown_api_version_is_a_bad_parameter(rest: Rest, version: str) -> None:
    """azure-sdk-for-python#28595: a service that is older than the SDK which asks."""
    for method, path in (("GET", "/secrets"), ("PUT", "/secrets/db"), ("GET", "/deletedsecrets/db")):
        body = {"value": "x"} if method == "PUT" else None
        status, answer, _ = await rest(method, path, params={"api-version": version}, json=body)

        assert (status, error_of(answer)) == (400, ("BadParameter", None))
        assert answer["error"]["message"].startswith(f"The specified version ({version}) is not recognized.")
    assert (await rest("GET", "/secrets/db"))[0] == 404


async def test_whatever_version_the_sdk_can_ask_for_is_known(rest: Rest) -> None:
    for version in ApiVersion:
        assert (await rest("GET", "/secrets", params={"api-version": version.value}))[0] == 200, version


async def test_unknown_paths_and_methods_are_refused_in_the_services_form(rest: Rest) -> None:
    assert (await rest("GET", "/keys"))[0] == 404
    status, body, headers = await rest("POST", "/secrets/db")
    assert (status, error_of(body)) == (405, ("MethodNotAllowed", None))
    assert headers["Allow"] == "DELETE,GET,PATCH,PUT"


async def test_a_call_without_a_token_is_challenged(rest: Rest) -> None:
    status, body, headers = await rest("PUT", "/secrets/db", headers={})

    assert (status, error_of(body)) == (401, ("Unauthorized", None))
    assert body["error"]["message"] == "AKV10000: Request is missing a Bearer or PoP token."
    assert headers["WWW-Authenticate"] == (
        f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="https://vault.azure.net"'
    )


async def test_a_token_that_is_not_good_is_challenged(rest: Rest, authority: TokenAuthority) -> None:
    audience = "https://vault.azure.net"
    stranger = TokenAuthority(b"another key, long enough to be one")
    unsigned = jwt.encode({"aud": audience, "iss": ISSUER, "exp": time.time() + 60, "oid": "x"}, "", algorithm="none")
    flawed = {
        authority.issue(audience, lifetime=-10): "IDX10223",
        authority.issue("https://management.azure.com/"): "found: https://management.azure.com/",
        authority.issue(audience, {"iss": "https://sts.windows.net/elsewhere/"}): "AKV10032",
        stranger.issue(audience): "AKV10046",
        unsigned: "AKV10000",
        "rubbish": "AKV10000",
    }

    for token, words in flawed.items():
        status, body, headers = await rest("GET", "/secrets", headers={"Authorization": f"Bearer {token}"})
        assert (status, error_of(body)) == (401, ("Unauthorized", None))
        assert words in body["error"]["message"]
        assert "WWW-Authenticate" in headers


async def test_a_vault_that_refuses_the_token_raises_an_authentication_error(
    vaults: LocalVaults, client: SecretClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vaults.access, "_authority", TokenAuthority(b"the vault now trusts another key"))

    with pytest.raises(ClientAuthenticationError):
        await client.get_secret("db")


async def test_rights_that_were_taken_away_are_forbidden_until_given_back(
    rest: Rest, control: Rest, client: SecretClient
) -> None:
    await client.set_secret("db", "x")

    await control("POST", "/rights", json={"vault": "kv-demo", "deny": ["get", "list"]})

    status, body, _ = await rest("GET", "/secrets/db")
    assert (status, error_of(body)) == (403, ("Forbidden", "ForbiddenByRbac"))
    message = body["error"]["message"]
    assert message.startswith("Caller is not authorized to perform action on resource.\r\n")
    assert "Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'" in message
    assert "\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\n" in message
    assert "/vaults/kv-demo/secrets/db'" in message
    for path in ("/secrets", "/secrets/db/versions", "/deletedsecrets", "/deletedsecrets/db"):
        assert (await rest("GET", path))[0] == 403
    assert (await rest("PUT", "/secrets/db", json={"value": "y"}))[0] == 200
    await control("POST", "/rights", json={"vault": "kv-demo", "deny": ["set"]})
    assert (await rest("GET", "/secrets/db"))[1]["value"] == "y"
    assert (await rest("PATCH", "/secrets/db", json={}))[0] == 403
    await control("DELETE", "/rights")
    assert (await rest("PATCH", "/secrets/db", json={}))[0] == 200


async def test_rights_are_taken_from_one_identity_in_one_vault(
    vaults: LocalVaults, rest: Rest, authority: TokenAuthority
) -> None:
    def bearer(oid: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {authority.issue('https://vault.azure.net', {'oid': oid})}"}

    vaults.access.deny(["list"], vault="kv-demo", oid="reader")

    assert (await rest("GET", "/secrets", headers=bearer("reader")))[0] == 403
    assert (await rest("GET", "/secrets", headers=bearer("writer")))[0] == 200
    rest.url = vaults.urls[OTHER_VAULT]
    assert (await rest("GET", "/secrets", headers=bearer("reader")))[0] == 200


async def test_a_fault_of_the_vaults_own_tells_no_value(
    vaults: LocalVaults, rest: Rest, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr("local.vault.store.Store.set", fail)

    status, body, _ = await rest("PUT", "/secrets/db", json={"value": "hunter2"})

    printed = capfd.readouterr()
    assert (status, error_of(body)) == (500, ("InternalServerError", None))
    assert "RuntimeError" in printed.err
    assert "hunter2" not in str(body) + printed.out + printed.err
