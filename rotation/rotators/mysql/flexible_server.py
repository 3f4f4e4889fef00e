"""Where an Azure Database for MySQL flexible server is, and whether it runs.

"Servers - Get" in the REST reference of Azure Database for MySQL describes the call (2023-12-30, in
azure-rest-api-specs: Microsoft.DBforMySQL/FlexibleServers). A policy permits the server's id; passwords go where Azure
Resource Manager says that it is. So that this can be nowhere else, the name must be the server's own below the suffix
of the very cloud whose resource manager is asked. A resource manager on loopback, a stand-in, may name this machine.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from rotation.addresses import LOOPBACK, MYSQL_SUFFIXES
from rotation.errors import Refused, Unreachable
from rotation.ports import RotatorDependencies
from rotation.rotators.azure.rest import FORBIDDEN, NOT_FOUND, ApiClient, session

API_VERSION = "2023-12-30"
READY, REPLICA = "Ready", "Replica"


async def host_of(resource_id: str, services: RotatorDependencies) -> str:
    """The host of a server, by its id in lower case.

    Raises:
        Unreachable: it does not run, or Azure does not answer. Throttled. Refused: there is none, or we may not see it.
    """
    name = resource_id.rsplit("/", 1)[1]
    arm = services.endpoints.arm
    async with session() as over:
        answer = await ApiClient("Azure Resource Manager", arm, services.tokens).get(
            over, resource_id, **{"api-version": API_VERSION}
        )
    if answer.status == FORBIDDEN:
        raise Refused(f"this app may not see flexible server {name}: give it the role Reader on that server")
    if answer.status == NOT_FOUND:
        raise Refused(f"there is no flexible server {name} at the tag target", field="target")
    properties = answer.body.get("properties")
    if not answer.ok or not isinstance(properties, dict):
        raise Unreachable(f"Azure Resource Manager answered {answer.summary} for {name}; it is asked again later")
    state = str(properties.get("state") or "without a state")
    if state != READY:
        # Azure's own word, and none but a word.
        shown = state if state.isalpha() else "not ready"
        raise Unreachable(f"flexible server {name} is {shown}: az mysql flexible-server start, if it is stopped")
    if properties.get("replicationRole") == REPLICA:
        raise Refused(f"flexible server {name} is a replica: name its source in the tag target", field="target")
    host = str(properties.get("fullyQualifiedDomainName") or "").lower()
    asked = urlsplit(arm).hostname or ""
    suffix = MYSQL_SUFFIXES.get(asked)
    expected = host in LOOPBACK if asked in LOOPBACK else suffix is not None and host == f"{name}{suffix}"
    if not expected:
        raise Refused(
            f"Azure Resource Manager named a host for flexible server {name} that is not below its cloud's suffix"
        )
    return host
