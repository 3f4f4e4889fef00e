"""Microsoft Graph: applications and their client secrets ("application resource type" in the Graph v1.0 reference).

A secret's text is told once, when it is made; afterwards only its hash is known here. Removing one that is not there
answers 400, as Graph was seen to do ("No password credential found with keyId"). Errors have an `innerError` with the
ids of the request ("Microsoft Graph error responses and resource types").
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import uuid
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from local.azure.plane import Answer, Plane, answer, json_object, moment
from local.rights import GRAPH as APPLICATIONS

AUDIENCES = ("https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000")
ALPHABET = string.ascii_letters + string.digits + "-_.~"
LENGTH = 40
VERSIONS = ("v1.0", "beta")
PERMISSION = "Application.ReadWrite.OwnedBy"  # "application: addPassword", least privileged; on what is owned
LIFETIME = timedelta(days=730)  # where none is asked for: "application: addPassword"

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Graph:
    """Serves Graph's calls below `path`."""

    def __init__(self, plane: Plane, path: str) -> None:
        self._plane = plane
        self._path = path

    def add_application(
        self, object_id: str, app_id: str, display_name: str = "an application", *, principal: bool = True
    ) -> None:
        """Create an application, or change one; its secrets stay. principal: it has a service principal to log in.

        Raises:
            ValueError: an id is no GUID.
        """
        if not (_GUID.fullmatch(object_id) and _GUID.fullmatch(app_id)):
            raise ValueError("object_id and app_id are GUIDs")
        known = self._plane.store.get("application", object_id) or {"passwords": []}
        body = {"id": object_id, "appId": app_id, "displayName": display_name, "principal": principal}
        self._plane.store.put("application", object_id, {**body, "passwords": known["passwords"]})

    def add_secret(
        self,
        object_id: str,
        display_name: str | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> dict[str, Any]:
        """Add a client secret, as `addPassword` does. -> what it answers.

        Raises:
            LookupError: there is no such application.
        """
        application = self._plane.store.get("application", object_id)
        if application is None:
            raise LookupError("no such application")
        start = start or self._plane.now()
        text = _unlike({one["hint"] for one in application["passwords"]})
        password = {
            "keyId": str(uuid.uuid4()),
            "displayName": display_name,
            "hint": text[:3],
            "startDateTime": moment(start),
            "endDateTime": moment(end or start + LIFETIME),
            "made": moment(self._plane.now()),
            "removed": None,
            "digest": digest(text),
        }
        application["passwords"].append(password)
        self._plane.store.put("application", object_id, application)
        return {**_shown(password), "secretText": text}

    async def handle(self, request: web.Request) -> web.Response:
        """One call on an application."""
        claims = self._plane.check_token(request, self._plane.url + self._path, *AUDIENCES)
        if request.match_info["version"] not in VERSIONS:
            raise answer(400, "BadRequest", f"Invalid version: {request.match_info['version']}")
        object_id, action = request.match_info["id"], request.match_info.get("action", "")
        action = action.lower()
        reads = action == ""
        application = (
            self._plane.seen(request, "application", object_id)
            if reads
            else self._plane.store.get("application", object_id)
        )
        if application is None:
            message = f"Resource '{object_id}' does not exist."
            raise answer(404, "Request_ResourceNotFound", message)
        if not self._plane.rights.permit(claims, PERMISSION, f"{APPLICATIONS}/{object_id}"):
            raise answer(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        match request.method, action:
            case "GET", "":
                return web.json_response(_selected(application, request.query.get("$select")))
            case "POST", "addpassword":
                return self._add(object_id, await json_object(request))
            case "POST", "removepassword":
                self._remove(application, str((await json_object(request)).get("keyId")))
                return web.Response(status=204)
            case _:
                raise answer(400, "Request_BadRequest", "The request is not supported here.")

    def _add(self, object_id: str, body: dict[str, Any]) -> web.Response:
        asked = body.get("passwordCredential") or {}
        try:
            end = datetime.fromisoformat(asked["endDateTime"]) if asked.get("endDateTime") else None
        except ValueError:
            raise answer(400, "Request_BadRequest", "endDateTime is not a date.") from None
        if end is not None and end <= self._plane.now():
            raise answer(400, "Request_BadRequest", "Key credential end date is invalid.")
        added = self.add_secret(object_id, asked.get("displayName"), end=end)
        return web.json_response({"@odata.context": f"{self._plane.url}{self._path}/v1.0/$metadata", **added})

    def _remove(self, application: dict[str, Any], key_id: str) -> None:
        found = [one for one in application["passwords"] if one["keyId"] == key_id.lower() and not one["removed"]]
        if not found:
            raise answer(400, "Request_BadRequest", "No password credential found with keyId.")
        found[0]["removed"] = moment(self._plane.now())
        self._plane.store.put("application", application["id"], application)


@web.middleware
async def in_graphs_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Adds to errors what Graph's have and others' have not."""
    try:
        return await handler(request)
    except Answer as error:
        inner = {
            "date": datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00"),
            "request-id": str(uuid.uuid4()),
            "client-request-id": request.headers.get("client-request-id", str(uuid.uuid4())),
        }
        body = {"error": {"code": error.code, "message": error.message, "innerError": inner}}
        return web.json_response(body, status=error.status, headers=_headers(error))


def _headers(error: Answer) -> dict[str, str]:
    return {
        name: value for name, value in error.headers.items() if name.lower() not in {"content-type", "content-length"}
    }


def digest(text: str) -> str:
    """What is kept of a secret's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _unlike(hints: Collection[str | None]) -> str:
    """A new secret's text. Two that begin alike are a case of its own: tests plant it, and chance must not."""
    while True:
        text = secrets.choice(string.ascii_letters) + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH - 1))
        if text[:3] not in hints:
            return text


def _shown(password: dict[str, Any]) -> dict[str, Any]:
    told = ("keyId", "displayName", "hint", "startDateTime", "endDateTime")
    return {**{name: password[name] for name in told}, "customKeyIdentifier": None, "secretText": None}


def _selected(application: dict[str, Any], names: str | None) -> dict[str, Any]:
    whole = {name: application[name] for name in ("id", "appId", "displayName")}
    whole["passwordCredentials"] = [_shown(one) for one in application["passwords"] if not one["removed"]]
    return whole if names is None else {name: whole[name] for name in names.split(",") if name in whole}
