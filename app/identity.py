"""The app's identity: a managed identity on Azure, the developer's own credentials in an operator's shell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rotation.errors import Refused, Unreachable
from rotation.model import SecretValue

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential


def credential(client_id: str | None) -> AsyncTokenCredential:
    """Managed identity where its endpoint is there (App Service sets IDENTITY_ENDPOINT), else the developer's chain."""
    # azure.identity.aio costs 400 ms to import: only a process that talks to Azure pays for it.
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    if os.environ.get("IDENTITY_ENDPOINT"):
        return ManagedIdentityCredential(client_id=client_id)
    return DefaultAzureCredential(managed_identity_client_id=client_id)


class Tokens:
    """`rotation.ports.TokenProvider` over a credential of the SDK."""

    def __init__(self, source: AsyncTokenCredential) -> None:
        self._source = source

    async def token(self, scope: str) -> SecretValue:
        from azure.core.exceptions import AzureError, ClientAuthenticationError  # noqa: PLC0415  as above

        try:
            return SecretValue((await self._source.get_token(scope)).token)
        except ClientAuthenticationError:
            refused = True
        except AzureError:
            refused = False
        if refused:
            raise Refused(f"the app's identity gets no token for {scope}: see that the identity is assigned")
        raise Unreachable("the identity endpoint does not answer")
