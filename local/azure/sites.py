"""The resource manager's refresh targets: App Service sites with their slots, and container apps.

"Use Key Vault references as app settings" on Microsoft Learn has the call that resolves the references of a site's
settings; of its answer only what people show of it is known. "Container Apps - Get" and "Container Apps Revisions -
Restart Revision" are in the Container Apps REST reference. Which right the first call needs is nowhere written: here it
is the one to write the site's configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local.azure.plane import Plane, answer, json_object

_GROUP = r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers"
_SITE = re.compile(rf"(?P<id>{_GROUP}/Microsoft\.Web/sites/[^/]+(?P<slot>/slots/[^/]+)?)(?P<rest>/.+)?", re.IGNORECASE)
_APP = re.compile(rf"(?P<id>{_GROUP}/Microsoft\.App/containerApps/[^/]+)(?P<rest>/.+)?", re.IGNORECASE)
_RESTART = re.compile(r"/revisions/(?P<revision>[^/]+)/restart", re.IGNORECASE)
_REFRESH = "/config/configreferences/appsettings/refresh"
# Those of azure-rest-api-specs, Microsoft.Web and Microsoft.App, without previews.
SITE_VERSIONS = (
    "2018-02-01", "2018-11-01", "2019-08-01", "2020-06-01", "2020-09-01", "2020-10-01", "2020-12-01", "2021-01-01",
    "2021-01-15", "2021-02-01", "2021-03-01", "2022-03-01", "2022-09-01", "2023-01-01", "2023-12-01", "2024-04-01",
    "2024-11-01", "2025-03-01", "2025-05-01",
)  # fmt: skip
APP_VERSIONS = ("2022-03-01", "2022-10-01", "2023-05-01", "2024-03-01", "2025-01-01", "2025-07-01")


class Sites:
    """Serves the calls on both. asked: (what, id in lower case) of each call that was done, the newest last."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.asked: list[tuple[str, str]] = []

    def add_site(self, site_id: str) -> None:
        """Create a site, or a slot of one.

        Raises:
            ValueError: this is the id of neither.
        """
        parsed = _SITE.fullmatch(site_id)
        if parsed is None or parsed["rest"]:
            raise ValueError("id is not the ARM id of a site or a slot")
        self._plane.store.put("site", site_id, {"id": site_id})

    def add_container_app(self, app_id: str, revision: str | None) -> None:
        """Create a container app, or change it. revision: the latest that is ready; None: none is.

        Raises:
            ValueError: this is no container app's id.
        """
        parsed = _APP.fullmatch(app_id)
        if parsed is None or parsed["rest"]:
            raise ValueError("id is not a container app's ARM id")
        self._plane.store.put("container-app", app_id, {"id": app_id, "revision": revision})

    def kind_of(self, path: str) -> tuple[str, tuple[str, ...]] | None:
        """The type of resource that a path is about, and its api-versions; None: neither of the two."""
        if _SITE.fullmatch(path):
            return "sites", SITE_VERSIONS
        return ("containerApps", APP_VERSIONS) if _APP.fullmatch(path) else None

    async def handle(self, request: web.Request, path: str, claims: Mapping[str, Any]) -> web.Response:
        """One call on what `kind_of` knows."""
        site, app = _SITE.fullmatch(path), _APP.fullmatch(path)
        if site is not None:
            return await self._site(request, site, claims)
        assert app is not None  # noqa: S101  callers asked `kind_of`
        return await self._app(request, app, claims)

    async def _site(self, request: web.Request, parsed: re.Match[str], claims: Mapping[str, Any]) -> web.Response:
        kind = "Microsoft.Web/sites/slots" if parsed["slot"] else "Microsoft.Web/sites"
        if request.method != "POST" or (parsed["rest"] or "").lower() != _REFRESH:
            raise answer(405, "MethodNotAllowed", "The requested resource does not support this method.")
        self._permit(claims, f"{kind}/config/Write", parsed["id"])
        await self._no_body(request)
        self._find("site", parsed["id"])
        self.asked.append(("refresh", parsed["id"].lower()))
        reference = {"name": "DATABASE_URL", "properties": {"status": "Resolved", "source": "KeyVault"}}
        return web.json_response({"value": [reference]})

    async def _app(self, request: web.Request, parsed: re.Match[str], claims: Mapping[str, Any]) -> web.Response:
        rest = parsed["rest"] or ""
        restart = _RESTART.fullmatch(rest)
        if request.method == "GET" and not rest:
            self._permit(claims, "Microsoft.App/containerApps/read", parsed["id"])
            found = self._find("container-app", parsed["id"])
            properties = {"provisioningState": "Succeeded", "latestReadyRevisionName": found["revision"] or ""}
            return web.json_response(
                {"id": found["id"], "type": "Microsoft.App/containerApps", "properties": properties}
            )
        if request.method == "POST" and restart is not None:
            self._permit(claims, "Microsoft.App/containerApps/revisions/restart/action", parsed["id"])
            await self._no_body(request)
            if self._find("container-app", parsed["id"])["revision"] != restart["revision"]:
                raise answer(404, "RevisionNotFound", f"Revision '{restart['revision']}' was not found.")
            self.asked.append(("restart", parsed["id"].lower()))
            return web.Response()
        raise answer(405, "MethodNotAllowed", "The requested resource does not support this method.")

    def _find(self, kind: str, resource_id: str) -> dict[str, Any]:
        found = self._plane.store.get(kind, resource_id)
        if found is None:
            raise answer(404, "ResourceNotFound", f"The Resource '{resource_id}' was not found.")
        return found

    def _permit(self, claims: Mapping[str, Any], action: str, scope: str) -> None:
        if not self._plane.rights.permit(claims, action, scope):
            message = f"The client does not have authorization to perform action '{action}' over scope '{scope}'."
            raise answer(403, "AuthorizationFailed", message)

    async def _no_body(self, request: web.Request) -> None:
        if await json_object(request):
            raise answer(400, "BadRequest", "The request takes no body.")
