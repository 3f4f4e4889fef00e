"""App Service and Functions: Key Vault references in the settings are resolved again, which a restart does not do.

"Use Key Vault references as app settings in Azure App Service and Azure Functions", "Understand rotation", on Microsoft
Learn: the platform keeps resolved references for 24 hours, and a POST to
`.../config/configreferences/appsettings/refresh` has it resolve them now. A slot is a site of its own.
"""

from __future__ import annotations

from rotation.ports import RotatorDependencies
from rotation.refresh_targets import RefreshOrder
from rotation.refreshers.answers import arm, expect
from rotation.rotators.azure.rest import session

API_VERSION = "2022-03-01"  # the one that the page above names
ROLE = "Keyturn settings references"


class AppSettings:
    """Needs the role `ROLE` on the site (on a slot, that of slots)."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._arm = arm(services)

    async def refresh(self, order: RefreshOrder) -> None:
        path = f"{order.refresh.target}/config/configreferences/appsettings/refresh"
        async with session() as over:
            answer = await self._arm.post(over, path, {}, **{"api-version": API_VERSION})
        expect(answer, self._arm.name, f"give this app's identity the role {ROLE} on the site, and see that it exists")
