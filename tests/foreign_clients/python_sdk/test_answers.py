"""What Key Vault's SDK for Python makes of answers: errors, ids, what it logs, hooks, what newer versions added.

Models: Azure/azure-sdk-for-python, sdk/keyvault/azure-keyvault-secrets/tests. Written anew.
"""

import base64
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import NetworkTraceLoggingPolicy, SansIOHTTPPolicy
from azure.keyvault.secrets import ContentType, KeyVaultSecretIdentifier

from local.vault.faults import Fault, Kind
from local.vault.operations import Operation
from local.vault.settling import TAKES_S
from tests.foreign_clients.place import NEAR, Place
from tests.foreign_clients.python_sdk.clients import Asked, Opener

MALFORMED = b"not a backup"

model = pytest.mark.model


def code_of(error: HttpResponseError) -> tuple[int | None, str | None]:
    return error.status_code, None if error.error is None else error.error.code


@model("test_parse_id.py::test_parse_secret_id_with_version")
async def test_an_id_that_the_vault_gave_is_taken_apart(client: Asked, name: str) -> None:
    made = await client.call("set_secret", name, "a-7Qx2Lm")

    parsed = KeyVaultSecretIdentifier(made.id)

    assert (parsed.name, parsed.vault_url) == (name, client.vault_url)
    assert (parsed.version, parsed.source_id) == (made.properties.version, made.id)


@model("test_parse_id.py::test_parse_deleted_secret_id")
async def test_a_recovery_id_is_taken_apart(client: Asked, name: str) -> None:
    await client.call("set_secret", name, "a-7Qx2Lm")

    parsed = KeyVaultSecretIdentifier((await client.delete(name)).recovery_id)

    assert (parsed.name, parsed.vault_url, parsed.version) == (name, client.vault_url, None)


@model("test_parse_id.py::test_parse_secret_id_with_pending_version")
async def test_an_id_without_a_version_means_the_latest(client: Asked, name: str) -> None:
    made = await client.call("set_secret", name, "a-7Qx2Lm")
    [item] = [one for one in await client.every("list_properties_of_secrets") if one.name == name]

    assert KeyVaultSecretIdentifier(item.id).version is None
    assert (await client.call("get_secret", name, "")).id == made.id


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_secret", ()), ("update_secret_properties", ()), ("backup_secret", ()), ("get_deleted_secret", ()),
        ("purge_deleted_secret", ()), ("get_secret", ("0" * 32,)), ("update_secret_properties", ("0" * 32,)),
    ],
)  # fmt: skip
@model("test_secrets_client.py::test_purge (get_deleted_secret ends in ResourceNotFoundError)")
async def test_what_is_not_there_is_not_found(client: Asked, name: str, call: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        await client.call(call, name, *arguments)

    assert code_of(caught.value) == (404, "SecretNotFound")


@pytest.mark.parametrize("what", ["delete", "recover"])
@model("test_polling_method.py::test_continues_polling_when_resource_not_found")
async def test_what_is_not_there_is_neither_deleted_nor_recovered(client: Asked, name: str, what: str) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        await getattr(client, what)(name)

    assert code_of(caught.value) == (404, "SecretNotFound")


@model("test_secrets_client.py::test_backup_restore (restore ends in ResourceExistsError)")
async def test_a_backup_is_not_restored_over_a_secret_that_is_there(client: Asked, name: str) -> None:
    await client.call("set_secret", name, "a-7Qx2Lm")
    backup = await client.call("backup_secret", name)

    with pytest.raises(ResourceExistsError) as caught:
        await client.call("restore_secret_backup", backup)

    assert code_of(caught.value) == (409, "Conflict")


@model("test_secrets_client.py::test_backup_restore")
async def test_what_is_no_backup_is_refused(client: Asked) -> None:
    with pytest.raises(HttpResponseError) as caught:
        await client.call("restore_secret_backup", MALFORMED)

    assert caught.value.status_code == 400


@model("test_secrets_client.py::test_recover")
async def test_a_deleted_name_stays_taken(client: Asked, name: str) -> None:
    await client.call("set_secret", name, "a-7Qx2Lm")
    await client.delete(name)

    with pytest.raises(ResourceExistsError) as caught:
        await client.call("set_secret", name, "another-7Qx2Lm")

    assert code_of(caught.value) == (409, "Conflict")
    assert caught.value.error is not None
    assert caught.value.error.innererror == {"code": "ObjectIsDeletedButRecoverable"}


@model("test_secrets_client.py::test_secret_crud_operations (update with enabled=False)")
async def test_a_disabled_version_is_not_given_out(client: Asked, name: str) -> None:
    made = await client.call("set_secret", name, "a-7Qx2Lm", enabled=False)

    with pytest.raises(HttpResponseError) as caught:
        await client.call("get_secret", name)

    assert code_of(caught.value) == (403, "Forbidden")
    await client.call("update_secret_properties", name, made.properties.version, enabled=True)
    assert (await client.call("get_secret", name)).value == "a-7Qx2Lm"


@pytest.mark.parametrize("bad", ["a.b", "a b", "ä", "x" * 128])
@model("test_secrets_client.py::test_secret_crud_operations")
async def test_a_name_that_can_not_be_is_refused(client: Asked, bad: str) -> None:
    with pytest.raises(HttpResponseError) as caught:
        await client.call("set_secret", bad, "a-7Qx2Lm")

    assert code_of(caught.value) == (400, "BadParameter")


@model("test_secrets_client.py::test_secret_crud_operations")
async def test_a_value_that_is_too_long_is_refused(client: Asked, name: str) -> None:
    assert (await client.call("set_secret", name, "x" * 25_000)).name == name
    with pytest.raises(HttpResponseError) as caught:
        await client.call("set_secret", name, "x" * 25_601)

    assert code_of(caught.value) == (400, "BadParameter")


@model("test_polling_method.py::test_continues_polling_when_resource_not_found, ::test_final_resource")
async def test_a_deletion_is_waited_for_while_the_secret_is_neither_here_nor_there(
    place: Place, client: Asked, name: str
) -> None:
    made = await client.call("set_secret", name, "a-7Qx2Lm")
    place.vaults.settling.set(TAKES_S)

    assert (await client.delete(name)).id == made.id

    looks = [call.status for call in place.vaults.calls.records(vault=NEAR, operation="get-deleted", name=name)]
    assert looks == [404] * (len(looks) - 1) + [200]
    assert len(looks) > 1


@model("test_polling_method.py::test_propagates_unexpected_error")
async def test_a_deletion_that_can_not_be_watched_ends_in_the_vaults_error(
    place: Place, opener: Opener, name: str
) -> None:
    async with opener(place, place.near, verify_challenge_resource=False, retry_total=0) as client:
        await client.call("set_secret", name, "a-7Qx2Lm")
        place.vaults.faults.add(Fault(Kind.STATUS, status=500, operations=(Operation.GET_DELETED,), name=name))

        with pytest.raises(HttpResponseError) as caught:
            await client.delete(name)

    assert caught.value.status_code == 500


@model("test_polling_method.py::test_terminal_first_response")
async def test_a_poller_that_may_not_look_takes_a_refusal_for_the_end(place: Place, client: Asked, name: str) -> None:
    await client.call("set_secret", name, "a-7Qx2Lm")
    place.vaults.access.deny(["get"], vault=NEAR)

    assert (await client.delete(name)).name == name


@model("test_secrets_client.py::test_custom_hook_policy")
async def test_a_hook_of_the_callers_own_sees_each_request(place: Place, opener: Opener, name: str) -> None:
    class Noting(SansIOHTTPPolicy[Any, Any]):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def on_request(self, request: PipelineRequest[Any]) -> None:
            self.seen.append(request.http_request.method)

    hook = Noting()
    async with opener(place, place.near, verify_challenge_resource=False, custom_hook_policy=hook) as client:
        await client.call("set_secret", name, "a-7Qx2Lm")
        await client.call("get_secret", name)

    assert hook.seen == ["PUT", "PUT", "GET"]  # the first one is challenged


class _Kept(logging.Filter):
    """Takes what is logged for itself, so that nobody else sees it: with logging on it shows values and tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        self.lines += record.getMessage().splitlines()
        return False


@pytest.fixture
def kept() -> Iterator[_Kept]:
    logger, taking = logging.getLogger(NetworkTraceLoggingPolicy.__module__), _Kept()
    before = logger.level
    logger.setLevel(logging.DEBUG)  # an app that was started in this process has switched off what SDKs log
    logger.addFilter(taking)
    yield taking
    logger.removeFilter(taking)
    logger.setLevel(before)


@pytest.mark.parametrize("logs", [True, False])
@model("test_secrets_client.py::test_logging_enabled, ::test_logging_disabled, and those of test_secrets_async.py")
async def test_bodies_are_logged_where_asked_for_and_nowhere_else(
    place: Place, opener: Opener, name: str, kept: _Kept, logs: bool
) -> None:
    async with opener(place, place.near, verify_challenge_resource=False, logging_enable=logs) as client:
        await client.call("set_secret", name, "a shown value")

    assert (json.dumps({"value": "a shown value"}) in kept.lines) == logs


@model("test_secrets_client.py::test_service_headers_allowed_in_logs")
async def test_the_services_headers_come_and_may_be_logged(place: Place, opener: Opener, name: str) -> None:
    seen: dict[str, str] = {}
    async with opener(place, place.near, verify_challenge_resource=False) as client:
        await client.call(
            "set_secret", name, "a-7Qx2Lm", raw_response_hook=lambda told: seen.update(told.http_response.headers)
        )
        allowed = client.client._client._config.http_logging_policy.allowed_header_names

    headers = {header.lower() for header in seen}
    service = {"x-ms-keyvault-network-info", "x-ms-keyvault-region", "x-ms-keyvault-service-version"}
    assert service <= headers
    assert service <= allowed


@model("test_context_manager.py::test_context_manager, ::test_close")
async def test_a_closed_client_can_not_be_used(place: Place, opener: Opener, name: str) -> None:
    async with opener(place, place.near, verify_challenge_resource=False) as client:
        await client.call("set_secret", name, "a-7Qx2Lm")
    with pytest.raises((ValueError, AttributeError, RuntimeError), match=r"(?i)clos|NoneType|open"):
        await client.call("get_secret", name)


@model("test_new_features.py::test_previous_version_absent_in_response")
async def test_a_secret_of_no_certificate_has_no_version_before(client: Asked, name: str) -> None:
    await client.call("set_secret", name, "one-7Qx2Lm")
    await client.call("set_secret", name, "another-7Qx2Lm")

    assert (await client.call("get_secret", name)).properties.previous_version is None


@pytest.mark.parametrize("wanted", [None, ContentType.PEM, ContentType.PFX, "application/x-pem-file"])
@model("test_new_features.py::TestOutContentType")
async def test_a_form_that_is_asked_for_of_a_secret_of_no_certificate_changes_nothing(
    client: Asked, name: str, wanted: str | None
) -> None:
    made = await client.call("set_secret", name, "a-7Qx2Lm")

    found = await client.call("get_secret", name, made.properties.version, out_content_type=wanted)

    assert (found.value, found.properties.content_type) == ("a-7Qx2Lm", None)


@model("test_samples_secrets.py::test_example_secrets_backup_restore")
async def test_a_backup_shows_no_value(client: Asked, name: str) -> None:
    await client.call("set_secret", name, "a hidden value")

    backup = await client.call("backup_secret", name)

    assert b"hidden" not in backup
    assert b"hidden" not in base64.b64decode(backup + b"==", altchars=b"-_")
