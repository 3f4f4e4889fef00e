"""The control calls: see the package's docstring."""

from __future__ import annotations

import base64
import hmac
import json

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local.azure.arm import Arm
from local.azure.connections import Connections
from local.azure.faults import Faults, parse_fault
from local.azure.github_secrets import GitHubSecrets
from local.azure.graph import Graph
from local.azure.hooks import Hooks
from local.azure.pipelines import Pipelines
from local.azure.plane import Plane, json_object

HEADER = "X-Control-Key"


class ControlApi:
    """For whoever has the key."""

    def __init__(
        self,
        plane: Plane,
        arm: Arm,
        graph: Graph,
        asked: tuple[Pipelines, GitHubSecrets, Connections, Hooks],
        faults: Faults,
        key: str,
    ) -> None:
        self._plane = plane
        self._arm = arm
        self._graph = graph
        self._pipelines, self._github_secrets, self._connections, self._hooks = asked
        self._faults = faults
        self._key = key

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_post("/accounts", self._add_account)
        app.router.add_post("/servers", self._add_server)
        app.router.add_post("/keyed", self._add_keyed)
        app.router.add_post("/applications", self._add_application)
        app.router.add_post("/applications/{id}/secrets", self._add_secret)
        app.router.add_post("/refresh-targets", self._add_refresh_target)
        app.router.add_post("/asked", self._asked)
        app.router.add_post("/written", self._written)
        app.router.add_post("/faults", self._add_fault)
        app.router.add_delete("/faults", self._clear_faults)
        app.router.add_post("/propagation", self._set_propagation)
        return app

    @property
    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not hmac.compare_digest(request.headers.get(HEADER, "").encode(), self._key.encode()):
                message = f"the header {HEADER} is missing or wrong; the key stands in the ready file"
                return web.json_response({"error": message}, status=401)
            try:
                return await handler(request)
            except (ValueError, TypeError, LookupError) as error:
                return web.json_response({"error": str(error)}, status=400)

        return guard

    async def _add_account(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        account_id = str(body.pop("id"))
        self._arm.add_account(account_id, **{name: bool(value) for name, value in body.items()})
        return web.json_response({"keys": self._arm.keys(account_id)})

    async def _add_keyed(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        resource = str(body.pop("id"))
        self._arm.keyed.add(resource, **body)
        return web.json_response({"keys": self._arm.keyed.keys(resource), "ids": self._arm.keyed.ids(resource)})

    async def _add_server(self, request: web.Request) -> web.Response:
        body = {name: str(value) for name, value in (await json_object(request)).items()}
        self._arm.add_server(body.pop("id"), **body)
        return web.Response(status=204)

    async def _add_application(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        principal = bool(body.pop("principal", True))
        self._graph.add_application(**{name: str(value) for name, value in body.items()}, principal=principal)
        return web.Response(status=204)

    async def _add_secret(self, request: web.Request) -> web.Response:
        name = (await json_object(request)).get("display_name")
        added = self._graph.add_secret(request.match_info["id"], None if name is None else str(name))
        return web.json_response(added)

    async def _add_refresh_target(self, request: web.Request) -> web.Response:
        body = {name: str(value) for name, value in (await json_object(request)).items()}
        match body.pop("kind", ""):
            case "site":
                self._arm.sites.add_site(**body)
            case "container-app":
                self._arm.sites.add_container_app(**body)
            case "cluster":
                self._arm.clusters.add(body["cluster_id"], body["ca"], body["deployment"])
            case "pipeline":
                self._pipelines.add_pipeline(**body)
            case "workflow":
                self._pipelines.add_workflow(**body)
            case "github-place":
                self._github_secrets.add_place(**body)
            case "connection":
                self._connections.add(body["organization"], json.loads(body["connection"]))
            case "hook":
                self._hooks.expect(body.pop("name"), base64.b64decode(body.pop("key"), validate=True))
            case _:
                known = "site, container-app, cluster, pipeline, workflow, github-place, connection or hook"
                raise ValueError(f"kind is {known}")
        return web.Response(status=204)

    async def _asked(self, _request: web.Request) -> web.Response:
        written = (*self._github_secrets.asked, *self._connections.asked)
        asked = (*self._arm.sites.asked, *self._arm.clusters.asked, *self._pipelines.asked, *written)
        calls = [list(call) for call in asked]
        return web.json_response({"calls": calls, "hooks": self._hooks.received})

    async def _written(self, request: web.Request) -> web.Response:
        body = {name: str(value) for name, value in (await json_object(request)).items()}
        if "connection" in body:
            return web.json_response(self._connections.written(**body))
        return web.json_response(self._github_secrets.written(**body))

    async def _add_fault(self, request: web.Request) -> web.Response:
        self._faults.add(parse_fault(await json_object(request)))
        return web.Response(status=204)

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._faults.clear()
        return web.Response(status=204)

    async def _set_propagation(self, request: web.Request) -> web.Response:
        seconds = (await json_object(request)).get("seconds")
        if not isinstance(seconds, int | float):
            raise ValueError("seconds is missing; it is a number")  # noqa: TRY004  becomes a 400 like all others
        self._plane.propagation_s = seconds
        return web.Response(status=204)
