"""What Microsoft Graph tells of an application: its client id, and its secrets without their texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LONG_AGO, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)  # old secrets may have no dates


@dataclass(frozen=True, slots=True)
class Password:
    """A client secret ("passwordCredential resource type"). hint: its first three characters, where Graph has them."""

    key_id: str
    name: str
    hint: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Application:
    """client_id: by which it logs in. passwords: by key id."""

    client_id: str
    passwords: Mapping[str, Password]


def parse_application(body: Mapping[str, Any]) -> Application:
    """An application as Graph shows it.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: it can't be understood.
    """
    passwords = [_parse_password(raw) for raw in body["passwordCredentials"]]
    return Application(str(body["appId"]), {one.key_id: one for one in passwords})


def _parse_password(raw: Mapping[str, Any]) -> Password:
    return Password(
        key_id=raw["keyId"].lower(),
        name=raw.get("displayName") or "",
        hint=raw.get("hint") or "",
        start=_moment(raw.get("startDateTime")) or LONG_AGO,
        end=_moment(raw.get("endDateTime")) or NEVER,
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
