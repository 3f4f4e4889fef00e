"""Azure DevOps: the new version's value is written into a service connection, as its password or its token.

"Endpoints - Get" (of a project) and "Endpoints - Update Service Endpoint" (of the organization) in the Azure DevOps
Services REST reference, 7.1. There is no call that changes a secret alone: the whole connection is read and written
back, with all that is in it, known here or not, as it was. Azure DevOps shows none of a connection's secrets
(`"password": null` in the examples of both pages), and does not document what becomes of one that is written back as
null. So a connection that has a second one is refused.

"Service endpoint authentication schemes" on Microsoft Learn names the schemes and their inputs: Basic (`username`,
`password`; REST calls it UsernamePassword) and Token (`apitoken`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from rotation.errors import Refused
from rotation.model import SecretValue
from rotation.ports import RotatorDependencies
from rotation.refresh_targets import RefreshOrder
from rotation.refreshers.answers import written
from rotation.refreshers.azure_devops import devops, expect_of_devops
from rotation.rotators.azure.rest import session

API_VERSION = "7.1"
REMEDY = (
    "add this app's identity to the organization, make it an Administrator of this service connection, in each project "
    "that shares it, and see that the connection exists in the project that the policy names"
)
SECRETS: Mapping[str, str] = MappingProxyType({"usernamepassword": "password", "token": "apitoken"})
NO_SECRET = frozenset({"workloadidentityfederation", "managedserviceidentity"})


class Connection:
    """Needs no secret of its own: it signs in as the app's identity."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._api = devops(services)

    async def refresh(self, order: RefreshOrder) -> None:
        value, project = written(order), order.refresh.target
        organization, _, _ = project.partition("/")
        path = f"/_apis/serviceendpoint/endpoints/{order.refresh.option('connection')}"
        query = {"api-version": API_VERSION}
        async with session() as over:
            found = await self._api.get(over, f"/{quote(project)}{path}", **query)
            expect_of_devops(found, REMEDY)
            if not found.body:  # null, where the project has none of that id
                raise Refused(f"Azure DevOps knows no such service connection in that project: {REMEDY}")
            answer = await self._api.put(over, f"/{organization}{path}", with_secret(found.body, value), **query)
        expect_of_devops(answer, REMEDY)


def with_secret(connection: Mapping[str, Any], value: SecretValue) -> dict[str, Any]:
    """The connection as it is to be written back: the same but for its secret.

    Raises:
        Refused: it has no secret, one of a kind that is not written here, or more than one.
    """
    authorization = connection.get("authorization")
    scheme = authorization.get("scheme") if isinstance(authorization, dict) else None
    parameters = authorization.get("parameters") if isinstance(authorization, dict) else None
    if not isinstance(authorization, dict) or not isinstance(scheme, str) or not isinstance(parameters, dict | None):
        raise Refused("Azure DevOps did not say how the service connection signs in: write it by a pipeline")
    if scheme.lower() in NO_SECRET:
        raise Refused(f"the service connection signs in by {scheme!a:.40}, so no secret is needed: take the entry out")
    wanted = SECRETS.get(scheme.lower())
    if wanted is None:
        raise Refused(
            f"the service connection signs in by {scheme!a:.40}, and only UsernamePassword and Token can be written: "
            "convert one of Azure's to workload identity federation, which needs no secret; write others by a pipeline"
        )
    had = parameters or {}
    names = [name for name in had if name.lower() == wanted]
    unseen = [name for name, one in had.items() if one is None and name not in names]
    if unseen or len(names) > 1:
        other = (unseen or names)[-1]
        raise Refused(
            f"the service connection has another parameter that Azure DevOps does not show, {other!a:.40}, and that a "
            "write may lose: fill it in if it is empty, else write the connection by a pipeline"
        )
    changed = {**had, (names or [wanted])[0]: value.reveal()}
    return {**connection, "authorization": {**authorization, "parameters": changed}}
