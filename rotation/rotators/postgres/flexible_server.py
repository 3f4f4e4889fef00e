"""Where an Azure Database for PostgreSQL flexible server is, and whether it runs.

The one file that names azure-mgmt-rdbms, whose flexible-server modules are marked as deprecated in favour of
azure-mgmt-postgresqlflexibleservers. "Servers - Get" in the REST reference of Azure Database for PostgreSQL describes
the call.

A policy permits the server's id; passwords go where Azure Resource Manager says that it is. So that this can be
nowhere else, the name must be the server's own below the suffix of the very cloud whose resource manager is asked, in
which Azure gives no name to two. A resource manager on loopback, a stand-in, may name this machine alone.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken

from rotation.addresses import LOOPBACK, POSTGRES_SUFFIXES
from rotation.errors import Refused, RotationError, Throttled, Unreachable
from rotation.ports import RotatorDependencies, TokenProvider
from rotation.rotators.azure.rest import (
    BUSY_S,
    CALL_S,
    CONNECT_S,
    FORBIDDEN,
    NOT_FOUND,
    THROTTLED,
    UNAUTHORIZED,
    session,
)

TOKEN_S = 300  # how long the SDK may use a token without asking our provider again, which keeps them
READY = "Ready"


@dataclass(frozen=True, slots=True)
class Server:
    """A flexible server that is ready. host: its name, in lower case. version: PostgreSQL's major one."""

    host: str
    state: str
    version: str | None


async def resolve(resource_id: str, services: RotatorDependencies) -> Server:
    """Ask Azure Resource Manager for a server by its id.

    Raises:
        Unreachable: it does not run, or Azure does not answer. Throttled. Refused: there is none, or we may not see it.
    """
    # Imported when used: the SDK takes long, and only a target that is an id needs it.
    from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError  # noqa: PLC0415
    from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415
    from azure.mgmt.rdbms.postgresql_flexibleservers.aio import PostgreSQLManagementClient  # noqa: PLC0415

    parts = resource_id.split("/")
    subscription, group, name = parts[2], parts[4], parts[8]
    arm = services.endpoints.arm
    try:
        async with asyncio.timeout(CALL_S), session() as over:
            client = PostgreSQLManagementClient(
                _Credential(services.tokens),
                subscription,
                base_url=arm,
                credential_scopes=[f"{arm}/.default"],
                transport=AioHttpTransport(session=over, session_owner=False, connection_timeout=CONNECT_S),
                retry_total=0,  # by the queue instead: the SDK would sleep for as long as the answer says
                permit_redirects=False,
            )
            found: Any = await client.servers.get(group, name)
    except HttpResponseError as error:
        raise _refusal(error.status_code or 0, name) from None
    except (ServiceRequestError, ServiceResponseError, TimeoutError):
        raise Unreachable("Azure Resource Manager did not answer; it is asked again later") from None
    return _ready(found, name, urlsplit(arm).hostname or "")


class _Credential:
    """Our token provider, as the SDK wants it."""

    def __init__(self, tokens: TokenProvider) -> None:
        self._tokens = tokens

    async def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        token = await self._tokens.token(scopes[0])
        return AccessToken(token.reveal(), int(time.time()) + TOKEN_S)

    async def close(self) -> None:
        """Nothing is held open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Nothing is held open."""


def _refusal(status: int, name: str) -> RotationError:
    if status == THROTTLED:
        return Throttled("Azure Resource Manager answered that there are too many calls", retry_after_s=BUSY_S)
    if status == UNAUTHORIZED:
        return Refused("Azure Resource Manager did not accept this app's token: check its managed identity")
    if status == FORBIDDEN:
        return Refused(f"this app may not see flexible server {name}: give it the role Reader on that server")
    if status == NOT_FOUND:
        return Refused(f"there is no flexible server {name} at the tag target", field="target")
    return Unreachable(f"Azure Resource Manager answered {status} for flexible server {name}; it is asked again later")


def _ready(found: Any, name: str, asked: str) -> Server:
    state = str(found.state or "without a state")
    if state != READY:
        # Azure's own word, and none but a word.
        shown = state if state.isalpha() else "not ready"
        raise Unreachable(f"flexible server {name} is {shown}: az postgres flexible-server start, if it is stopped")
    host = str(found.fully_qualified_domain_name or "").lower()
    suffix = POSTGRES_SUFFIXES.get(asked)
    expected = host in LOOPBACK if asked in LOOPBACK else suffix is not None and host == f"{name}{suffix}"
    if not expected:
        raise Refused(
            f"Azure Resource Manager named a host for flexible server {name} that is not below its cloud's suffix"
        )
    version = found.version
    return Server(host, state, None if version is None else str(version))
