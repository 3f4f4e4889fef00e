"""Who calls, and what they may do.

With App Service authentication in front, the platform takes the header X-MS-CLIENT-PRINCIPAL from outside away and sets
its own: Microsoft Learn, "Work with user identities in Azure App Service authentication".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from enum import StrEnum

from handlers.dimensions import one_line
from handlers.settings import HttpAuth
from rotation.errors import Denied, HttpClosed

# As Entra's tokens name the claim, and as App Service may rename it; no claim that only ends alike.
_ROLE_CLAIMS = frozenset({"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"})
LONGEST_ACTOR = 200  # characters in a record: each history keeps them for good


class Role(StrEnum):
    """The app roles."""

    READER = "Rotation.Reader"
    OPERATOR = "Rotation.Operator"


def caller(headers: Mapping[str, str], auth: HttpAuth, needs: Role) -> str:
    """The caller's name for the history.

    Raises:
        Denied: App Service authentication names nobody, or somebody without the role.
        HttpClosed: nothing says that App Service authentication is there to name anybody.
    """
    if auth is HttpAuth.CLOSED:
        raise closed()
    if auth is HttpAuth.KEY:
        return "function-key"
    claims = _claims(headers.get("x-ms-client-principal", ""))
    roles = {value for kind, value in claims if kind in _ROLE_CLAIMS}
    if needs.value not in roles and Role.OPERATOR.value not in roles:
        raise Denied(f"the caller has not got the app role {needs.value}")
    wanted = ("preferred_username", "name", "oid", "appid", "azp")
    by_kind = dict(reversed(claims))
    return noted(next((by_kind[kind] for kind in wanted if kind in by_kind), "somebody with the role"))


def closed() -> HttpClosed:
    """What every caller is told, and the log and health say as well."""
    return HttpClosed(
        "HTTP calls are refused: ROTATION_HTTP_AUTH is entra, and WEBSITE_AUTH_ENABLED, which the platform sets, does "
        "not say that App Service authentication is on: turn it on, or set ROTATION_HTTP_AUTH to key",
        field="WEBSITE_AUTH_ENABLED",
    )


def noted(name: str) -> str:
    """A caller's name as the ledger keeps it, whatever the directory or a message says."""
    return one_line(name)[:LONGEST_ACTOR]


def _claims(header: str) -> list[tuple[str, str]]:
    try:
        principal = json.loads(base64.b64decode(header, validate=True))
        return [(str(claim["typ"]), str(claim["val"])) for claim in principal["claims"]]
    except (ValueError, KeyError, TypeError):
        return []
