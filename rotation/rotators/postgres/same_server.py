"""Whether two names lead to one running server.

A server that was restored from another's backup, and one that runs on a copy of its folder, have the same system
identifier. The time at which the running server was started tells them apart, to the microsecond.
"""

from __future__ import annotations

from dataclasses import replace

from rotation.errors import Rejected, Unreachable
from rotation.model import Job
from rotation.ports import RotatorDependencies
from rotation.rotators.postgres.account import consumer
from rotation.rotators.postgres.login import RejectedBySome, primary_of
from rotation.rotators.postgres.primary import Primary
from rotation.rotators.postgres.servers import change_endpoints, read_login, servers_of


async def same_provider(job: Job, target: str, services: RotatorDependencies) -> bool:
    """Whether the server behind `target` is the one where job's change would be made. Changes nothing.

    target: as the requested access names it, and permitted by the caller: the current value's password is proven there.

    One is asked after the other, ours first and last: never are two connections held, which would let two runs wait for
    each other, and a restart in between shows.

    Raises:
        Rejected: the value is refused where its own change would be made. Unreachable, Refused: nobody can tell.
    """
    before = await _logged_in(job, job, services)
    try:
        theirs = await _logged_in(job, replace(job, spec=replace(job.spec, target=target)), services)
    except Rejected:
        return False
    after = await _logged_in(job, job, services)
    if not _is_one(before, after):
        raise Unreachable(f"{after.endpoint} was started anew in this very moment; it is asked again later")
    return _is_one(before, theirs)


async def _logged_in(job: Job, at: Job, services: RotatorDependencies) -> Primary:
    servers = servers_of(at.spec, job.current.value)
    role = read_login(job.current.value, job.spec).user or job.access.slots[0]
    account = consumer(job, job.current.value, role, servers_of(job.spec, job.current.value))
    if account is None:
        raise Rejected(f"the value is not one of role {role!a}")
    try:
        return await primary_of(
            await change_endpoints(servers, services), account, job.tls, services, pooler_meant=servers.told
        )
    except RejectedBySome as some:
        raise Unreachable(some.message) from None


def _is_one(one: Primary, other: Primary) -> bool:
    """An identifier that one of them may not tell, in the database of that login, contradicts nothing."""
    identifiers = {one.identifier, other.identifier} - {None}
    return one.started == other.started and len(identifiers) <= 1
