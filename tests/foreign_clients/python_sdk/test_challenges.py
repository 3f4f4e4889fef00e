"""How Key Vault's SDK for Python finds out where to get a token, with nothing of it switched off.

Models: Azure/azure-sdk-for-python, sdk/keyvault/azure-keyvault-secrets/tests (tests of the challenge that the packages
share stand in azure-keyvault-keys/tests). Theirs answer from mocks; here the vault does. Written anew.
"""

import asyncio
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets._shared import HttpChallengeCache

from local.tokens import TENANT
from local.vault.faults import Fault, Kind
from local.vault.operations import Operation
from tests.foreign_clients.place import HOST, NAMED, Place
from tests.foreign_clients.python_sdk.clients import Asked, Opener

MORE_THAN_A_PAGE = 30

model = pytest.mark.model


def statuses(place: Place) -> list[int | None]:
    return [call.status for call in place.vaults.calls.records(vault=NAMED)]


@model("azure-keyvault-keys: test_challenge_auth.py::test_scope, ::test_tenant")
async def test_a_client_is_challenged_once_and_then_carries_its_token(
    place: Place, verifying: Asked, name: str
) -> None:
    await verifying.call("set_secret", name, "a-7Qx2Lm")
    assert (await verifying.call("get_secret", name)).value == "a-7Qx2Lm"

    assert statuses(place) == [401, 200, 200]
    challenge = HttpChallengeCache.get_challenge_for_url(verifying.vault_url)
    assert challenge is not None
    assert (challenge.tenant_id, challenge.get_resource()) == (TENANT, "https://vault.azure.net")
    assert place.proxy.seen[-1] == f"{HOST}:443"


class Noting(SansIOHTTPPolicy[Any, Any]):
    """Sees the address of each request."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    def on_request(self, request: PipelineRequest[Any]) -> None:
        self.urls.append(request.http_request.url)


@model("azure-keyvault-keys: test_challenge_auth.py::test_challenge_cache")
async def test_links_to_the_next_page_carry_the_port_and_ids_do_not_and_no_page_is_challenged_anew(
    place: Place, opener: Opener, name: str
) -> None:
    seen = Noting()
    async with opener(place, place.named, proxies={"https": place.proxy.url}, custom_hook_policy=seen) as verifying:
        for _ in range(MORE_THAN_A_PAGE):
            await verifying.call("set_secret", name, "a-7Qx2Lm")
        place.vaults.calls.clear()
        seen.urls.clear()

        pages = await verifying.pages("list_properties_of_secret_versions", name)

    assert [len(page) for page in pages] == [25, 5]
    assert all(one.id.startswith(f"https://{HOST}/secrets/{name}/") for page in pages for one in page)
    first, second = seen.urls
    assert first.startswith(f"https://{HOST}/")
    assert second.startswith(f"https://{HOST}:443/")
    assert statuses(place) == [200, 200]


@pytest.mark.parametrize("listing", ["list_properties_of_secrets", "list_deleted_secrets"])
@model("azure-keyvault-keys: test_challenge_auth.py::test_challenge_cache, test_secrets_client.py::test_secret_list")
async def test_every_listing_goes_over_its_pages_with_verification_on(
    verifying: Asked, name: str, listing: str
) -> None:
    names = {f"{name}-{number}" for number in range(4)}
    for one in names:
        await verifying.call("set_secret", one, "a-7Qx2Lm")
        if listing == "list_deleted_secrets":
            await verifying.delete(one)

    pages = await verifying.pages(listing, max_page_size=3)

    assert len(pages) > 1
    assert names <= {one.name for page in pages for one in page}


@model("azure-keyvault-keys: test_challenge_auth.py::test_challenge_cache")
async def test_a_second_client_uses_the_challenge_that_the_first_one_met(
    place: Place, opener: Opener, verifying: Asked, name: str
) -> None:
    await verifying.call("set_secret", name, "a-7Qx2Lm")
    async with opener(place, f"https://{HOST}:443", proxies={"https": place.proxy.url}) as second:
        await second.call("get_secret", name)

    assert statuses(place) == [401, 200, 200]


@model("azure-keyvault-keys: test_challenge_auth.py::test_policy_updates_cache")
async def test_a_token_that_is_refused_is_replaced_after_a_new_challenge(
    place: Place, verifying: Asked, name: str
) -> None:
    await verifying.call("set_secret", name, "a-7Qx2Lm")
    place.vaults.calls.clear()
    verifying.client._client._config.authentication_policy._token = None
    HttpChallengeCache.clear()

    assert (await verifying.call("get_secret", name)).value == "a-7Qx2Lm"

    assert statuses(place) == [401, 200]


@model("azure-keyvault-keys: test_challenge_auth.py::test_verify_challenge_resource_matches[True]")
async def test_a_vault_of_another_domain_than_its_challenge_names_is_not_given_a_token(
    place: Place, opener: Opener, name: str
) -> None:
    async with opener(place, place.near) as strict:
        with pytest.raises(ValueError, match="does not match the requested domain"):
            await strict.call("get_secret", name)

    assert [call.status for call in place.vaults.calls.records()] == [401]


@model("azure-keyvault-keys: test_challenge_auth.py::test_verify_challenge_resource_matches[False]")
async def test_it_is_given_one_where_the_check_is_switched_off(client: Asked, name: str) -> None:
    assert (await client.call("set_secret", name, "a-7Qx2Lm")).name == name


@model("test_challenge_auth.py::test_request_body_not_reused_across_requests")
async def test_the_body_of_a_call_does_not_come_back_in_the_next(place: Place, verifying: Asked, name: str) -> None:
    await verifying.call("set_secret", name, "a-7Qx2Lm")
    HttpChallengeCache.clear()
    verifying.client._client._config.authentication_policy._token = None

    assert [one.name for one in await verifying.every("list_properties_of_secret_versions", name)] == [name]
    assert statuses(place) == [401, 200, 401, 200]


@model("azure-keyvault-keys: test_challenge_auth.py::test_preserves_options_and_headers")
async def test_a_call_keeps_its_headers_over_the_challenge(verifying: Asked, name: str) -> None:
    seen: list[str] = []

    await verifying.call(
        "set_secret", name, "a-7Qx2Lm", headers={"x-ms-client-request-id": "asked-by-a-case"},
        raw_response_hook=lambda response: seen.append(
            response.http_response.headers.get("x-ms-client-request-id", "")
        ),
    )  # fmt: skip

    assert seen[-1] == "asked-by-a-case"


@model("azure-keyvault-keys: test_challenge_auth.py::test_enforces_tls")
async def test_no_token_goes_over_plain_http(place: Place, opener: Opener, name: str) -> None:
    async with opener(place, place.near.replace("https", "http"), retry_total=0) as plain:
        with pytest.raises(ServiceRequestError, match="not permitted for non-TLS"):
            await plain.call("get_secret", name)


@model("azure-keyvault-keys: test_challenge_auth.py::test_token_expiration")
async def test_one_token_serves_many_calls_at_once(place: Place, verifying: Asked, name: str) -> None:
    await verifying.call("set_secret", name, "a-7Qx2Lm")
    place.vaults.calls.clear()

    found = await asyncio.gather(*(verifying.call("get_secret", name) for _ in range(20)))

    assert {one.value for one in found} == {"a-7Qx2Lm"}
    assert statuses(place) == [200] * 20


@model("azure-keyvault-keys: test_challenge_auth.py::test_policy_updates_cache")
async def test_a_vault_that_never_takes_the_token_ends_in_an_authentication_error(
    place: Place, opener: Opener, name: str
) -> None:
    meant_for_another = place.authority.issue("https://storage.azure.com")
    async with opener(place, place.near, verify_challenge_resource=False, token=meant_for_another) as client:
        with pytest.raises(ClientAuthenticationError, match="AKV10022: Invalid audience"):
            await client.call("get_secret", name)

    assert [call.status for call in place.vaults.calls.records()] == [401, 401]


@model("test_polling_method.py::test_propagates_unexpected_error")
async def test_a_refusal_before_the_challenge_reaches_the_caller(place: Place, verifying: Asked, name: str) -> None:
    await verifying.call("set_secret", name, "a-7Qx2Lm")
    place.vaults.faults.add(Fault(Kind.STATUS, status=503, operations=(Operation.GET,), times=1))

    assert (await verifying.call("get_secret", name)).value == "a-7Qx2Lm"

    assert statuses(place)[-2:] == [503, 200]


@model("test_samples_secrets.py::test_create_secret_client")
def test_a_client_is_made_without_a_call(place: Place) -> None:
    with SecretClient(place.named, object()) as client:  # type: ignore[arg-type]
        assert client.vault_url == place.named
    assert statuses(place) == []
