"""What the app tells anybody of itself."""

from __future__ import annotations

from pathlib import Path

from app.bootstrap import package_number
from app.settings import HttpAuth, Settings, http_closed
from handlers.http import Answer, Ask
from handlers.strict import looks_only


async def health(settings: Settings, ask: Ask) -> Answer:
    """The configuration was sound, or the app would not have started; whether HTTP calls are served."""
    looks_only(ask)
    number = package_number()
    deployed = {} if number is None else {"package": number}
    refused = settings.http_auth is HttpAuth.CLOSED
    status = {"status": "http_closed", "detail": http_closed().message} if refused else {"status": "ok"}
    return Answer(200, {**status, "vaults": len(settings.vaults), **deployed})


async def document(ask: Ask) -> Answer:
    """What the HTTP functions take and answer; the same text for every deployment."""
    looks_only(ask)
    return Answer(200, (Path(__file__).parent / "openapi.json").read_bytes())
