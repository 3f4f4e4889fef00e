"""Puts the parts together and serves them."""

from __future__ import annotations

import contextlib
import secrets
import socket
import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from local.identity import PATH as TOKEN_PATH
from local.identity import identity_app
from local.rights import Rights
from local.tokens import TokenAuthority
from local.vault.access import Access
from local.vault.api import SecretsApi
from local.vault.backup import Backups
from local.vault.calls import Calls
from local.vault.clock import Clock
from local.vault.control import OFFSET_SETTING, ControlApi, Controls
from local.vault.database import Database
from local.vault.events import Publisher
from local.vault.faults import Faults
from local.vault.gate import Gate
from local.vault.limits import Limits
from local.vault.outbox import Outbox
from local.vault.settling import TAKES_S, Settling
from local.vault.store import Store

SHUTDOWN_S = 1.0  # what a call under way is given when the vaults stop
_PLAIN = "plain-http"


class LocalVaults:
    """Vaults, identity endpoint and control calls in this process. Start and stop it in one event loop.

    ports: by vault name; 0 means a free port, last time's where that is free. data: where the state is kept.
    clock_offset_s: None keeps what was last set. rights: what the app's identity may do; None: everything. settling_s:
    how long deleting, recovering and purging take. addresses: by vault name, what clients are told instead of
    `https://localhost:PORT`, where something leads them from there. After `start`, `urls`, `ports`, `env`,
    `control_url` and `control_key` tell how to reach it; `access`, `limits`, `faults`, `calls`, `clock`, `settling`,
    `outbox` and `publisher` are what the control calls control; `stores` hold the secrets. A synchronous client blocks
    the event loop: call it in a thread.

    Raises (from `start`):
        DataInUse: another process works on `data`.
        OSError: a port is taken.
    """

    access: Access
    calls: Calls
    clock: Clock
    outbox: Outbox
    publisher: Publisher

    def __init__(
        self,
        ports: Mapping[str, int],
        *,
        data: Path,
        cert: Path,
        key: Path,
        authority: TokenAuthority,
        event_endpoint: str | None = None,
        clock_offset_s: float | None = None,
        new_version_events: bool = False,
        rights: Rights | None = None,
        settling_s: float = TAKES_S,
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        self.ports: dict[str, int] = {}
        self.urls: dict[str, str] = {}
        self.env: dict[str, str] = {}
        self.control_url = ""
        self.control_key = ""
        self.faults = Faults()
        self.limits = Limits()
        self.settling = Settling(settling_s)
        self.stores: dict[str, Store] = {}
        self._ports = dict(ports)
        self._addresses = dict(addresses or {})
        self._data = data
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(cert, key)
        self._authority = authority
        self._event_endpoint = event_endpoint
        self._clock_offset_s = clock_offset_s
        self._new_version_events = new_version_events
        self._rights = rights or Rights()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Serve. When this returns every port answers."""
        async with contextlib.AsyncExitStack() as stack:
            database = Database(self._data)
            stack.callback(database.close)
            self.clock = Clock(self._offset(database))
            self.access = Access(self._authority, self._rights)
            self.calls = Calls()
            self.outbox = Outbox(database, self.urls.__getitem__, new_versions=self._new_version_events)
            backups = Backups(_remembered(database, "backup-key", Backups.new_key()))
            stores = {vault: Store(database, self.outbox, self.clock, vault, self.settling) for vault in self._ports}
            self.stores = stores
            for vault, store in stores.items():
                app = SecretsApi(store, backups, self._gate(vault), partial(self.urls.__getitem__, vault)).app()
                port = await self._serve(stack, database, app, vault, self._ports[vault], self._tls)
                self.ports[vault] = port
                self.urls[vault] = self._addresses.get(vault, f"https://localhost:{port}")

            def purge_scheduled() -> None:
                for store in stores.values():
                    store.purge_scheduled()

            self.publisher = Publisher(self.outbox, self.clock, endpoint=self._event_endpoint, upkeep=purge_scheduled)
            await self._serve_plain(stack, database)
            await self.publisher.start()
            stack.push_async_callback(self.publisher.stop)
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Stop serving; what was answered is on disk."""
        await self._stack.aclose()

    def _offset(self, database: Database) -> float:
        if self._clock_offset_s is not None:
            database.remember(OFFSET_SETTING, str(self._clock_offset_s))
        return float(database.setting(OFFSET_SETTING) or 0.0)

    def _gate(self, vault: str) -> Gate:
        return Gate(
            vault, access=self.access, limits=self.limits, faults=self.faults, calls=self.calls, clock=self.clock
        )

    async def _serve_plain(self, stack: contextlib.AsyncExitStack, database: Database) -> None:
        identity_header = _remembered(database, "identity-header", secrets.token_hex(24))
        self.control_key = _remembered(database, "control-key", secrets.token_hex(24))
        controls = Controls(
            access=self.access,
            limits=self.limits,
            faults=self.faults,
            calls=self.calls,
            clock=self.clock,
            settling=self.settling,
            outbox=self.outbox,
            publisher=self.publisher,
            database=database,
        )
        plain = web.Application()
        plain.add_subapp("/msi", identity_app(self._authority, identity_header))
        plain.add_subapp("/control", ControlApi(controls, self.control_key).app())
        port = await self._serve(stack, database, plain, _PLAIN, 0, None)
        self.control_url = f"http://127.0.0.1:{port}/control"
        self.env = {
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{port}/msi{TOKEN_PATH}",
            "IDENTITY_HEADER": identity_header,
        }

    async def _serve(
        self,
        stack: contextlib.AsyncExitStack,
        database: Database,
        app: web.Application,
        name: str,
        port: int,
        tls: ssl.SSLContext | None,
    ) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        listeners = _listen(port or int(database.setting(f"port:{name}") or 0), fall_back=port == 0)
        for listener in listeners:
            await web.SockSite(runner, listener, ssl_context=tls).start()
        taken = int(listeners[0].getsockname()[1])
        database.remember(f"port:{name}", str(taken))
        return taken


def _remembered(database: Database, key: str, fresh: str) -> str:
    known = database.setting(key)
    if known is None:
        database.remember(key, fresh)
    return known or fresh


def _listen(port: int, *, fall_back: bool) -> list[socket.socket]:
    """Sockets on both loopback addresses, one port: "localhost" may mean either. Without IPv6 the first alone."""
    try:
        first = _bind(socket.AF_INET, "127.0.0.1", port)
    except OSError:
        if not fall_back or port == 0:
            raise
        return _listen(0, fall_back=False)
    try:
        return [first, _bind(socket.AF_INET6, "::1", first.getsockname()[1])]
    except OSError:
        return [first]


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
