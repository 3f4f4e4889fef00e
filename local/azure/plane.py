"""What the stand-in's services share: the clock, bearer tokens, and errors in Azure's own shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from aiohttp import web

from local.azure.store import Store
from local.rights import Rights
from local.tokens import TokenAuthority, TokenRefused

LAGS = web.RequestKey("lags", bool)  # set on a request whose reads lag behind the writes


@dataclass(slots=True)
class Plane:
    """propagation_s: how long a change of a credential takes to be seen by those who check logins.

    url: where it is served, set when that is known; no slash at its end. rights: what the app's identity may do.
    """

    store: Store
    authority: TokenAuthority
    now: Callable[[], datetime]
    url: str = ""
    propagation_s: float = 0.0
    rights: Rights = field(default_factory=Rights)

    def propagated(self, at: str) -> bool:
        """Whether a change made `at` (ISO 8601) is seen everywhere by now."""
        return datetime.fromisoformat(at) + timedelta(seconds=self.propagation_s) <= self.now()

    def seen(self, request: web.Request, kind: str, thing: str) -> dict[str, Any] | None:
        """A thing as this read shows it, which may lag behind the last write."""
        return self.store.get(kind, thing, lags=request.get(LAGS, False))

    def check_token(self, request: web.Request, *audiences: str) -> dict[str, Any]:
        """The caller's claims. Answers 401 unless the request carries a token for one of `audiences`."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise answer(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        try:
            return self.authority.verify(token, audiences)
        except TokenRefused as refused:
            raise answer(401, "InvalidAuthenticationToken", f"The access token is invalid: {refused.flaw}.") from None


def moment(at: datetime) -> str:
    """A time as Azure writes it in JSON."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Answer(web.HTTPException):
    """An error of the resource manager or of Graph, which share one shape; storage has its code in the header too."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str]) -> None:
        self.status_code = status
        self.code = code
        self.message = message
        body = json.dumps({"error": {"code": code, "message": message}})
        super().__init__(text=body, content_type="application/json", headers={"x-ms-error-code": code, **headers})


def answer(status: int, code: str, message: str, headers: Mapping[str, str] = MappingProxyType({})) -> Answer:
    """The error to raise."""
    return Answer(status, code, message, headers)


async def json_object(request: web.Request) -> dict[str, object]:
    """The body of a request, which must be a JSON object; an empty one is `{}`."""
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise answer(400, "BadRequest", "The body is not a JSON object.")
    return body
