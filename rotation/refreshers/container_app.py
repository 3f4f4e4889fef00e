"""Container Apps: the latest ready revision is restarted.

"Container Apps - Get" and "Container Apps Revisions - Restart Revision" in the Container Apps REST reference. It is for
apps that read the vault when they start. Secrets of the container app that are references to the vault, the platform
reads anew by itself, within 30 minutes ("Manage secrets in Azure Container Apps" on Microsoft Learn).
"""

from __future__ import annotations

import re

from rotation.errors import Refused
from rotation.ports import RotatorDependencies
from rotation.refresh_targets import RefreshOrder
from rotation.refreshers.answers import arm, expect
from rotation.rotators.azure.rest import session

API_VERSION = "2025-01-01"
ROLE = "Keyturn container apps"
_REVISION = re.compile(r"[a-z][a-z0-9-]{0,63}", re.IGNORECASE)


class ContainerApp:
    """Needs the role `ROLE` on the app."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._arm = arm(services)

    async def refresh(self, order: RefreshOrder) -> None:
        remedy = f"give this app's identity the role {ROLE} on the container app, and see that it exists"
        async with session() as over:
            found = await self._arm.get(over, order.refresh.target, **{"api-version": API_VERSION})
            expect(found, self._arm.name, remedy)
            properties = found.body.get("properties")
            revision = properties.get("latestReadyRevisionName") if isinstance(properties, dict) else None
            if not isinstance(revision, str) or not _REVISION.fullmatch(revision):
                raise Refused("the container app has no revision that is ready: see why the last one does not start")
            path = f"{order.refresh.target}/revisions/{revision}/restart"
            expect(await self._arm.post(over, path, {}, **{"api-version": API_VERSION}), self._arm.name, remedy)
