"""A storage account's blob service, as far as a key is proven by it: it checks Shared Key signatures strictly.

"Authorize with Shared Key" in the Storage REST reference describes the string that is signed; "Get Account
Information" and "Get Blob Service Properties" the two calls.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import web

from local.azure.plane import Plane

OLDEST = timedelta(minutes=15)
_SIGNED = (
    "Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date",
    "If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range",
)  # fmt: skip
_PROPERTIES = b'<?xml version="1.0" encoding="utf-8"?><StorageServiceProperties></StorageServiceProperties>'


class Blob:
    """Serves `/{account}/`."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def handle(self, request: web.Request) -> web.Response:
        """One call."""
        name = request.match_info["account"]
        account = next((one for one in self._plane.store.all("account") if one["name"] == name), None)
        objection = self._objection(request, account)
        if objection is not None:
            return objection
        asked = (request.query.get("restype"), request.query.get("comp"))
        if asked == ("account", "properties"):
            return web.Response(headers={"x-ms-sku-name": "Standard_LRS", "x-ms-account-kind": "StorageV2"})
        if asked == ("service", "properties"):
            return web.Response(body=_PROPERTIES, content_type="application/xml")
        return _refused(400, "InvalidQueryParameterValue", "A query parameter is invalid.")

    def _objection(self, request: web.Request, account: dict[str, Any] | None) -> web.Response | None:
        if account is None:
            return _refused(404, "ResourceNotFound", "The specified resource does not exist.")
        if account["firewall"]:
            return _refused(403, "AuthorizationFailure", "This request is not authorized to perform this operation.")
        if not account["allow_shared_key"]:
            code = "KeyBasedAuthenticationNotPermitted"
            return _refused(403, code, "Key based authentication is not permitted on this storage account.")
        if not self._is_signed(request, account):
            message = (
                "Server failed to authenticate the request. Make sure the Authorization header is formed correctly."
            )
            return _refused(403, "AuthenticationFailed", message, detail=request.headers.get("Authorization", ""))
        return None

    def _is_signed(self, request: web.Request, account: dict[str, Any]) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        name, _, signature = given.partition(":")
        if scheme != "SharedKey" or name != account["name"] or not self._is_recent(request):
            return False
        return any(
            hmac.compare_digest(signature.encode(), _signature(key, string_to_sign(request, name)).encode())
            for key in self._accepted(account)
        )

    def _is_recent(self, request: web.Request) -> bool:
        try:
            at = parsedate_to_datetime(request.headers.get("x-ms-date", request.headers.get("Date", "")))
        except ValueError:
            return False
        return abs(self._plane.now() - at) <= OLDEST

    def _accepted(self, account: dict[str, Any]) -> list[str]:
        keys = account["keys"].values()
        return [
            key["value"] if key["previous"] is None or self._plane.propagated(key["created"]) else key["previous"]
            for key in keys
        ]


def string_to_sign(request: web.Request, account: str) -> str:
    """What the client must have signed."""
    headers = {name: request.headers.get(name, "") for name in _SIGNED}
    if headers["Content-Length"] == "0":
        headers["Content-Length"] = ""
    ours = sorted((name.lower(), value) for name, value in request.headers.items() if name.lower().startswith("x-ms-"))
    if any(name == "x-ms-date" for name, _ in ours):
        headers["Date"] = ""
    canonical = "".join(f"{name}:{' '.join(value.split())}\n" for name, value in ours)
    query: dict[str, list[str]] = {}
    for name, value in request.query.items():
        query.setdefault(name.lower(), []).append(value)
    resource = f"/{account}{request.rel_url.raw_path}"
    resource += "".join(f"\n{name}:{','.join(sorted(values))}" for name, values in sorted(query.items()))
    return "\n".join([request.method, *headers.values()]) + "\n" + canonical + resource


def _signature(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def _refused(status: int, code: str, message: str, detail: str = "") -> web.Response:
    body = (
        f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message>'
        f"<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail></Error>"
    )
    return web.Response(status=status, text=body, content_type="application/xml", headers={"x-ms-error-code": code})
