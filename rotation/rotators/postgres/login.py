"""Logins where a role is changed: on the primary, by the first of a job's logins that is accepted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from rotation.errors import Refused, Rejected, RotationError, Unreachable
from rotation.model import Credential, Job, Login, Tls
from rotation.ports import RotatorDependencies
from rotation.rotators.postgres.account import account_of, consumer
from rotation.rotators.postgres.connect import connect
from rotation.rotators.postgres.primary import OnStandby, Primary, look
from rotation.rotators.postgres.refusals import AsksOtherwise
from rotation.rotators.postgres.servers import change_endpoints, servers_of
from rotation.rotators.postgres.session import Account, Endpoint, Session


class RejectedBySome(Rejected):
    """One server rejected a login, and another one, which may know better, could not be asked."""


async def logs_in_for_changes(job: Job, credential: Credential, services: RotatorDependencies) -> None:
    """Log in by a credential where its role would be changed.

    Raises:
        Rejected, AsksOtherwise: it is not accepted. Unreachable, Refused, MovedElsewhere: as `logged_in`.
    """
    servers = servers_of(job.spec, job.current.value)
    account = consumer(job, credential.value, credential.slot, servers)
    if account is None:
        raise Rejected(f"the value is not one of role {credential.slot!a}")
    endpoints = await change_endpoints(servers, services)
    await primary_of(endpoints, account, job.tls, services, pooler_meant=servers.told, realm=job.realm)


@asynccontextmanager
async def logged_in(job: Job, slot: str, services: RotatorDependencies) -> AsyncIterator[tuple[Session, Login]]:
    """By the first of the job's logins that is accepted, on the server where role `slot` can be changed; and by which.

    Raises:
        Rejected: every login was. AsksOtherwise: no server wants the password by SCRAM.
        MovedElsewhere: the server is another one than was proven.
        Unreachable, Refused: nobody can tell, or it is not the password that is wrong.
    """
    servers = servers_of(job.spec, job.current.value)
    endpoints = await change_endpoints(servers, services)
    refusals: list[Refused] = []
    async for login in job.logins(slot):
        account = await account_of(job, login, slot, servers, endpoints, services)
        if account is None:
            continue
        try:
            session, _, opened = await _connect_primary(
                endpoints, account, job.tls, services, pooler_meant=servers.told, realm=job.realm
            )
        except (Rejected, AsksOtherwise) as refusal:
            refusals.append(refusal)
            continue
        async with opened:
            yield session, login
        return
    raise _all_refused(refusals, job, slot, endpoints)


async def primary_of(
    endpoints: Sequence[Endpoint],
    account: Account,
    tls: Tls,
    services: RotatorDependencies,
    *,
    pooler_meant: bool,
    realm: str | None = None,
) -> Primary:
    """Log in at the server that can be written to -> what it says of itself.

    Raises:
        Rejected: one of them rejected it, and none accepted. Unreachable, Refused, AsksOtherwise, MovedElsewhere.
    """
    _, primary, opened = await _connect_primary(
        endpoints, account, tls, services, pooler_meant=pooler_meant, realm=realm
    )
    await opened.aclose()
    return primary


async def _connect_primary(
    endpoints: Sequence[Endpoint],
    account: Account,
    tls: Tls,
    services: RotatorDependencies,
    *,
    pooler_meant: bool,
    realm: str | None,
) -> tuple[Session, Primary, AsyncExitStack]:
    """On the first that takes the login and can be written to -> with what closes it and lets the next one in."""
    errors: list[RotationError] = []
    for endpoint in endpoints:
        async with AsyncExitStack() as opened:
            try:
                await opened.enter_async_context(services.connections.to(str(endpoint)))
                session = await opened.enter_async_context(await connect(endpoint, account, tls))
                primary = await look(session, pooler_meant=pooler_meant, realm=realm)
            except (Refused, Unreachable) as error:
                errors.append(error)
            else:
                return session, primary, opened.pop_all()
    rejected = next((error for error in errors if isinstance(error, Rejected)), None)
    # A standby that lets it in may lag behind whoever rejects it, and is not the one who decides.
    unknown = (error for error in errors if isinstance(error, Unreachable) and not isinstance(error, OnStandby))
    unreachable = next(unknown, None)
    if rejected is not None and unreachable is not None:
        raise RejectedBySome(unreachable.message)
    raise rejected or unreachable or next((error for error in errors if isinstance(error, OnStandby)), errors[0])


def _all_refused(refusals: Sequence[Refused], job: Job, slot: str, endpoints: Sequence[Endpoint]) -> RotationError:
    some = next((refusal for refusal in refusals if isinstance(refusal, RejectedBySome)), None)
    if some is not None:
        return Unreachable(some.message)
    if refusals and all(isinstance(refusal, AsksOtherwise) for refusal in refusals):
        return refusals[0]
    servers = ", ".join(str(endpoint) for endpoint in endpoints)
    # That an old password was refused helps nobody where another refusal says what to do about the role itself.
    telling = [refusal for refusal in refusals if type(refusal) is not Rejected] or refusals
    told = "".join(f"; {refusal.message}" for refusal in telling[-1:])
    remedy = "put the working password into the vault as a new version"
    if job.admin is None:
        remedy += ", or name an administrator (admin) in the policy's rule"
    return Rejected(f"nothing known logs in at {servers} to change role {slot!a}: {remedy}{told}")
