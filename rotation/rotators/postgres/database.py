"""What PostgreSQL is to the rotators of databases: see `rotation.rotators.databases.database`."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from rotation.addresses import LOOPBACK, POSTGRES_SERVERS, POSTGRES_SUFFIXES, resource_of
from rotation.errors import Refused, Unusable
from rotation.formats import MAINTENANCE_DATABASE, Value, read_of
from rotation.model import SecretValue, Spec, Tls
from rotation.ports import RotatorDependencies
from rotation.rotators.databases.database import Account, Endpoint
from rotation.rotators.postgres.connect import connect
from rotation.rotators.postgres.session import PostgresSession
from rotation.rotators.token_claims import claims_of

_NAME = "[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"  # "Resource naming rules", of a flexible server
# Claims of an Entra token that say its role's name, the best first: a person's, and a managed identity's resource.
_PERSON, _IDENTITY_RESOURCE, _APPLICATION = "upn", "xms_mirid", "app_displayname"


class PostgresDatabase:
    """Its logins are roles, and its servers in Azure flexible servers."""

    product = "PostgreSQL"
    noun = "role"
    realm_prefix = "postgresql:"
    changes_itself = True
    default_port = 5432
    maintenance_database = MAINTENANCE_DATABASE

    def __init__(self, services: RotatorDependencies) -> None:
        self.services = services

    def read_login(self, value: SecretValue, spec: Spec) -> Value:
        return read_of(self.product, value, spec.format)

    def resource(self, target: str) -> str:
        if resource_of(target, POSTGRES_SERVERS, _NAME) is None:
            raise Unusable(
                "the tag target is no id of a flexible server: /subscriptions/ID/resourceGroups/GROUP"
                "/providers/Microsoft.DBforPostgreSQL/flexibleServers/NAME",
                field="target",
            )
        return target.lower()

    async def endpoint_of(self, resource: str) -> Endpoint:
        from rotation.rotators.postgres.flexible_server import resolve  # noqa: PLC0415  the SDK is imported when used

        server = await resolve(resource, self.services)
        return Endpoint(server.host, self.default_port)

    async def by_identity(self, user: str | None, endpoints: Sequence[Endpoint]) -> Account:
        for endpoint in endpoints:
            self._check_reads_tokens(endpoint)
        token = await self.services.tokens.token(self.services.endpoints.postgres_scope)
        return Account(user or _role_of(token), token, self.maintenance_database, by_token=True)

    async def connect(self, endpoint: Endpoint, account: Account, tls: Tls) -> PostgresSession:
        return PostgresSession(await connect(endpoint, account, tls))

    def _check_reads_tokens(self, endpoint: Endpoint) -> None:
        """A server reads a token in clear, and may use it as this app for as long as it lasts: so only Azure's own do.

        Raises:
            Refused: the server is none of the cloud whose resource manager this app asks.
        """
        cloud = urlsplit(self.services.endpoints.arm).hostname or ""
        suffix = POSTGRES_SUFFIXES.get(cloud)
        ours = suffix is not None and endpoint.host.endswith(suffix)
        if not (endpoint.host in LOOPBACK if cloud in LOOPBACK else ours):
            raise Refused(
                f"a token of this app is not shown to {endpoint}, which is not below {suffix or 'a suffix of Azure'}: "
                'name the server so, or set admin = "secret:NAME" in the policy\'s rule'
            )


def _role_of(token: SecretValue) -> str:
    """The role that an Entra token logs in as: see "Microsoft Entra authentication" of Azure Database for PostgreSQL.

    The token is not checked; the server does that.

    Raises:
        Refused: the token does not say.
    """
    claims = claims_of(token)
    for access in (_PERSON, _IDENTITY_RESOURCE, _APPLICATION):
        name = claims.get(access)
        if isinstance(name, str) and name:
            return name.rsplit("/", 1)[-1] if access == _IDENTITY_RESOURCE else name
    raise Refused('the token of this app does not say its role: write admin-user = "ROLE" into the policy\'s rule')
