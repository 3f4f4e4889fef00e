"""Puts the services together and serves them."""

from __future__ import annotations

import contextlib
import secrets
import socket
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local.azure.arm import Arm
from local.azure.blob import Blob
from local.azure.connections import Connections
from local.azure.control import ControlApi
from local.azure.faults import Faults
from local.azure.github_secrets import GitHubSecrets
from local.azure.graph import Graph, in_graphs_words
from local.azure.hooks import Hooks
from local.azure.login import Login
from local.azure.logs import Logs
from local.azure.pipelines import Pipelines
from local.azure.plane import Plane
from local.azure.store import Store
from local.rights import Rights
from local.tokens import TokenAuthority

ARM_PATH, BLOB_PATH, GRAPH_PATH, LOGIN_PATH, CONTROL_PATH = "/arm", "/blob", "/graph", "/login", "/control"
LOGS_PATH = "/logs"
DEVOPS_PATH, GITHUB_PATH, HOOK_PATH, AKS_PATH = "/devops", "/github", "/hook", "/aks"
SHUTDOWN_S = 1.0  # what a call under way is given when the server stops


def _utc_now() -> datetime:
    return datetime.now(UTC)


class LocalAzure:
    """The services in this process. Start and stop it in one event loop.

    port: 0 means a free one, last time's where that is free. shown_port: what clients are told instead, where a proxy
    stands in front. data: where the state is kept. rights: what the app's identity may do; None: everything. After
    `start`, `arm_url`, `graph_url`, `login_url` are what `rotation.ports.Endpoints` takes, `control_url` and
    `control_key` reach the control calls, and `arm`, `graph`, `faults`, `plane`, `hooks`, `pipelines`,
    `github_secrets`, `connections` are what those control.

    Raises (from `start`):
        DataInUse: another process works on `data`.
        OSError: the port is taken.
    """

    arm: Arm
    graph: Graph
    logs: Logs
    hooks: Hooks
    pipelines: Pipelines
    github_secrets: GitHubSecrets
    connections: Connections
    plane: Plane

    def __init__(
        self,
        *,
        data: Path,
        cert: Path,
        key: Path,
        authority: TokenAuthority,
        port: int = 0,
        shown_port: int = 0,
        now: Callable[[], datetime] = _utc_now,
        rights: Rights | None = None,
    ) -> None:
        self.faults = Faults()
        self.control_key = ""
        self._data = data
        self._authority = authority
        self._port = port
        self._listens_at = 0
        self._shown_port = shown_port
        self._now = now
        self._rights = rights or Rights()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(cert, key)
        self._stack = contextlib.AsyncExitStack()

    @property
    def arm_url(self) -> str:
        """The resource manager."""
        return self.plane.url + ARM_PATH

    @property
    def graph_url(self) -> str:
        """Microsoft Graph."""
        return self.plane.url + GRAPH_PATH

    @property
    def login_url(self) -> str:
        """The authority host."""
        return self.plane.url + LOGIN_PATH

    @property
    def devops_url(self) -> str:
        """Azure DevOps."""
        return self.plane.url + DEVOPS_PATH

    @property
    def github_url(self) -> str:
        """GitHub's REST API."""
        return self.plane.url + GITHUB_PATH

    @property
    def hook_url(self) -> str:
        """Receivers of webhooks, each below it by its name."""
        return self.plane.url + HOOK_PATH

    @property
    def logs_url(self) -> str:
        """Log Analytics' query API."""
        return self.plane.url + LOGS_PATH

    @property
    def control_url(self) -> str:
        """The control calls."""
        return f"https://localhost:{self._listens_at}{CONTROL_PATH}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Serve. When this returns the port answers."""
        async with contextlib.AsyncExitStack() as stack:
            store = Store(self._data)
            stack.callback(store.close)
            self.plane = Plane(store, self._authority, self._now, rights=self._rights)
            self.arm = Arm(self.plane, ARM_PATH, BLOB_PATH, AKS_PATH)
            self.graph = Graph(self.plane, GRAPH_PATH)
            self.hooks, self.pipelines = Hooks(self.plane), Pipelines(self.plane)
            self.github_secrets, self.connections = GitHubSecrets(self.plane), Connections(self.plane)
            self.logs = Logs(self.plane)
            self.control_key = store.remembered("control-key", secrets.token_hex(24))
            runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=SHUTDOWN_S)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            listener = _listen(self._port, int(store.remembered("port", "0")))
            await web.SockSite(runner, listener, ssl_context=self._tls).start()
            self._listens_at = listener.getsockname()[1]
            store.put("setting", "port", {"value": self._listens_at})
            self.plane.url = f"https://localhost:{self._shown_port or self._listens_at}"
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Stop serving; what was answered is on disk."""
        await self._stack.aclose()

    def _app(self) -> web.Application:
        app = web.Application()
        app.add_subapp(ARM_PATH, self._service({("*", "/{rest:.*}"): self.arm.handle}))
        app.add_subapp(BLOB_PATH, self._service({("GET", "/{account}/"): Blob(self.plane).handle}))
        application = "/{version}/applications/{id}"
        calls = {("*", application): self.graph.handle, ("*", application + "/{action}"): self.graph.handle}
        app.add_subapp(GRAPH_PATH, self._service(calls, in_graphs_words))
        runs = "/{organization}/{project}/_apis/pipelines/{pipeline}/runs"
        devops = {("POST", runs): self.pipelines.devops, **self.connections.routes()}
        app.add_subapp(DEVOPS_PATH, self._service(devops))
        dispatches = "/repos/{owner}/{name}/actions/workflows/{workflow}/dispatches"
        github = {("POST", dispatches): self.pipelines.github, **self.github_secrets.routes()}
        app.add_subapp(GITHUB_PATH, self._service(github))
        deployments = "/{cluster}/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        app.add_subapp(AKS_PATH, self._service({("PATCH", deployments): self.arm.clusters.patch}))
        app.add_subapp(HOOK_PATH, self._service({("POST", "/{name}"): self.hooks.handle}))
        query = {("POST", "/{version}/workspaces/{id}/query"): self.logs.handle}
        app.add_subapp(LOGS_PATH, self._service(query))
        login = Login(self.plane)
        metadata = ".well-known/openid-configuration"
        served: dict[tuple[str, str], Handler] = {
            ("POST", "/{tenant}/oauth2/v2.0/token"): login.handle,
            ("GET", "/common/discovery/instance"): login.instances,
            ("GET", "/{tenant}/v2.0/" + metadata): login.metadata,
            ("GET", "/{tenant}/" + metadata): login.metadata,
            ("GET", "/{tenant}/discovery/v2.0/keys"): login.keys,
        }
        app.add_subapp(LOGIN_PATH, self._service(served))
        asked = (self.pipelines, self.github_secrets, self.connections, self.hooks)
        control = ControlApi(self.plane, self.arm, self.graph, asked, self.faults, self.control_key)
        app.add_subapp(CONTROL_PATH, control.app())
        return app

    def _service(self, routes: Mapping[tuple[str, str], Handler], *outermost: Middleware) -> web.Application:
        """Struck by faults, which the control calls are not."""
        app = web.Application(middlewares=[*outermost, self.faults.middleware])
        for (method, path), handler in routes.items():
            app.router.add_route(method, path, handler)
        return app


def _listen(port: int, last: int) -> socket.socket:
    """A socket on the loopback address: at `port`, else at the last one, else at any free one."""
    try:
        return _bind(port or last)
    except OSError:
        if port:
            raise
        return _bind(0)


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener
