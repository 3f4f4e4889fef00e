"""Who logs in where: a consumer who proves a value, and whoever can change a role's password."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from rotation.errors import NotYet, Refused, Rejected, RotationError, Unreachable, Unusable
from rotation.formats import MAINTENANCE_DATABASE
from rotation.model import Credential, Job, Login, LoginSource, SecretValue, Tls
from rotation.ports import Services
from rotation.rotators.postgres_place import (
    Place,
    change_endpoints,
    permitted_place,
    place_of,
    read_login,
)
from rotation.rotators.postgres_role import prepare
from rotation.rotators.postgres_session import Account, AsksOtherwise, Endpoint, Session, connect

REPLICATION_S = 30
# Claims of an Entra token that say its role's name, the best first: a person's, and a managed identity's resource.
_PERSON, _IDENTITY_RESOURCE, _APPLICATION = "upn", "xms_mirid", "app_displayname"


class RejectedBySome(Rejected):
    """One server rejected a login, and another one, which may know better, could not be asked."""


async def prove(job: Job, credential: Credential, services: Services) -> None:
    """Log in as a consumer who reads `credential.value`.

    A standby lags behind its primary, so where the value names several servers, the word of a standby counts only
    while no other contradicts it.

    Raises:
        Rejected, NotYet, Unreachable, as `Rotator.verify`. Refused: something else than the password is wrong.
    """
    place = permitted_place(job, credential.value)
    if place is None:
        raise Rejected("the value leads to a server that was not permitted, so it is not tried")
    account = _consumer(job, credential.value, credential.slot, place)
    if account is None:
        raise Rejected(f"the value is not one of role {credential.slot!a}")
    errors: list[RotationError] = []
    accepted = False
    for endpoint in place.consumers or await change_endpoints(place, services):
        try:
            async with services.connections.to(str(endpoint)), await connect(endpoint, account, job.tls) as session:
                await session.query("SELECT 1")
                if not session.is_standby:
                    return
                accepted = True
        except (Refused, Unreachable) as error:
            errors.append(error)
    rejections = [error for error in errors if isinstance(error, Rejected)]
    if accepted and rejections:
        raise NotYet("not every server of the value accepts the password yet", retry_after_s=REPLICATION_S)
    if not accepted:
        raise next((error for error in errors if isinstance(error, Unreachable)), errors[0])


async def logs_in_for_changes(job: Job, credential: Credential, services: Services) -> None:
    """Log in by a credential where its role would be changed.

    Raises:
        Rejected, AsksOtherwise: it is not accepted. Unreachable, Refused: as `logged_in`.
    """
    place = place_of(job.spec, job.current.value)
    account = _consumer(job, credential.value, credential.slot, place)
    if account is None:
        raise Rejected(f"the value is not one of role {credential.slot!a}")
    endpoints = await change_endpoints(place, services)
    _, opened = await _connect_primary(endpoints, account, job.tls, services, pooler_meant=place.told)
    await opened.aclose()


@asynccontextmanager
async def logged_in(job: Job, slot: str, services: Services) -> AsyncIterator[Session]:
    """By the first of the job's logins that is accepted, on the server where role `slot` can be changed.

    Raises:
        Rejected: every login was. AsksOtherwise: no server wants the password by SCRAM.
        Unreachable, Refused: nobody can tell, or it is not the password that is wrong.
    """
    place = place_of(job.spec, job.current.value)
    endpoints = await change_endpoints(place, services)
    refusals: list[Refused] = []
    async for login in job.logins(slot):
        account = await _account(job, login, slot, place, services)
        if account is None:
            continue
        try:
            session, opened = await _connect_primary(endpoints, account, job.tls, services, pooler_meant=place.told)
        except (Rejected, AsksOtherwise) as refusal:
            refusals.append(refusal)
            continue
        async with opened:
            yield session
        return
    raise _all_refused(refusals, job, slot, endpoints)


async def _connect_primary(
    endpoints: Sequence[Endpoint], account: Account, tls: Tls, services: Services, *, pooler_meant: bool
) -> tuple[Session, AsyncExitStack]:
    """On the first server that takes the login and can be written to -> with what closes it and lets the next one in.

    Raises:
        Rejected: one of them rejected it, and none accepted. Unreachable, Refused, AsksOtherwise.
    """
    errors: list[RotationError] = []
    for endpoint in endpoints:
        async with AsyncExitStack() as opened:
            try:
                await opened.enter_async_context(services.connections.to(str(endpoint)))
                session = await opened.enter_async_context(await connect(endpoint, account, tls))
                await prepare(session, pooler_meant=pooler_meant)
            except (Refused, Unreachable) as error:
                errors.append(error)
            else:
                return session, opened.pop_all()
    rejected = next((error for error in errors if isinstance(error, Rejected)), None)
    unreachable = next((error for error in errors if isinstance(error, Unreachable)), None)
    if rejected is not None and unreachable is not None:
        raise RejectedBySome(unreachable.message)
    raise rejected or unreachable or errors[0]


async def _account(job: Job, login: Login, slot: str, place: Place, services: Services) -> Account | None:
    """Who a login is; None where it can't be one for this role."""
    if login.source is LoginSource.ADMIN_IDENTITY:
        token = await services.tokens.token(services.endpoints.postgres_scope)
        return Account(login.user or _role_of(token), token, MAINTENANCE_DATABASE, by_token=True)
    if login.value is None:
        return None
    if login.source is LoginSource.ADMIN_SECRET:
        return _administrator(login, login.value)
    return _consumer(job, login.value, slot, place)


def _administrator(login: Login, value: SecretValue) -> Account:
    """His secret says user and password. Where it leads is not looked at: he logs in where the secret was permitted."""
    from rotation.formats import read  # noqa: PLC0415

    form = read(value, None)
    user = form.user or login.user
    if user is None:
        raise Refused("the administrator's secret names no user: write admin-user = \"ROLE\" into the policy's rule")
    return Account(user, form.password, MAINTENANCE_DATABASE)


def _consumer(job: Job, value: SecretValue, slot: str, place: Place) -> Account | None:
    try:
        form = read_login(value, job.spec)
    except Unusable:
        return None
    user = form.user or slot
    if user != slot:
        return None
    return Account(user, form.password, place.dbname or form.login_dbname(user))


def _role_of(token: SecretValue) -> str:
    """The role that an Entra token logs in as: see "Microsoft Entra authentication" of Azure Database for PostgreSQL.

    The token is not checked; the server does that.

    Raises:
        Refused: the token does not say.
    """
    try:
        payload = token.reveal().split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        claims = {}
    if isinstance(claims, dict):
        for claim in (_PERSON, _IDENTITY_RESOURCE, _APPLICATION):
            name = claims.get(claim)
            if isinstance(name, str) and name:
                return name.rsplit("/", 1)[-1] if claim == _IDENTITY_RESOURCE else name
    raise Refused('the token of this app does not say its role: write admin-user = "ROLE" into the policy\'s rule')


def _all_refused(refusals: Sequence[Refused], job: Job, slot: str, endpoints: Sequence[Endpoint]) -> RotationError:
    some = next((refusal for refusal in refusals if isinstance(refusal, RejectedBySome)), None)
    if some is not None:
        return Unreachable(some.message)
    if refusals and all(isinstance(refusal, AsksOtherwise) for refusal in refusals):
        return refusals[0]
    servers = ", ".join(str(endpoint) for endpoint in endpoints)
    told = "".join(f"; {refusal.message}" for refusal in refusals[-1:])
    remedy = "put the working password into the vault as a new version"
    if job.admin is None:
        remedy += ", or name an administrator (admin) in the policy's rule"
    return Rejected(f"nothing known logs in at {servers} to change role {slot!a}: {remedy}{told}")
