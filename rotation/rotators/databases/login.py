"""Logins where a password is changed: on the primary, by the first of a job's logins that is accepted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass

from rotation.errors import MovedElsewhere, Refused, Rejected, RotationError, Unreachable, Unusable
from rotation.formats import read
from rotation.model import Job, Login, LoginSource, SecretValue, Tls
from rotation.rotators.databases.database import (
    Account,
    AsksOtherwise,
    Database,
    Endpoint,
    OnStandby,
    Primary,
    Session,
)
from rotation.rotators.databases.servers import Servers, change_endpoints, servers_of

_ADMINISTRATORS = frozenset({LoginSource.ADMIN_SECRET, LoginSource.ADMIN_IDENTITY})


class RejectedBySome(Rejected):
    """One server rejected a login, and another one, which may know better, could not be asked."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """session: on the server that says `primary` of itself. login: the one of the job's that it let in."""

    session: Session
    primary: Primary
    login: Login


@asynccontextmanager
async def logged_in(job: Job, slot: str, database: Database) -> AsyncIterator[LoggedIn]:
    """By the first of the job's logins that is accepted, on the server where the password of `slot` can be changed.

    Raises:
        Rejected: every login was. AsksOtherwise: no server wants the password without seeing it.
        MovedElsewhere: the server is another one than was proven.
        Unreachable, Refused: nobody can tell, or it is not the password that is wrong.
    """
    servers = servers_of(job.spec, job.current.value, database)
    endpoints = await change_endpoints(servers, database)
    refusals: list[Refused] = []
    async for login in job.logins(slot):
        if job.admin is not None and not database.changes_itself and login.source not in _ADMINISTRATORS:
            continue  # it would be let in, and could not change anything
        account = await _account_of(job, login, slot, servers, endpoints, database)
        if account is None:
            continue
        try:
            session, primary, opened = await _connect_primary(
                endpoints, account, job.tls, database, pooler_meant=servers.by_tag, realm=job.realm
            )
        except (Rejected, AsksOtherwise) as refusal:
            refusals.append(refusal)
            continue
        async with opened:
            yield LoggedIn(session, primary, login)
        return
    raise _all_refused(refusals, job, slot, endpoints, database)


async def primary_of(
    endpoints: Sequence[Endpoint],
    account: Account,
    tls: Tls,
    database: Database,
    *,
    pooler_meant: bool,
    realm: str | None = None,
) -> Primary:
    """Log in at the server that can be written to -> what it says of itself.

    realm: of the proof that this server must be; None: any server.

    Raises:
        Rejected: one of them rejected it, and none accepted. Unreachable, Refused, AsksOtherwise, MovedElsewhere.
    """
    _, primary, opened = await _connect_primary(
        endpoints, account, tls, database, pooler_meant=pooler_meant, realm=realm
    )
    await opened.aclose()
    return primary


@asynccontextmanager
async def connected(endpoint: Endpoint, account: Account, tls: Tls, database: Database) -> AsyncIterator[Session]:
    """One of the few connections that this process may have there at a time.

    Raises:
        As `Database.connect`.
    """
    async with database.services.connections.to(str(endpoint)):
        with closing(await database.connect(endpoint, account, tls)) as session:
            yield session


def consumer(job: Job, value: SecretValue, slot: str, servers: Servers, database: Database) -> Account | None:
    """As a consumer of `value` logs in; None where that is not `slot`."""
    try:
        form = database.read_login(value, job.spec)
    except Unusable:
        return None
    user = form.user or slot
    if user != slot:
        return None
    return Account(user, form.password, servers.dbname or form.login_dbname(user, database.maintenance_database))


def realm_of(primary: Primary, database: Database) -> str:
    """See `rotation.model.Proof`. Where the server does not say who it is, its address does."""
    return f"{database.realm_prefix}{primary.identifier or primary.endpoint}"


async def _account_of(
    job: Job, login: Login, slot: str, servers: Servers, endpoints: Sequence[Endpoint], database: Database
) -> Account | None:
    """None where the login can't be one for this slot.

    Raises:
        Refused: it says no user, or may not be shown to one of these servers.
    """
    if login.source is LoginSource.ADMIN_IDENTITY:
        return await database.by_identity(login.user, endpoints)
    if login.value is None:
        return None
    if login.source is LoginSource.ADMIN_SECRET:
        return _administrator(login, login.value, database)
    return consumer(job, login.value, slot, servers, database)


def _administrator(login: Login, value: SecretValue, database: Database) -> Account:
    """The secret says user and password. Where it leads is not looked at: the login is tried where a rule permits."""
    form = read(value, None)
    user = form.user or login.user
    if user is None:
        raise Refused("the administrator's secret names no user: write admin-user = \"ROLE\" into the policy's rule")
    return Account(user, form.password, database.maintenance_database)


async def _connect_primary(
    endpoints: Sequence[Endpoint],
    account: Account,
    tls: Tls,
    database: Database,
    *,
    pooler_meant: bool,
    realm: str | None,
) -> tuple[Session, Primary, AsyncExitStack]:
    """On the first that takes the login and can be written to -> with what closes it and lets the next one in."""
    errors: list[RotationError] = []
    for endpoint in endpoints:
        async with AsyncExitStack() as opened:
            try:
                session = await opened.enter_async_context(connected(endpoint, account, tls, database))
                primary = await session.look(pooler_meant=pooler_meant)
                _check_is_ours(primary, realm, database)
            except (Refused, Unreachable) as error:
                errors.append(error)
            else:
                return session, primary, opened.pop_all()
    rejected = next((error for error in errors if isinstance(error, Rejected)), None)
    # A standby that lets it in may lag behind a server that rejects it, and is not the one that decides.
    unknown = (error for error in errors if isinstance(error, Unreachable) and not isinstance(error, OnStandby))
    unreachable = next(unknown, None)
    if rejected is not None and unreachable is not None:
        raise RejectedBySome(unreachable.message)
    raise rejected or unreachable or next((error for error in errors if isinstance(error, OnStandby)), errors[0])


def _check_is_ours(primary: Primary, realm: str | None, database: Database) -> None:
    """A login that may change the password may learn who the server is, where the value's own login may not."""
    ours = {realm_of(primary, database), f"{database.realm_prefix}{primary.endpoint}"}
    if realm is not None and realm.startswith(database.realm_prefix) and realm not in ours:
        raise MovedElsewhere(
            f"{primary.endpoint} is another {database.product} server than the one where this credential was proven; "
            "nothing was changed, and it is proven anew"
        )


def _all_refused(
    refusals: Sequence[Refused], job: Job, slot: str, endpoints: Sequence[Endpoint], database: Database
) -> RotationError:
    some = next((refusal for refusal in refusals if isinstance(refusal, RejectedBySome)), None)
    if some is not None:
        return Unreachable(some.message)
    if refusals and all(isinstance(refusal, AsksOtherwise) for refusal in refusals):
        return refusals[0]
    servers = ", ".join(str(endpoint) for endpoint in endpoints)
    # That an old password was refused helps nobody where another refusal says what to do about the login itself.
    telling = [refusal for refusal in refusals if type(refusal) is not Rejected] or refusals
    last = "".join(f"; {refusal.message}" for refusal in telling[-1:])
    remedy = "put the working password into the vault as a new version"
    if job.admin is None:
        remedy += ", or name an administrator (admin) in the policy's rule"
    return Rejected(f"nothing known logs in at {servers} to change {database.noun} {slot!a}: {remedy}{last}")
