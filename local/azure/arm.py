"""The resource manager: subscriptions, storage accounts, their keys, flexible servers, and refresh targets.

"Storage Accounts" in the Azure Storage Resource Provider REST reference, "Servers - Get" in that of Azure Database for
PostgreSQL, and "Common error codes" of the resource manager.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from local.azure.clusters import VERSIONS as CLUSTER_VERSIONS
from local.azure.clusters import Clusters
from local.azure.keyed import Keyed
from local.azure.plane import Plane, answer, json_object, moment
from local.azure.sites import Sites
from local.resources import GROUP
from local.tokens import TENANT

AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
KEYS = ("key1", "key2")
KEY_BYTES = 64

_GROUP = r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers"
_ACCOUNT = re.compile(
    rf"(?P<id>{_GROUP}/Microsoft\.Storage/storageAccounts/(?P<name>[^/]+))(?P<action>/\w+)?", re.IGNORECASE
)
_SERVER = re.compile(
    rf"(?P<id>{_GROUP}/(?P<type>Microsoft\.DBfor(?P<product>PostgreSQL|MySQL)/flexibleServers)/[^/]+)", re.IGNORECASE
)
_VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
# Those of azure-rest-api-specs, Microsoft.Storage, Microsoft.DBforPostgreSQL and Microsoft.DBforMySQL; the last four of
# storage are those that azure-mgmt-storage 25.3 lists for its operations and speaks.
STORAGE_VERSIONS = (
    "2015-06-15", "2016-01-01", "2016-05-01", "2016-12-01", "2017-06-01", "2017-10-01", "2018-02-01", "2018-07-01",
    "2018-11-01", "2019-04-01", "2019-06-01", "2020-08-01-preview", "2021-01-01", "2021-02-01", "2021-04-01",
    "2021-05-01", "2021-06-01", "2021-08-01", "2021-09-01", "2022-05-01", "2022-09-01", "2023-01-01", "2023-04-01",
    "2023-05-01", "2024-01-01", "2025-01-01", "2025-06-01", "2025-08-01", "2026-04-01", "2026-06-01", "2026-09-01",
)  # fmt: skip
SERVER_VERSIONS = (
    "2021-06-01", "2022-12-01", "2023-03-01-preview", "2023-06-01-preview", "2023-12-01-preview",
    "2024-03-01-preview", "2024-08-01", "2024-11-01-preview", "2025-01-01-preview", "2025-06-01-preview", "2025-08-01",
)  # fmt: skip
MYSQL_VERSIONS = (
    "2021-05-01", "2022-01-01", "2022-09-30-preview", "2023-06-01-preview", "2023-06-30", "2023-10-01-preview",
    "2023-12-01-preview", "2023-12-30", "2024-02-01-preview", "2024-06-01-preview", "2024-10-01-preview",
    "2024-12-01-preview", "2024-12-30", "2025-06-01-preview",
)  # fmt: skip
_OF_SERVERS = {
    "postgresql": ("Microsoft.DBforPostgreSQL/flexibleServers", SERVER_VERSIONS),
    "mysql": ("Microsoft.DBforMySQL/flexibleServers", MYSQL_VERSIONS),
}


class Arm:
    """Serves the resource manager's calls below `path`."""

    def __init__(self, plane: Plane, path: str, blob_path: str, clusters_path: str) -> None:
        self._plane = plane
        self._path = path
        self._blob_path = blob_path
        self.sites = Sites(plane)
        self.keyed = Keyed(plane)
        self.clusters = Clusters(plane, clusters_path)

    def add_account(self, account_id: str, *, allow_shared_key: bool = True, firewall: bool = False) -> None:
        """Create a storage account, or change the settings of one; its keys stay.

        firewall: its blob service answers nobody, since all are outside the permitted networks.

        Raises:
            ValueError: this is no storage account's id.
        """
        parsed = _ACCOUNT.fullmatch(account_id)
        if parsed is None or parsed["action"]:
            raise ValueError("id is not a storage account's ARM id")
        known = self._plane.store.get("account", account_id)
        keys = known["keys"] if known else {name: self._new_key() for name in KEYS}
        body = {"id": account_id, "name": parsed["name"], "allow_shared_key": allow_shared_key, "firewall": firewall}
        self._plane.store.put("account", account_id, {**body, "keys": keys})

    def add_server(self, server_id: str, fqdn: str, state: str = "Ready") -> None:
        """Create or change a flexible server, of PostgreSQL or of MySQL.

        Raises:
            ValueError: this is no flexible server's id.
        """
        if _SERVER.fullmatch(server_id) is None:
            raise ValueError("id is not a flexible server's ARM id")
        self._plane.store.put("server", server_id, {"id": server_id, "fqdn": fqdn, "state": state})

    def keys(self, account_id: str) -> dict[str, str]:
        """An account's keys, as its owner sees them."""
        account = self._plane.store.get("account", account_id) or {}
        return {name: key["value"] for name, key in account["keys"].items()}

    async def handle(self, request: web.Request) -> web.Response:
        """One call."""
        claims = self._plane.check_token(request, self._plane.url + self._path, *AUDIENCES)
        path = request.path.removeprefix(self._path)
        if path == "/subscriptions" and request.method == "GET":
            _check_version(request, "subscriptions", ())
            return web.json_response({"value": [_subscription(one) for one in self._subscriptions()]})
        refresh_target = self.sites.kind_of(path)
        if refresh_target is not None:
            _check_version(request, *refresh_target)
            return await self.sites.handle(request, path, claims)
        if self.clusters.serves(path):
            _check_version(request, "managedClusters", CLUSTER_VERSIONS)
            return await self.clusters.credentials(request, path, claims)
        keyed = self.keyed.supported(path)
        if keyed is not None:
            _check_version(request, *keyed)
            return await self.keyed.handle(request, path, claims)
        account, server = _ACCOUNT.fullmatch(path), _SERVER.fullmatch(path)
        if account is not None:
            _check_version(request, "storageAccounts", STORAGE_VERSIONS)
            self._authorize(claims, "Microsoft.Storage/storageAccounts", account["action"], account["id"])
            return await self._account(request, account)
        if server is not None and request.method == "GET":
            kind, versions = _OF_SERVERS[server["product"].lower()]
            _check_version(request, "flexibleServers", versions)
            self._authorize(claims, kind, None, server["id"])
            return self._server(request, server["id"], kind)
        _check_version(request, "", ())
        raise answer(404, "InvalidResourceType", "The resource type could not be found.")

    def _authorize(self, claims: Mapping[str, Any], kind: str, called: str | None, scope: str) -> None:
        """Answers 403 unless the caller may: a POST on a resource asks for an action of its name, a GET for `read`."""
        action = f"{kind}{called}/action" if called else f"{kind}/read"
        if not self._plane.rights.permit(claims, action, scope):
            message = (
                f"The client '{claims.get('appid')}' with object id '{claims.get('oid')}' does not have authorization "
                f"to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently "
                "granted, please refresh your credentials."
            )
            raise answer(403, "AuthorizationFailed", message)

    async def _account(self, request: web.Request, parsed: re.Match[str]) -> web.Response:
        action = (parsed["action"] or "").lower()
        reads = action in {"", "/listkeys"}
        account = (
            self._plane.seen(request, "account", parsed["id"])
            if reads
            else self._plane.store.get("account", parsed["id"])
        )
        if account is None:
            raise answer(404, "ResourceNotFound", f"The Resource '{parsed['id']}' was not found.")
        match request.method, action:
            case "GET", "":
                return web.json_response(self._shown(account))
            case "POST", "/listkeys":
                return web.json_response(_listed(account))
            case "POST", "/regeneratekey":
                name = (await json_object(request)).get("keyName")
                if name not in KEYS:
                    raise answer(400, "InvalidParameter", "Values for request parameters are invalid: keyName.")
                account["keys"][name] = self._new_key(replaces=account["keys"][name]["value"])
                self._plane.store.put("account", account["id"], account)
                return web.json_response(_listed(account))
            case _:
                raise answer(405, "MethodNotAllowed", "The requested resource does not support this method.")

    def _subscriptions(self) -> list[str]:
        """The ids of those that hold something, or that of the group that everything local is told to be in."""
        resources = [*self._plane.store.all("account"), *self._plane.store.all("server")]
        return sorted({one["id"].split("/")[2].lower() for one in resources} | {GROUP.split("/")[2]})

    def _new_key(self, replaces: str | None = None) -> dict[str, Any]:
        value = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
        return {"value": value, "created": moment(self._plane.now()), "previous": replaces}

    def _shown(self, account: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": account["id"],
            "name": account["name"],
            "type": "Microsoft.Storage/storageAccounts",
            "kind": "StorageV2",
            "location": "local",
            "properties": {
                "provisioningState": "Succeeded",
                "allowSharedKeyAccess": account["allow_shared_key"],
                "primaryEndpoints": {"blob": f"{self._plane.url}{self._blob_path}/{account['name']}/"},
            },
        }

    def _server(self, request: web.Request, server_id: str, kind: str) -> web.Response:
        server = self._plane.seen(request, "server", server_id)
        if server is None:
            raise answer(404, "ResourceNotFound", f"The Resource '{server_id}' was not found.")
        shown = {
            "id": server["id"],
            "name": server["id"].rsplit("/", 1)[1],
            "type": kind,
            "location": "local",
            "properties": {"fullyQualifiedDomainName": server["fqdn"], "state": server["state"], "version": "16"},
        }
        return web.json_response(shown)


def _subscription(identifier: str) -> dict[str, Any]:
    """As "Subscriptions - List" in the resource manager's REST reference has it."""
    return {
        "id": f"/subscriptions/{identifier}",
        "subscriptionId": identifier,
        "tenantId": TENANT,
        "displayName": "local",
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
    }


def _check_version(request: web.Request, kind: str, supported: Sequence[str]) -> None:
    """Answers 400 unless the resource provider knows the api-version that is asked for; any is, where none is named.

    Words as in azure-cli#27109 (no version that there is) and azure-rest-api-specs#11929 (none of this type).
    """
    given = request.query.get("api-version", "")
    if not given:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise answer(400, "MissingApiVersionParameter", message)
    if not _VERSION.fullmatch(given):
        message = f"The api-version '{given}' is invalid. The supported versions are '{','.join(supported)}'."
        raise answer(400, "InvalidApiVersionParameter", message)
    if supported and given not in supported:
        message = (
            f"No registered resource provider found for location 'local' and API version '{given}' for type '{kind}'. "
            f"The supported api-versions are '{', '.join(supported)}'. The supported locations are 'local'."
        )
        raise answer(400, "NoRegisteredProviderFound", message)


def _listed(account: dict[str, Any]) -> dict[str, Any]:
    keys = account["keys"].items()
    return {
        "keys": [
            {"keyName": name, "value": key["value"], "permissions": "FULL", "creationTime": key["created"]}
            for name, key in keys
        ]
    }
