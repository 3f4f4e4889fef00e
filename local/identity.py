"""The App Service managed-identity endpoint, as an aiohttp sub-application.

"REST endpoint reference" in "How to use managed identities for App Service and Azure Functions" describes the request
and the answer. The shape of its errors (`statusCode`, `message`, `correlationId`) is what real endpoints were seen to
answer; msal reads the first two.
"""

from __future__ import annotations

import hmac
import time
import uuid

from aiohttp import web

from local.tokens import LIFETIME_S, SYSTEM_ASSIGNED_APPID, SYSTEM_ASSIGNED_OID, TokenAuthority

API_VERSION = "2019-08-01"
PATH = "/token"
_USER_ASSIGNED = ("client_id", "principal_id", "object_id", "mi_res_id")
APP_CLIENT_ID = "44444444-4444-4444-8444-444444444444"  # the user-assigned identity of the stack's app
_NAMESPACE = uuid.UUID("5b0a2b34-6f0e-4a0e-9a3e-7f4c4c1f6c11")  # ids of user-assigned identities are derived in it


def identity_app(authority: TokenAuthority, header: str) -> web.Application:
    """The endpoint: GET `/token` with `X-IDENTITY-HEADER: header`.

    A request that names no identity gets the system-assigned one. One that names an identity (by client id, object id
    or resource id) gets a token of that identity; every name is accepted, since there is no list to look it up in.
    """

    async def token(request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.headers.get("X-IDENTITY-HEADER", "").encode(), header.encode()):
            return _error(401, "The X-IDENTITY-HEADER is missing or wrong.")
        if request.query.get("api-version") != API_VERSION:
            return _error(400, f"The api-version must be {API_VERSION}.")
        resource = request.query.get("resource")
        if not resource:
            return _error(400, "The resource parameter is missing.")
        appid, oid = _identity(request)
        expires_on = int(time.time()) + LIFETIME_S
        body = {
            "access_token": authority.issue(resource, {"appid": appid, "oid": oid, "sub": oid}, LIFETIME_S),
            "expires_on": str(expires_on),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": appid,
        }
        return web.json_response(body, headers={"Cache-Control": "no-store"})

    app = web.Application()
    app.router.add_get(PATH, token)
    return app


def object_id(identity: str) -> str:
    """The `oid` of the user-assigned identity that is asked for by `identity` (a client id or a resource id)."""
    return str(uuid.uuid5(_NAMESPACE, identity.lower()))


def _identity(request: web.Request) -> tuple[str, str]:
    for parameter in _USER_ASSIGNED:
        wanted = request.query.get(parameter)
        if not wanted:
            continue
        if parameter == "client_id":
            return wanted, object_id(wanted)
        if parameter == "mi_res_id":
            return object_id(f"{wanted}/client"), object_id(wanted)
        return object_id(f"{wanted}/client"), wanted
    return SYSTEM_ASSIGNED_APPID, SYSTEM_ASSIGNED_OID


def _error(status: int, message: str) -> web.Response:
    body = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
    return web.json_response(body, status=status)
