"""Azure DevOps: service connections, read in a project and written back whole at the organization.

"Endpoints - Get" and "Endpoints - Update Service Endpoint" in the Azure DevOps Services REST reference, 7.1. What is
written replaces all that was there, so what a caller leaves out, or sends back as the null that it was shown in place
of a secret, is lost here. A project that has no connection of that id is answered 200 and null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from local.azure.pipelines import devops_error, json_body, sign_in
from local.azure.plane import Plane

ENDPOINT = "_apis/serviceendpoint/endpoints/{connection}"
NEEDED = ("id", "name", "type", "url", "authorization", "serviceEndpointProjectReferences")


class Connections:
    """asked: (organization, connection) of each one that was written, the newest last."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.asked: list[tuple[str, str]] = []

    def add(
        self,
        organization: str,
        connection: Mapping[str, Any],
        confidential: Sequence[str] = ("password", "apitoken"),
        *,
        administers: bool = True,
    ) -> None:
        """A connection, whole. confidential: its parameters that nobody is shown. administers: whether the app may."""
        body = {"connection": connection, "confidential": list(confidential), "administers": administers}
        self._plane.store.put("connection", f"{organization}/{connection['id']}", body)

    def written(self, organization: str, connection: str) -> dict[str, Any]:
        """All of it, its secrets too."""
        return dict(self._found(organization, connection)["connection"])

    def routes(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {
            ("GET", "/{organization}/{project}/" + ENDPOINT): self._get,
            ("PUT", "/{organization}/" + ENDPOINT): self._put,
        }

    def _found(self, organization: str, connection: str) -> dict[str, Any]:
        return self._plane.store.get("connection", f"{organization}/{connection}") or {}

    async def _get(self, request: web.Request) -> web.Response:
        if (page := sign_in(self._plane, request)) is not None:
            return page
        found = self._found(request.match_info["organization"], request.match_info["connection"])
        project = request.match_info["project"].lower()
        references = found["connection"]["serviceEndpointProjectReferences"] if found else []
        if project not in [one["projectReference"]["name"].lower() for one in references]:
            return web.json_response(None)
        return web.json_response(_shown(found))

    async def _put(self, request: web.Request) -> web.Response:
        if (page := sign_in(self._plane, request)) is not None:
            return page
        organization, connection = request.match_info["organization"], request.match_info["connection"]
        found, body = self._found(organization, connection), await json_body(request)
        if not found:
            raise devops_error(404, "EndpointNotFoundException", f"Unable to find service connection {connection}.")
        if not found["administers"]:
            message = "You do not have permissions to perform this operation on the service connection."
            raise devops_error(403, "AccessDeniedException", message)
        authorization = body.get("authorization")
        sound = isinstance(authorization, dict) and isinstance(authorization.get("parameters"), dict)
        if not sound or not all(body.get(name) for name in NEEDED) or body["id"] != connection:
            raise devops_error(400, "ArgumentException", "Value cannot be null. Parameter name: endpoint")
        if body["authorization"].get("scheme") != found["connection"]["authorization"]["scheme"]:
            raise devops_error(400, "ServiceEndpointException", "The scheme of a service connection stays as it is.")
        new = {**found, "connection": body}
        self._plane.store.put("connection", f"{organization}/{connection}", new)
        self.asked.append((organization, connection))
        return web.json_response(_shown(new))


def _shown(found: Mapping[str, Any]) -> dict[str, Any]:
    """As everybody is shown it: with null in place of its secrets."""
    connection = found["connection"]
    authorization = connection["authorization"]
    hidden = [name for name in authorization["parameters"] or {} if name.lower() in found["confidential"]]
    parameters = {**(authorization["parameters"] or {}), **dict.fromkeys(hidden)}
    return {**connection, "authorization": {**authorization, "parameters": parameters}}
