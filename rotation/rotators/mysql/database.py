"""What MySQL and MariaDB are to the rotators of databases: see `rotation.rotators.databases.database`."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from rotation.addresses import LOOPBACK, MYSQL_SERVERS, MYSQL_SUFFIXES, resource_of
from rotation.errors import Refused, Unusable
from rotation.formats import Value, read_of
from rotation.model import SecretValue, Spec, Tls
from rotation.ports import RotatorDependencies
from rotation.rotators.databases.database import Account, Endpoint
from rotation.rotators.mysql.connect import connect
from rotation.rotators.mysql.session import MySQLSession

_NAME = "[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"  # "Resource naming rules", of a flexible server


class MySQLDatabase:
    """Its logins are accounts, and its servers in Azure flexible servers. MariaDB is one too, on other hosts."""

    product = "MySQL"
    noun = "account"
    realm_prefix = "mysql:"
    changes_itself = True
    default_port = 3306
    maintenance_database = ""  # none: an administrator needs to be in none

    def __init__(self, services: RotatorDependencies) -> None:
        self.services = services

    def read_login(self, value: SecretValue, spec: Spec) -> Value:
        return read_of(self.product, value, spec.format)

    def resource(self, target: str) -> str:
        if resource_of(target, MYSQL_SERVERS, _NAME) is None:
            raise Unusable(
                "the tag target is no id of a flexible server: /subscriptions/ID/resourceGroups/GROUP"
                "/providers/Microsoft.DBforMySQL/flexibleServers/NAME",
                field="target",
            )
        return target.lower()

    async def endpoint_of(self, resource: str) -> Endpoint:
        from rotation.rotators.mysql.flexible_server import host_of  # noqa: PLC0415  imported when used

        return Endpoint(await host_of(resource, self.services), self.default_port)

    async def by_identity(self, user: str | None, endpoints: Sequence[Endpoint]) -> Account:
        """The same kind of token as PostgreSQL's; MySQL's names for its logins are the owner's own."""
        for endpoint in endpoints:
            self._check_reads_tokens(endpoint)
        if user is None:
            raise Refused('the token of this app does not say its account: write admin-user = "NAME" into the rule')
        token = await self.services.tokens.token(self.services.endpoints.postgres_scope)
        return Account(user, token, self.maintenance_database, by_token=True)

    async def connect(self, endpoint: Endpoint, account: Account, tls: Tls) -> MySQLSession:
        return MySQLSession(await connect(endpoint, account, tls), self.services)

    def _check_reads_tokens(self, endpoint: Endpoint) -> None:
        """A server reads a token in clear, and may use it as this app for as long as it lasts: so only Azure's own do.

        Raises:
            Refused: the server is none of the cloud whose resource manager this app asks.
        """
        cloud = urlsplit(self.services.endpoints.arm).hostname or ""
        suffix = MYSQL_SUFFIXES.get(cloud)
        ours = suffix is not None and endpoint.host.endswith(suffix)
        if not (endpoint.host in LOOPBACK if cloud in LOOPBACK else ours):
            raise Refused(
                f"a token of this app is not shown to {endpoint}, which is not below {suffix or 'a suffix of Azure'}: "
                'name the server so, or set admin = "secret:NAME" in the policy\'s rule'
            )
