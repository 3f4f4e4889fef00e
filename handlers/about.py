"""What the app tells anybody of itself."""

from __future__ import annotations

from pathlib import Path

from app.bootstrap import package_number
from app.settings import HttpAuth, Settings, http_closed
from handlers.http import HttpRequest, HttpResponse
from handlers.strict import looks_only


async def health(settings: Settings, http_request: HttpRequest) -> HttpResponse:
    """The configuration was sound, or the app would not have started; whether HTTP calls are served."""
    looks_only(http_request)
    number = package_number()
    deployed = {} if number is None else {"package": number}
    refused = settings.http_auth is HttpAuth.CLOSED
    status = {"status": "http_closed", "detail": http_closed().message} if refused else {"status": "ok"}
    return HttpResponse(200, {**status, "vaults": len(settings.vaults), **deployed})


async def document(http_request: HttpRequest) -> HttpResponse:
    """What the HTTP functions take and answer; the same text for every deployment."""
    looks_only(http_request)
    return HttpResponse(200, (Path(__file__).parent / "openapi.json").read_bytes())
