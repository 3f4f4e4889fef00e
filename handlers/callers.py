"""Who calls, and what they may do.

With App Service authentication in front, the platform takes the header X-MS-CLIENT-PRINCIPAL from outside away and sets
its own: Microsoft Learn, "Work with user identities in Azure App Service authentication".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.actors import noted, object_id
from app.settings import HttpAuth, http_closed
from rotation.errors import Denied

# As Entra's tokens name the claim, and as App Service may rename it; no claim that only ends alike.
_ROLE_CLAIMS = frozenset({"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"})
# The directory's own id of a person or a pipeline, which stays where a name is given to another.
_ID_CLAIMS = ("oid", "http://schemas.microsoft.com/identity/claims/objectidentifier")


class Role(StrEnum):
    """The app roles."""

    READER = "Rotation.Reader"
    OPERATOR = "Rotation.Operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, for the history. object_id: in the directory; None where the platform tells none."""

    name: str
    object_id: str | None = None


def caller(headers: Mapping[str, str], auth: HttpAuth, needs: Role) -> Caller:
    """The caller.

    Raises:
        Denied: App Service authentication names nobody, or somebody without the role.
        HttpClosed: nothing says that App Service authentication is there to name anybody.
    """
    if auth is HttpAuth.CLOSED:
        raise http_closed()
    if auth is HttpAuth.KEY:
        return Caller("function-key")
    claims = _claims(headers.get("x-ms-client-principal", ""))
    roles = {value for kind, value in claims if kind in _ROLE_CLAIMS}
    if needs.value not in roles and Role.OPERATOR.value not in roles:
        raise Denied(f"the caller has not got the app role {needs.value}")
    wanted = ("preferred_username", "name", "oid", "appid", "azp")
    by_kind = dict(reversed(claims))
    name = next((by_kind[kind] for kind in wanted if kind in by_kind), "somebody with the role")
    return Caller(noted(name), object_id(next((by_kind[kind] for kind in _ID_CLAIMS if kind in by_kind), None)))


def _claims(header: str) -> list[tuple[str, str]]:
    try:
        principal = json.loads(base64.b64decode(header, validate=True))
        return [(str(claim["typ"]), str(claim["val"])) for claim in principal["claims"]]
    except (ValueError, KeyError, TypeError):
        return []
