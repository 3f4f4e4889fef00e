"""AKS: the pods of a deployment are replaced, by its own strategy, as `kubectl rollout restart` does it.

By the cluster's own API, with the app's Entra token: there a Role can be as narrow as one deployment. ARM's
`runCommand` would need no way to the cluster, but its right is that of the cluster's administrator. Where the API is,
and whose certificates it shows, "Managed Clusters - List Cluster User Credentials" in the AKS REST reference says; of
its answer nothing else is used. If a cluster has local accounts, that call gives an administrator's key to anybody who
may make it, so such a cluster is refused.

`kubectl rollout restart` sets the annotation kubectl.kubernetes.io/restartedAt in the pods' template. Here it says when
the version was published: asked again, nothing changes, and no second rollout begins.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rotation.addresses import AKS_SUFFIXES
from rotation.errors import Refused
from rotation.model import SecretValue
from rotation.ports import RotatorDependencies, TokenProvider
from rotation.refresh_targets import RefreshOrder
from rotation.refreshers.answers import arm, expect
from rotation.rotators.azure.rest import ApiClient, session

API_VERSION = "2025-01-01"
SCOPE = "6dae42f8-4368-4678-94ff-3960e28e3630/.default"  # AKS' own application, the same for each cluster
ROLE = "Keyturn AKS"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_SERVER = re.compile(r"^ *server: *(\S+) *$", re.MULTILINE)
_AUTHORITY = re.compile(r"^ *certificate-authority-data: *(\S+) *$", re.MULTILINE)
_LOCAL_ACCOUNT = re.compile(r"^ *client-key-data:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Cluster:
    """server: an address. authority: PEM."""

    server: str
    authority: str


class _OfAks:
    """Tokens for clusters, whatever address they are called at."""

    def __init__(self, tokens: TokenProvider) -> None:
        self._tokens = tokens

    async def token(self, scope: str) -> SecretValue:  # noqa: ARG002  the port's signature
        return await self._tokens.token(SCOPE)


class Aks:
    """Needs the role `ROLE` on the cluster, and in the cluster a Role to patch that one deployment."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._arm = arm(services)
        self._home = urlsplit(services.endpoints.arm).hostname or ""
        self._tokens = _OfAks(services.tokens)

    async def refresh(self, order: RefreshOrder) -> None:
        cluster = await self._cluster(order)
        namespace, _, name = order.refresh.option("deployment").partition("/")
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        annotations = {RESTARTED_AT: order.published_at.isoformat()}
        body = json.dumps({"spec": {"template": {"metadata": {"annotations": annotations}}}}).encode()
        api = ApiClient("the cluster", cluster.server, self._tokens)
        headers = {"Content-Type": "application/strategic-merge-patch+json", "Accept": "application/json"}
        async with session(cluster.authority) as over:
            answer = await api.send_as_it_is(over, "PATCH", path, body, headers)
        expect(
            answer, "the cluster", "let a Role permit this app's identity to patch that deployment, see that it exists"
        )

    async def _cluster(self, order: RefreshOrder) -> _Cluster:
        async with session() as over:
            path = f"{order.refresh.target}/listClusterUserCredential"
            answer = await self._arm.post(over, path, {}, **{"api-version": API_VERSION})
        expect(
            answer, self._arm.name, f"give this app's identity the role {ROLE} on the cluster, and see that it exists"
        )
        text = _kubeconfig(answer.body)
        server, authority = _SERVER.search(text), _AUTHORITY.search(text)
        if _LOCAL_ACCOUNT.search(text):
            raise Refused("the cluster has local accounts, so that nobody may be given its credentials: disable them")
        if server is None or authority is None or not self._is_a_clusters(server[1]):
            raise Refused("Azure Resource Manager did not say where the cluster's API is: see that the cluster runs")
        return _Cluster(server[1].rstrip("/"), _certificates(authority[1]))

    def _is_a_clusters(self, address: str) -> bool:
        """Below the cloud's suffix; where the resource manager is no cloud's, on the same machine."""
        parts = urlsplit(address)
        suffix = AKS_SUFFIXES.get(self._home)
        host = parts.hostname or ""
        return parts.scheme == "https" and (host.endswith(suffix) if suffix else host == self._home)


def _certificates(text: str) -> str:
    """Whom to trust at the cluster, PEM.

    Raises:
        Refused: it is no certificate. Nobody else is trusted in its place.
    """
    try:
        authority = base64.b64decode(text, validate=True).decode("ascii")
        if authority:
            ssl.create_default_context(cadata=authority)
            return authority
    except (ValueError, ssl.SSLError):
        pass
    raise Refused("the certificate authority of the cluster can't be read: see that the cluster runs")


def _kubeconfig(body: Any) -> str:
    """The text of the first one; blank where there is none."""
    found = body.get("kubeconfigs")
    first = found[0] if isinstance(found, list) and found else None
    value = first.get("value") if isinstance(first, dict) else None
    try:
        return base64.b64decode(value, validate=True).decode() if isinstance(value, str) else ""
    except (binascii.Error, ValueError):
        return ""
