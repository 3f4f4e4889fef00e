"""The routes of the secrets API, one function for each operation. What every call goes through first is in `gate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from local.vault import errors, wire
from local.vault.backup import Backups
from local.vault.gate import Gate
from local.vault.operations import Operation
from local.vault.store import Store, Version

LARGEST_BODY = 64 * 1024 * 1024  # a backup of a long history is large

Answer = tuple[int, dict[str, Any] | None]


class SecretsApi:
    """One vault's API. `url` gives the vault's own address, which stands in every id."""

    def __init__(self, store: Store, backups: Backups, gate: Gate, url: Callable[[], str]) -> None:
        self._store = store
        self._backups = backups
        self._gate = gate
        self._url = url

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._gate.unknown_path])
        guard = self._gate.guard
        route = app.router.add_route
        route("GET", "/secrets", guard(Operation.LIST, self._list))
        route("POST", "/secrets/restore", guard(Operation.RESTORE, self._restore))
        route("PUT", "/secrets/{name}", guard(Operation.SET, self._set))
        route("DELETE", "/secrets/{name}", guard(Operation.DELETE, self._delete))
        for latest in ("/secrets/{name}", "/secrets/{name}/"):
            route("GET", latest, guard(Operation.GET, self._get))
            route("PATCH", latest, guard(Operation.UPDATE, self._update))
        route("GET", "/secrets/{name}/versions", guard(Operation.VERSIONS, self._versions))
        route("POST", "/secrets/{name}/backup", guard(Operation.BACKUP, self._backup))
        route("GET", "/secrets/{name}/{version}", guard(Operation.GET, self._get))
        route("PATCH", "/secrets/{name}/{version}", guard(Operation.UPDATE, self._update))
        route("GET", "/deletedsecrets", guard(Operation.LIST_DELETED, self._list_deleted))
        route("GET", "/deletedsecrets/{name}", guard(Operation.GET_DELETED, self._get_deleted))
        route("DELETE", "/deletedsecrets/{name}", guard(Operation.PURGE, self._purge))
        route("POST", "/deletedsecrets/{name}/recover", guard(Operation.RECOVER, self._recover))
        return app

    async def _set(self, request: web.Request) -> Answer:
        body = wire.parse_object(await request.read())
        made = self._store.set(_name(request), wire.parse_value(body), wire.parse_attributes(body))
        return 200, wire.bundle(self._url(), made, value=True)

    async def _get(self, request: web.Request) -> Answer:
        found = self._store.get(_name(request), _version(request))
        if not found.enabled:
            raise errors.disabled()
        return 200, wire.bundle(self._url(), found, value=True)

    async def _update(self, request: web.Request) -> Answer:
        given = wire.parse_attributes(wire.parse_object(await request.read()))
        updated = self._store.update(_name(request), _version(request), given)
        return 200, wire.bundle(self._url(), updated, value=False)

    async def _list(self, request: web.Request) -> Answer:
        return self._page(request, self._store.latest, lambda one: wire.item(self._url(), one, of_versions=False))

    async def _versions(self, request: web.Request) -> Answer:
        name = _name(request)
        return self._page(
            request,
            lambda after, limit: self._store.versions(name, after, limit),
            lambda one: wire.item(self._url(), one, of_versions=True),
            key=lambda one: one.version,
        )

    async def _delete(self, request: web.Request) -> Answer:
        deleted = self._store.delete(_name(request))
        return 200, self._deleted_bundle(deleted)

    async def _get_deleted(self, request: web.Request) -> Answer:
        found = self._store.deleted(_name(request))
        if not found.enabled:
            raise errors.disabled()
        return 200, self._deleted_bundle(found)

    async def _list_deleted(self, request: web.Request) -> Answer:
        def item(one: Version) -> dict[str, Any]:
            return {**wire.item(self._url(), one, of_versions=False), **wire.deletion(self._url(), one)}

        return self._page(request, self._store.all_deleted, item)

    async def _recover(self, request: web.Request) -> Answer:
        return 200, wire.bundle(self._url(), self._store.recover(_name(request)), value=False)

    async def _purge(self, request: web.Request) -> Answer:
        self._store.purge(_name(request))
        return 204, None

    async def _backup(self, request: web.Request) -> Answer:
        return 200, {"value": self._backups.seal(self._store.history(_name(request)))}

    async def _restore(self, request: web.Request) -> Answer:
        history = self._backups.open(wire.parse_object(await request.read()).get("value"))
        return 200, wire.bundle(self._url(), self._store.restore(history), value=False)

    def _deleted_bundle(self, deleted: Version) -> dict[str, Any]:
        return {**wire.bundle(self._url(), deleted, value=False), **wire.deletion(self._url(), deleted)}

    def _page(
        self,
        request: web.Request,
        read: Callable[[str, int], list[Version]],
        item: Callable[[Version], dict[str, Any]],
        key: Callable[[Version], str] = lambda one: one.name,
    ) -> Answer:
        size = wire.parse_page_size(request.query.get("maxresults"))
        found = read(wire.parse_skip_token(request.query.get("$skiptoken")), size + 1)
        page = found[:size]
        next_link = None
        if len(found) > size:
            query = {
                "api-version": request.query["api-version"],
                "$skiptoken": wire.skip_token(key(page[-1])),
                "maxresults": str(size),
            }
            next_link = wire.with_port(self._url()) + str(request.rel_url.with_query(query))
        return 200, {"value": [item(one) for one in page], "nextLink": next_link}


def _name(request: web.Request) -> str:
    name = request.match_info["name"]
    if not wire.NAME.fullmatch(name):
        raise errors.invalid_name(name)
    return name


def _version(request: web.Request) -> str | None:
    version = request.match_info.get("version")
    if version is not None and not wire.VERSION.fullmatch(version):
        raise errors.bad_parameter(f"The request URI contains an invalid version: {version}")
    return None if version is None else version.lower()
