"""A target that is the id of a flexible server of MySQL, against a stand-in for Azure Resource Manager."""

from typing import Any

import pytest

from rotation.errors import Refused, RotationError, Throttled, Unreachable
from rotation.model import Endpoints
from rotation.rotators.azure.rest import ApiClient, ApiResponse
from rotation.rotators.mysql.flexible_server import API_VERSION, host_of
from tests.integration.postgres_fixtures import Tokens, make_services

ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg-orders"
    "/providers/microsoft.dbformysql/flexibleservers/orders-prod"
)
NAME = "orders-prod.mysql.database.azure.com"


async def asked(
    monkeypatch: pytest.MonkeyPatch, properties: Any, status: int = 200, arm: str = "https://management.azure.com"
) -> str:
    async def answer(_client: ApiClient, _over: object, path: str, **query: str) -> ApiResponse:
        assert (path, query) == (ID, {"api-version": API_VERSION})
        return ApiResponse(status, {"properties": properties})

    monkeypatch.setattr(ApiClient, "get", answer)
    return await host_of(ID, make_services(Tokens("the-token"), Endpoints(arm=arm)))


async def test_a_server_is_found_by_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"state": "Ready", "fullyQualifiedDomainName": NAME.upper(), "replicationRole": "None"}
    assert await asked(monkeypatch, found) == NAME
    china = NAME.replace("azure.com", "chinacloudapi.cn")
    found["fullyQualifiedDomainName"] = china
    assert await asked(monkeypatch, found, arm="https://management.chinacloudapi.cn") == china
    found["fullyQualifiedDomainName"] = "localhost"
    assert await asked(monkeypatch, found, arm="https://localhost:1") == "localhost"


@pytest.mark.parametrize(
    ("host", "arm"),
    [
        ("orders-evil.mysql.database.azure.com", "https://management.azure.com"),
        (NAME + ".evil.example", "https://management.azure.com"), ("localhost", "https://management.azure.com"),
        (None, "https://management.azure.com"), (NAME, "https://management.evil.example"), (NAME, "https://localhost:1"),
        ("orders-prod.postgres.database.azure.com", "https://management.azure.com"),
    ],
)  # fmt: skip
async def test_a_host_is_believed_only_as_the_servers_own_name_in_the_cloud_that_was_asked(
    monkeypatch: pytest.MonkeyPatch, host: str | None, arm: str
) -> None:
    with pytest.raises(Refused, match="suffix"):
        await asked(monkeypatch, {"state": "Ready", "fullyQualifiedDomainName": host}, arm=arm)


@pytest.mark.parametrize(
    ("status", "properties", "error", "words"),
    [
        (403, {}, Refused, "role Reader"), (404, {}, Refused, "there is no flexible server"),
        (400, None, Unreachable, "answered 400"), (200, "words", Unreachable, "answered 200"),
        (200, {"state": "Stopped"}, Unreachable, "is Stopped"),
        (200, {"state": "evil words"}, Unreachable, "not ready"),
        (200, {"state": "Ready", "replicationRole": "Replica"}, Refused, "is a replica"),
    ],
)  # fmt: skip
async def test_what_is_not_a_server_that_runs_is_said(
    monkeypatch: pytest.MonkeyPatch, status: int, properties: Any, error: type[RotationError], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        await asked(monkeypatch, properties, status)
    assert not isinstance(raised.value, Throttled)
    assert "evil" not in raised.value.message
