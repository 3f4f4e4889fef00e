"""AKS: where a cluster's API is, and of that API the patch of a deployment.

"Managed Clusters - List Cluster User Credentials" in the AKS REST reference; "Deployment", "patch" in the Kubernetes
API reference, and "Status" for its errors. The API takes Entra tokens of AKS' own application alone.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local.azure.plane import Answer, Plane, answer, json_object

AKS = "6dae42f8-4368-4678-94ff-3960e28e3630"
VERSIONS = ("2024-02-01", "2024-05-01", "2024-07-01", "2024-08-01", "2024-09-01", "2025-01-01", "2025-04-01")
PATCH = "application/strategic-merge-patch+json"
_CLUSTER = re.compile(
    r"(?P<id>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ContainerService/managedClusters/(?P<name>[^/]+))"
    r"(?P<rest>/\w+)",
    re.IGNORECASE,
)


class Clusters:
    """asked: (cluster, namespace/name, what the annotation says) of each patch that changed something."""

    def __init__(self, plane: Plane, path: str) -> None:
        self._plane = plane
        self._path = path
        self.asked: list[tuple[str, str, str]] = []

    def add(self, cluster_id: str, ca: str, deployment: str, *, local_accounts: bool = False, server: str = "") -> None:
        """A cluster with one deployment, "namespace/name", that the app's identity may patch. ca: PEM.

        server: where its API is said to be, if that is not here.
        """
        name = cluster_id.rsplit("/", 1)[1].lower()
        body = {"ca": ca, "deployment": deployment, "local_accounts": local_accounts, "server": server, "at": ""}
        self._plane.store.put("cluster", name, body)

    def serves(self, path: str) -> bool:
        """Whether a path of the resource manager's is about a cluster."""
        return _CLUSTER.fullmatch(path) is not None

    async def credentials(self, request: web.Request, path: str, claims: Mapping[str, Any]) -> web.Response:
        """One call at the resource manager."""
        parsed = _CLUSTER.fullmatch(path)
        assert parsed is not None  # noqa: S101  callers asked `serves`
        if request.method != "POST" or parsed["rest"].lower() != "/listclusterusercredential":
            raise answer(405, "MethodNotAllowed", "The requested resource does not support this method.")
        action = "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action"
        if not self._plane.rights.permit(claims, action, parsed["id"]):
            message = (
                f"The client does not have authorization to perform action '{action}' over scope '{parsed['id']}'."
            )
            raise answer(403, "AuthorizationFailed", message)
        if await json_object(request):
            raise answer(400, "BadRequest", "The request takes no body.")
        name = parsed["name"].lower()
        found = self._plane.store.get("cluster", name)
        if found is None:
            raise answer(404, "ResourceNotFound", f"The Resource '{parsed['id']}' was not found.")
        server = found["server"] or f"{self._plane.url}{self._path}/{name}"
        user = "client-key-data: aGlkZGVu" if found["local_accounts"] else "exec:\n      command: kubelogin"
        authority = base64.b64encode(found["ca"].encode()).decode()
        text = (
            "apiVersion: v1\nclusters:\n- cluster:\n"
            f"    certificate-authority-data: {authority}\n    server: {server}\n  name: {name}\n"
            f"kind: Config\nusers:\n- name: clusterUser\n  user:\n    {user}\n"
        )
        config = {"name": "clusterUser", "value": base64.b64encode(text.encode()).decode()}
        return web.json_response({"kubeconfigs": [config]})

    async def patch(self, request: web.Request) -> web.Response:
        """One call at a cluster's own API."""
        try:
            self._plane.check_token(request, AKS)
        except Answer:
            return _status(401, "Unauthorized", "Unauthorized")
        found = self._plane.store.get("cluster", request.match_info["cluster"])
        wanted = f"{request.match_info['namespace']}/{request.match_info['name']}"
        if found is None or found["deployment"] != wanted:
            return _status(403, "Forbidden", "deployments.apps is forbidden: User cannot patch resource")
        if request.content_type != PATCH:
            return _status(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        try:
            at = json.loads(await request.read())["spec"]["template"]["metadata"]["annotations"]
            [(key, value)] = at.items()
        except (ValueError, KeyError, TypeError, AttributeError):
            return _status(422, "Invalid", "the patch is invalid")
        if key != "kubectl.kubernetes.io/restartedAt" or not isinstance(value, str):
            return _status(422, "Invalid", "the patch is invalid")
        if found["at"] != value:
            self._plane.store.put("cluster", request.match_info["cluster"], {**found, "at": value})
            self.asked.append((request.match_info["cluster"], wanted, value))
        return web.json_response({"kind": "Deployment", "apiVersion": "apps/v1"})


def _status(code: int, reason: str, message: str) -> web.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return web.json_response(body, status=code)
