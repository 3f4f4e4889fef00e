"""Who logs in: by a value of the secret, or as the administrator, whose token goes to Azure's own servers alone."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from rotation.addresses import POSTGRES_SUFFIXES
from rotation.errors import Refused, Unusable
from rotation.formats import MAINTENANCE_DATABASE
from rotation.model import Job, Login, LoginSource, SecretValue
from rotation.ports import RotatorDependencies
from rotation.rotators.postgres.servers import Servers, read_login
from rotation.rotators.postgres.session import Account, Endpoint
from rotation.rotators.token_claims import claims_of

# Claims of an Entra token that say its role's name, the best first: a person's, and a managed identity's resource.
_PERSON, _IDENTITY_RESOURCE, _APPLICATION = "upn", "xms_mirid", "app_displayname"


async def account_of(
    job: Job, login: Login, slot: str, servers: Servers, endpoints: Sequence[Endpoint], services: RotatorDependencies
) -> Account | None:
    """Who a login is; None where it can't be one for this role.

    Raises:
        Refused: it says no user, or may not be shown to one of these servers.
    """
    if login.source is LoginSource.ADMIN_IDENTITY:
        for endpoint in endpoints:
            _check_reads_tokens(endpoint, services)
        token = await services.tokens.token(services.endpoints.postgres_scope)
        return Account(login.user or _role_of(token), token, MAINTENANCE_DATABASE, by_token=True)
    if login.value is None:
        return None
    if login.source is LoginSource.ADMIN_SECRET:
        return _administrator(login, login.value)
    return consumer(job, login.value, slot, servers)


def consumer(job: Job, value: SecretValue, slot: str, servers: Servers) -> Account | None:
    """Whoever reads `value`; None where that is not role `slot`."""
    try:
        form = read_login(value, job.spec)
    except Unusable:
        return None
    user = form.user or slot
    if user != slot:
        return None
    return Account(user, form.password, servers.dbname or form.login_dbname(user))


def _administrator(login: Login, value: SecretValue) -> Account:
    """His secret says user and password. Where it leads is not looked at: he logs in where the secret was permitted."""
    from rotation.formats import read  # noqa: PLC0415

    form = read(value, None)
    user = form.user or login.user
    if user is None:
        raise Refused("the administrator's secret names no user: write admin-user = \"ROLE\" into the policy's rule")
    return Account(user, form.password, MAINTENANCE_DATABASE)


def _check_reads_tokens(endpoint: Endpoint, services: RotatorDependencies) -> None:
    """A server reads a token in clear, and may use it as this app for as long as it lasts: so only Azure's own do.

    Raises:
        Refused: the server is none of the cloud whose resource manager this app asks.
    """
    from rotation.rotators.postgres.flexible_server import LOOPBACK  # noqa: PLC0415  the SDK is imported when used

    cloud = urlsplit(services.endpoints.arm).hostname or ""
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
