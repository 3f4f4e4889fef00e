"""The resource manager's calls on types of resources with two keys, by the rows of `key_rows`.

"Asynchronous operations" of the resource manager's documentation: a call that takes its time is answered 202 with the
headers Azure-AsyncOperation, Location and Retry-After, and until it is done another one is refused as a conflict.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from local.azure.key_rows import ROWS, Row
from local.azure.plane import Plane, answer, json_object, moment

_GROUP = r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers"
_NAMES = re.compile(r"/[^/]+/providers/[^/]+(?P<pairs>(?:/[^/]+)+)$")


def _pattern(kind: str) -> str:
    provider, *types = kind.split("/")
    return rf"(?P<id>{_GROUP}/{re.escape(provider)}" + "".join(rf"/{one}/[^/]+" for one in types) + ")"


class Keyed:
    """Serves them. takes_s: how long a call takes that is answered 202; 0: it is done by the next one.

    shows_early: the list has the new key from the start of that on. answers_early: the answer to the call has it, as
    SignalR's 202 does. ignores_chosen: a caller's key is not taken.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.takes_s = 0.0
        self.shows_early = False
        self.answers_early = False
        self.ignores_chosen = False
        self._rows = [(re.compile(_pattern(kind) + r"(?:/(?P<action>.+))?", re.IGNORECASE), kind, row)
                      for row in ROWS for kind in row.types]  # fmt: skip
        self._rows.sort(key=lambda one: -one[1].count("/"))  # the inner types first

    def add(self, resource_id: str, **properties: Any) -> None:
        """Create one, or change its properties; its keys stay. What it is within is there, too.

        Raises:
            ValueError: this is the id of none.
        """
        found = self._find(resource_id)
        if found is None or found[0]["action"]:
            raise ValueError("id is not the ARM id of a resource with two keys")
        known = self._plane.store.get("keyed", resource_id) or {"keys": {}, "ends": {}, "properties": {}}
        row = found[2]
        for name in row.keys:
            known["keys"].setdefault(name, self._key(row.new()))
        known["properties"].update(properties)
        self._plane.store.put("keyed", resource_id, {**known, "id": resource_id})

    def keys(self, resource_id: str) -> dict[str, str]:
        """Its keys, as its owner sees them, by what the call that makes one anew says."""
        return {name: key["value"] for name, key in self._settled(resource_id)["keys"].items()}

    def ids(self, resource_id: str) -> dict[str, str]:
        """What the keys are called, likewise."""
        return {name: key["id"] for name, key in self._settled(resource_id)["keys"].items()}

    def supported(self, path: str) -> tuple[str, tuple[str, ...]] | None:
        """The type of resource that a path is about, and its api-versions; None: none of these."""
        found = self._find(path)
        if found is not None:
            return found[1], found[2].versions
        outer = self._outermost(path)
        return None if outer is None else (outer[0], outer[1].versions)

    async def handle(self, request: web.Request, path: str, claims: Mapping[str, Any]) -> web.Response:
        """One call on what `supported` knows."""
        found = self._find(path)
        if found is None:
            outer = self._outermost(path)
            assert outer is not None  # noqa: S101  callers asked `supported`
            self._permit(claims, f"{outer[0]}/read", path)
            return self._shown(request, path)
        parsed, kind, row = found
        action = parsed["action"] or ""
        if not action:
            self._permit(claims, f"{kind}/read", parsed["id"])
            return self._shown(request, parsed["id"])
        if (request.method, action.lower()) == (row.lists[0], row.lists[1].lower()):
            right = f"{kind}/{row.lists[1]}/read" if request.method == "GET" else f"{kind}/{row.lists[1]}/action"
            self._permit(claims, right, parsed["id"])
            return web.json_response(row.shown(self._resource(request, parsed["id"])["keys"]))
        called = next((one for one in row.anew if one.lower() == action.lower()), None)
        if called is None or request.method != "POST":
            raise answer(405, "MethodNotAllowed", "The requested resource does not support this method.")
        verb = called.rpartition("/")[0] if row.lists[1] == "listAdminKeys" else called
        self._permit(claims, f"{kind}/{verb}/action", parsed["id"])
        return await self._regenerate(request, parsed["id"], row, row.anew[called])

    async def _regenerate(self, request: web.Request, resource: str, row: Row, meant: str | None) -> web.Response:
        body = await json_object(request)
        held = self._resource(request, resource, lags=False)
        if meant is None:
            names = {key["id"]: name for name, key in held["keys"].items()} if row.says == "id" else {}
            meant = names.get(str(body.pop("id", ""))) if row.says == "id" else str(body.pop(row.says, ""))
        chosen = body.pop("key", None) if "key" in row.allowed else None
        if meant not in row.keys or body or not isinstance(chosen, str | None):
            raise answer(400, "BadRequest", f"The property '{row.says}' or another one of the request is invalid.")
        if held["ends"]:
            raise answer(409, "Conflict", "There is already an operation in progress. Please retry later.")
        new = self._key(row.new() if self.ignores_chosen or not chosen else chosen, named=held["keys"][meant]["id"])
        if row.long_running:
            ends = moment(self._plane.now() + timedelta(seconds=self.takes_s))
            held["ends"] = {"at": ends, "name": meant, "key": new}
            if self.shows_early:
                held["keys"][meant] = new
            self._plane.store.put("keyed", resource, held)
            url = f"{self._plane.url}/arm{resource.partition('/resourceGroups')[0]}/operations/{uuid.uuid4()}"
            headers = {"Azure-AsyncOperation": url, "Location": url, "Retry-After": "15"}
            if self.answers_early:
                return web.json_response(row.shown({**held["keys"], meant: new}), status=202, headers=headers)
            return web.Response(status=202, headers=headers)
        held["keys"][meant] = new
        self._plane.store.put("keyed", resource, held)
        if row.answer == "nothing":
            return web.Response(status=row.status)
        if row.answer == "one":
            listed = row.shown(held["keys"])["value"]
            return web.json_response(next(one for one in listed if one["name"] == meant))
        return web.json_response(row.shown(held["keys"]))

    def _resource(self, request: web.Request, resource: str, *, lags: bool = True) -> dict[str, Any]:
        held = self._settled(resource)
        shown = self._plane.seen(request, "keyed", resource) if lags and held else held
        if not shown:
            raise answer(404, "ResourceNotFound", f"The Resource '{resource}' was not found.")
        return shown

    def _settled(self, resource: str) -> dict[str, Any]:
        """As it is now: what was begun and is over by now is done."""
        held = self._plane.store.get("keyed", resource) or {}
        if held and held["ends"] and datetime.fromisoformat(held["ends"]["at"]) <= self._plane.now():
            held["keys"][held["ends"]["name"]] = held["ends"]["key"]
            held["ends"] = {}
            self._plane.store.put("keyed", resource, held)
        return held

    def _shown(self, request: web.Request, resource: str) -> web.Response:
        """A resource, or one that others are within, whose properties are those that were set for any of them."""
        if request.method != "GET":
            raise answer(405, "MethodNotAllowed", "The requested resource does not support this method.")
        inside = f"{resource}/".lower()
        within = [one for one in self._plane.store.all("keyed") if f"{one['id']}/".lower().startswith(inside)]
        if not within:
            raise answer(404, "ResourceNotFound", f"The Resource '{resource}' was not found.")
        changing = any(self._settled(one["id"])["ends"] for one in within)
        properties: dict[str, Any] = {"provisioningState": "Updating" if changing else "Succeeded"}
        for one in within:
            properties |= one["properties"]
        return web.json_response({"id": resource, "location": "local", "properties": properties})

    def _key(self, value: str, named: str = "") -> dict[str, str]:
        return {"value": value, "created": moment(self._plane.now()), "id": named or uuid.uuid4().hex[:8]}

    def _find(self, path: str) -> tuple[re.Match[str], str, Row] | None:
        for pattern, kind, row in self._rows:
            parsed = pattern.fullmatch(path)
            if parsed is not None and (not parsed["action"] or self._is_action(row, parsed["action"])):
                return parsed, kind, row
        return None

    def _is_action(self, row: Row, action: str) -> bool:
        return action.lower() in {row.lists[1].lower(), *(one.lower() for one in row.anew)}

    def _outermost(self, path: str) -> tuple[str, Row] | None:
        """A resource without keys of its own, such as a namespace."""
        for _, kind, row in self._rows:
            outer = "/".join(kind.split("/")[:2])
            if row.of_outermost and re.fullmatch(_pattern(outer), path, re.IGNORECASE):
                return outer, row
        return None

    def _permit(self, claims: Mapping[str, Any], action: str, scope: str) -> None:
        if not self._plane.rights.permit(claims, action, scope):
            message = f"The client does not have authorization to perform action '{action}' over scope '{scope}'."
            raise answer(403, "AuthorizationFailed", message)
