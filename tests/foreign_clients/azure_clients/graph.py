"""`python -m tests.foreign_clients.azure_clients.graph GRAPH_URL OBJECT_ID APP_ID LOGIN_URL TENANT`: msgraph-sdk."""

import asyncio
import sys
import uuid
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, ManagedIdentityCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.applications.item.add_password.add_password_post_request_body import AddPasswordPostRequestBody
from msgraph.generated.applications.item.application_item_request_builder import ApplicationItemRequestBuilder
from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
    RemovePasswordPostRequestBody,
)
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.password_credential import PasswordCredential

from tests.foreign_clients.steps import refused, tried

SCOPES = ["https://graph.microsoft.com/.default"]
ENDS = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)


class Applications:
    """Calls of Graph's client, one after the other in one event loop."""

    def __init__(self, url: str) -> None:
        host = url.removeprefix("https://").partition("/")[0].partition(":")[0]
        provider = AzureIdentityAuthenticationProvider(ManagedIdentityCredential(), scopes=SCOPES, allowed_hosts=[host])
        adapter = GraphRequestAdapter(provider)
        adapter.base_url = f"{url}/v1.0"
        self._applications = GraphServiceClient(request_adapter=adapter).applications
        self._loop = asyncio.new_event_loop()

    def _run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(call)

    def get(self, application: str, select: list[str] | None = None) -> Any:
        query = ApplicationItemRequestBuilder.ApplicationItemRequestBuilderGetQueryParameters(select=select)
        configuration = RequestConfiguration(query_parameters=query)
        return self._run(self._applications.by_application_id(application).get(request_configuration=configuration))

    def add(self, application: str, name: str, ends: datetime | None = None) -> Any:
        asked = PasswordCredential(display_name=name, end_date_time=ends)
        body = AddPasswordPostRequestBody(password_credential=asked)
        return self._run(self._applications.by_application_id(application).add_password.post(body))

    def remove(self, application: str, key: uuid.UUID) -> Any:
        body = RemovePasswordPostRequestBody(key_id=key)
        return self._run(self._applications.by_application_id(application).remove_password.post(body))


def steps(url: str, application: str, app_id: str, login: str, tenant: str) -> dict[str, Callable[[], object]]:
    """application: its object id; there is one. login: where its secrets log in, by azure-identity and so by MSAL."""
    graph = Applications(url)
    made: dict[str, Any] = {}

    def credentials() -> dict[uuid.UUID, Any]:
        return {one.key_id: one for one in graph.get(application).password_credentials}

    def added(name: str, ends: datetime | None) -> bool:
        told = made[name] = graph.add(application, name, ends)
        shown = credentials()[told.key_id]
        return bool(
            told.secret_text
            and told.secret_text.startswith(told.hint)
            and (ends is None or told.end_date_time == ends)
            and shown.secret_text is None
            and (shown.display_name, shown.hint, shown.end_date_time) == (name, told.hint, told.end_date_time)
        )

    def removed(name: str) -> bool:
        key = made[name].key_id
        return graph.remove(application, key) is None and key not in credentials()

    def token(name: str) -> str:
        options: dict[str, Any] = {"authority": login, "disable_instance_discovery": True}
        with ClientSecretCredential(tenant, app_id, made[name].secret_text, **options) as credential:
            return str(credential.get_token(*SCOPES).token)

    def code(act: Callable[[], object]) -> tuple[int, str]:
        error = refused(act, ODataError)
        return error.response_status_code, error.error.code

    nobody = str(uuid.UUID(int=0))
    return {
        "applications get": lambda: graph.get(application).app_id == app_id,
        "applications get: $select": lambda: (
            graph.get(application, ["id", "passwordCredentials"]).app_id is None
            and graph.get(application, ["id", "passwordCredentials"]).password_credentials is not None
        ),
        "addPassword": lambda: added("first", ENDS),
        "addPassword: another beside it": lambda: added("second", None) and made["first"].key_id in credentials(),
        "addPassword: its usual life": lambda: made["second"].end_date_time - datetime.now(UTC) > timedelta(days=700),
        "addPassword: an end that is past": lambda: (
            code(lambda: graph.add(application, "late", ENDS - timedelta(days=365))) == (400, "Request_BadRequest")
        ),
        "both secrets log in": lambda: bool(token("first") and token("second")),
        "removePassword": lambda: removed("first"),
        "a secret that is gone logs in no more": lambda: (
            "AADSTS7000215" in refused(lambda: token("first"), ClientAuthenticationError).message
        ),
        "removePassword: one that is gone": lambda: (
            code(lambda: graph.remove(application, made["first"].key_id)) == (400, "Request_BadRequest")
        ),
        "applications get: the other is left": lambda: made["second"].key_id in credentials(),
        "removePassword: the other": lambda: removed("second"),
        "applications get: no such application": lambda: (
            code(lambda: graph.get(nobody)) == (404, "Request_ResourceNotFound")
        ),
        "addPassword: no such application": lambda: (
            code(lambda: graph.add(nobody, "first")) == (404, "Request_ResourceNotFound")
        ),
    }


if __name__ == "__main__":
    sys.exit(tried("msgraph", steps(*sys.argv[1:])).printed())
