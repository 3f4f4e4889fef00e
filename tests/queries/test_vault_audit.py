"""Who touched which secret, and whom a vault refused: over audit rows as Azure's reference has them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.queries.kusto import Workspace, query

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
APP = {"claim": {"appid": "11111111-aaaa", "oid": "22222222-bbbb"}}
PERSON = {"claim": {UPN: "ann@example.org", "appid": "04b07795-azcli"}}
VAULT_ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-orders"
URL = "https://kv-orders.vault.azure.net/secrets"


def audited(workspace: Workspace, operation: str, path: str, who: dict[str, Any] | None, **more: Any) -> None:
    """A row of AZKVAuditLogs."""
    row: dict[str, Any] = {"HttpStatusCode": 200, "CallerIpAddress": "10.0.0.4", "ResultDescription": ""} | more
    workspace.put(
        "AZKVAuditLogs",
        row.pop("at", NOON),
        OperationName=operation,
        Id=f"{URL}/{path}",
        RequestUri=f"{URL}/{path}?api-version=7.6",
        Identity=who or {},
        _ResourceId=VAULT_ID,
        **row,
    )


def diagnosed(workspace: Workspace, operation: str, path: str, **more: Any) -> None:
    """The same where the destination is AzureDiagnostics."""
    workspace.put(
        "AzureDiagnostics",
        NOON,
        ResourceProvider="MICROSOFT.KEYVAULT",
        Category="AuditEvent",
        Resource="KV-ORDERS",
        OperationName=operation,
        id_s=f"{URL}/{path}",
        requestUri_s=f"{URL}/{path}?api-version=7.6",
        CallerIPAddress="10.0.0.5",
        identity_claim_appid_g="33333333-cccc",
        **more,
    )


def test_reads_and_writes_are_told_with_secret_version_caller_and_address_newest_first(workspace: Workspace) -> None:
    audited(workspace, "SecretGet", "orders-db/v1", APP, ClientInfo="sdk")
    audited(workspace, "SecretSet", "orders-db/v2", PERSON, at=NOON + timedelta(minutes=1))
    told = workspace.ask(query("who-touched-which-secret"))
    assert [(row["Did"], row["Secret"], row["Version"], row["Caller"]) for row in told] == [
        ("wrote", "orders-db", "v2", "ann@example.org"),
        ("read", "orders-db", "v1", "11111111-aaaa"),
    ]
    assert (told[1]["Vault"], told[1]["Address"], told[1]["Status"], told[1]["Client"]) == (
        "kv-orders",
        "10.0.0.4",
        200,
        "sdk",
    )


def test_a_vault_whose_log_goes_to_azure_diagnostics_is_told_in_the_same_columns(workspace: Workspace) -> None:
    diagnosed(workspace, "SecretUpdate", "orders-db/v1", httpStatusCode_d=200.0)
    [row] = workspace.ask(query("who-touched-which-secret"))
    assert (row["Did"], row["Vault"], row["Secret"], row["Caller"], row["Status"]) == (
        "changed",
        "kv-orders",
        "orders-db",
        "33333333-cccc",
        200,
    )


def test_only_the_wanted_secret_is_told(workspace: Workspace) -> None:
    audited(workspace, "SecretGet", "orders-db/v1", APP)
    audited(workspace, "SecretGet", "mail/v1", APP)
    audited(workspace, "KeyGet", "orders-db/v1", APP)
    audited(workspace, "SecretGet", "orders-db/v1", None)  # the first request of a client, which carries no token
    told = workspace.ask(query("who-touched-which-secret", wanted="orders"))
    assert [row["Secret"] for row in told] == ["orders-db"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_told_with_its_caller_and_reason(workspace: Workspace, status: int) -> None:
    for _ in range(2):
        audited(workspace, "SecretGet", "orders-db", APP, HttpStatusCode=status, ResultDescription="no right")
    [row] = workspace.ask(query("vault-refusals"))
    assert (row["Vault"], row["Caller"], row["Status"], row["Refusals"], row["Reason"]) == (
        "kv-orders",
        "11111111-aaaa",
        status,
        2,
        "no right",
    )


def test_what_is_no_refusal_does_not_alarm(workspace: Workspace) -> None:
    audited(workspace, "SecretGet", "orders-db", None, HttpStatusCode=401)  # before a client has its token
    audited(workspace, "SecretGet", "orders-db", APP)
    audited(workspace, "SecretGet", "orders-db", APP, HttpStatusCode=404)
    disabled = "Operation get is not allowed on a disabled secret."
    audited(workspace, "SecretGet", "orders-db", APP, HttpStatusCode=403, ResultDescription=disabled)
    assert workspace.ask(query("vault-refusals")) == []


def test_a_refusal_in_azure_diagnostics_alarms_as_well(workspace: Workspace) -> None:
    diagnosed(workspace, "SecretGet", "orders-db", httpStatusCode_d=403.0, ResultDescription="no right")
    [row] = workspace.ask(query("vault-refusals"))
    assert (row["Vault"], row["Caller"], row["Status"]) == ("kv-orders", "33333333-cccc", 403)
