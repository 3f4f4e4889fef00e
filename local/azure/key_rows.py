"""What the resource manager's stand-in knows of each type of resource with two keys.

Written from azure-rest-api-specs by way of Azure/bicep-types-az and the azure-mgmt-* packages, and not from the app's
own table: where the two differ, a test turns red.
"""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Keys = Mapping[str, Mapping[str, str]]  # by what the body of the second call says: "value", "created", "id"


def _base64(size: int) -> Callable[[], str]:
    return lambda: base64.b64encode(secrets.token_bytes(size)).decode()


_key_256 = _base64(32)


def _hex() -> str:
    return secrets.token_hex(16)


def _runtime_key() -> str:
    return f"IR@{uuid.uuid4()}@adf-local@ServiceEndpoint=adf-local.westeurope.datafactory.azure.net@{_base64(32)()}"


def _fields(**named: str) -> Callable[[Keys], dict[str, Any]]:
    """A list whose fields are named after what the second call says."""
    return lambda keys: {field: keys[sent]["value"] for field, sent in named.items()}


def _primary(keys: Keys) -> dict[str, Any]:
    return {"primaryKey": keys["Primary"]["value"], "secondaryKey": keys["Secondary"]["value"]}


def _policy(keys: Keys) -> dict[str, Any]:
    first, second = keys["PrimaryKey"]["value"], keys["SecondaryKey"]["value"]
    return {"keyName": "policy", "primaryKey": first, "secondaryKey": second}


def _store(keys: Keys) -> dict[str, Any]:
    named = [("Primary", False), ("Secondary", False), ("Primary Read Only", True), ("Secondary Read Only", True)]
    return {"value": [_of_store(name, keys[name], read_only=reads) for name, reads in named]}


def _of_store(name: str, key: Mapping[str, str], *, read_only: bool) -> dict[str, Any]:
    shown = {"id": key["id"], "name": name, "value": key["value"], "lastModified": key["created"]}
    return {**shown, "connectionString": f"Endpoint=local;Id={key['id']};Secret={key['value']}", "readOnly": read_only}


def _maps(keys: Keys) -> dict[str, Any]:
    first, second = keys["primary"], keys["secondary"]
    made = {"primaryKeyLastUpdated": first["created"], "secondaryKeyLastUpdated": second["created"]}
    return {"primaryKey": first["value"], "secondaryKey": second["value"], **made}


def _registry(keys: Keys) -> dict[str, Any]:
    passwords = [{"name": name, "value": keys[name]["value"]} for name in ("password", "password2")]
    return {"username": "local", "passwords": passwords}


def _automation(keys: Keys) -> dict[str, Any]:
    shown = {name: keys[name]["value"] for name in ("primary", "secondary")}
    return {"keys": shown, "endpoint": "https://agentsvc.local"}


@dataclass(frozen=True, slots=True)
class Row:
    """types: as Azure writes them. versions: that the resource provider knows. lists: method and action.

    anew: the actions that make a key anew, each with the key that it means; None: the body's `says` names it. allowed:
    other fields that the body may have. answer: of the second call: "list", "one" (the key alone), or "nothing" (204).
    off: the property of the resource, or of the outermost one, that switches keys off, as it then says.
    """

    types: tuple[str, ...]
    versions: tuple[str, ...]
    keys: tuple[str, ...]
    shown: Callable[[Keys], dict[str, Any]]
    new: Callable[[], str] = _key_256
    lists: tuple[str, str] = ("POST", "listKeys")
    anew: Mapping[str, str | None] = field(default_factory=lambda: {"regenerateKey": None})
    says: str = "keyType"
    allowed: tuple[str, ...] = ()
    answer: str = "list"
    status: int = 200
    long_running: bool = False
    off: Mapping[str, Any] = field(default_factory=lambda: {"disableLocalAuth": True})
    of_outermost: bool = False


_BUS: dict[str, Any] = {"anew": {"regenerateKeys": None}, "keys": ("PrimaryKey", "SecondaryKey"), "shown": _policy}
_TWO: dict[str, Any] = {"keys": ("Primary", "Secondary"), "shown": _primary}
_EVENTS: dict[str, Any] = {
    "keys": ("key1", "key2"), "says": "keyName", "shown": _fields(key1="key1", key2="key2"),
    "versions": ("2025-02-15", "2022-06-15"),
}  # fmt: skip

ROWS: tuple[Row, ...] = (
    Row(
        types=(
            "Microsoft.ServiceBus/namespaces/AuthorizationRules",
            "Microsoft.ServiceBus/namespaces/queues/authorizationRules",
            "Microsoft.ServiceBus/namespaces/topics/authorizationRules",
        ),
        versions=("2026-01-01", "2024-01-01"), allowed=("key",), of_outermost=True, **_BUS,
    ),
    Row(
        types=(
            "Microsoft.EventHub/namespaces/authorizationRules",
            "Microsoft.EventHub/namespaces/eventhubs/authorizationRules",
        ),
        versions=("2026-01-01", "2024-01-01"), allowed=("key",), of_outermost=True, **_BUS,
    ),
    Row(
        types=(
            "Microsoft.Relay/namespaces/authorizationRules",
            "Microsoft.Relay/namespaces/hybridConnections/authorizationRules",
            "Microsoft.Relay/namespaces/wcfRelays/authorizationRules",
        ),
        versions=("2026-01-01", "2024-01-01"), allowed=("key",), off={}, **_BUS,
    ),
    Row(
        types=(
            "Microsoft.NotificationHubs/namespaces/AuthorizationRules",
            "Microsoft.NotificationHubs/namespaces/notificationHubs/authorizationRules",
        ),
        versions=("2023-09-01",), says="policyKey", off={}, **_BUS,
    ),
    Row(types=("Microsoft.EventGrid/topics",), long_running=True, **_EVENTS),
    Row(types=("Microsoft.EventGrid/domains",), **_EVENTS),
    Row(types=("Microsoft.EventGrid/namespaces",), long_running=True, off={}, **_EVENTS),
    Row(types=("Microsoft.SignalRService/signalR",), versions=("2024-03-01",), long_running=True, **_TWO),
    Row(types=("Microsoft.SignalRService/webPubSub",), versions=("2024-03-01",), long_running=True, **_TWO),
    Row(types=("Microsoft.Communication/communicationServices",), versions=("2026-03-18", "2025-09-01"), **_TWO),
    Row(
        types=("Microsoft.DocumentDB/databaseAccounts",),
        versions=("2026-03-15", "2025-10-15"),
        keys=("primary", "secondary", "primaryReadonly", "secondaryReadonly"),
        shown=_fields(
            primaryMasterKey="primary", secondaryMasterKey="secondary",
            primaryReadonlyMasterKey="primaryReadonly", secondaryReadonlyMasterKey="secondaryReadonly",
        ),
        new=_base64(64), says="keyKind", answer="nothing", status=200, long_running=True,
    ),
    Row(
        types=("Microsoft.Cache/redis",),
        versions=("2024-11-01",), off={"disableAccessKeyAuthentication": True}, **_TWO,
    ),
    Row(
        types=("Microsoft.Cache/redisEnterprise/databases",),
        versions=("2025-07-01",), long_running=True, off={"accessKeysAuthentication": "Disabled"}, **_TWO,
    ),
    Row(
        types=("Microsoft.Search/searchServices",),
        versions=("2025-05-01",),
        keys=("primary", "secondary"),
        shown=_fields(primaryKey="primary", secondaryKey="secondary"),
        lists=("POST", "listAdminKeys"),
        anew={"regenerateAdminKey/primary": "primary", "regenerateAdminKey/secondary": "secondary"},
    ),
    Row(
        types=("Microsoft.AppConfiguration/configurationStores",),
        versions=("2024-06-01",),
        keys=("Primary", "Secondary", "Primary Read Only", "Secondary Read Only"),
        shown=_store, says="id", answer="one",
    ),
    Row(
        types=("Microsoft.Batch/batchAccounts",),
        versions=("2025-06-01",),
        keys=("Primary", "Secondary"),
        shown=_fields(primary="Primary", secondary="Secondary"),
        new=_base64(64), anew={"regenerateKeys": None}, says="keyName", off={"allowedAuthenticationModes": ["AAD"]},
    ),
    Row(
        types=("Microsoft.DataFactory/factories/integrationRuntimes",),
        versions=("2018-06-01",),
        keys=("authKey1", "authKey2"),
        shown=_fields(authKey1="authKey1", authKey2="authKey2"),
        new=_runtime_key, lists=("POST", "listAuthKeys"), anew={"regenerateAuthKey": None}, says="keyName", off={},
    ),
    Row(
        types=("Microsoft.MachineLearningServices/workspaces/onlineEndpoints",),
        versions=("2026-05-01",), anew={"regenerateKeys": None}, answer="nothing", long_running=True,
        off={"authMode": "AADToken"}, **_TWO,
    ),
    Row(
        types=("Microsoft.CognitiveServices/accounts",),
        versions=("2025-09-01", "2026-07-01"),
        keys=("Key1", "Key2"),
        shown=_fields(key1="Key1", key2="Key2"),
        new=_hex, says="keyName",
    ),
    Row(
        types=("Microsoft.ApiManagement/service/subscriptions",),
        versions=("2024-05-01",),
        new=_hex, lists=("POST", "listSecrets"), answer="nothing", status=204, off={},
        anew={"regeneratePrimaryKey": "Primary", "regenerateSecondaryKey": "Secondary"}, **_TWO,
    ),
    Row(types=("Microsoft.Maps/accounts",), versions=("2023-06-01",), keys=("primary", "secondary"), shown=_maps),
    Row(
        types=("Microsoft.ContainerRegistry/registries",),
        versions=("2025-11-01",),
        keys=("password", "password2"),
        shown=_registry, lists=("POST", "listCredentials"), anew={"regenerateCredential": None}, says="name",
        off={"adminUserEnabled": False},
    ),
    Row(
        types=("Microsoft.Automation/automationAccounts",),
        versions=("2024-10-23",),
        keys=("primary", "secondary"),
        shown=_automation, lists=("GET", "agentRegistrationInformation"),
        anew={"agentRegistrationInformation/regenerateKey": None}, says="keyName",
    ),
)  # fmt: skip
