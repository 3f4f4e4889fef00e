"""Whether a credential works. That is the primary's word; a standby lags behind it, and a pooler keeps its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from rotation.errors import NotYet, Refused, Rejected, RotationError, Unreachable, Unusable
from rotation.model import Credential, Job, Proof, Tls
from rotation.ports import RotatorDependencies
from rotation.rotators.postgres.account import consumer
from rotation.rotators.postgres.connect import connect
from rotation.rotators.postgres.login import RejectedBySome, logged_in, primary_of
from rotation.rotators.postgres.primary import look
from rotation.rotators.postgres.servers import change_endpoints, permitted_servers, read_login, servers_of
from rotation.rotators.postgres.session import Account, Endpoint

REPLICATION_S = 30
_Told = TypeVar("_Told")


async def verify(job: Job, credential: Credential, services: RotatorDependencies) -> None:
    """Log in as a consumer who reads `credential.value`, and where its role would be changed.

    Raises:
        Rejected: where it would be changed it is refused, whatever a standby says that does not know that yet.
        NotYet: there it is accepted, and at the servers of the value it is not.
        Unreachable, Refused: as `Rotator.verify`.
    """
    everywhere = await _everywhere(job, credential, services)
    await _side_by_side(everywhere.decide(), everywhere.agree())


async def prove(job: Job, services: RotatorDependencies) -> Proof:
    """Whose credential the current value is, by the server's word: see `Rotator.prove`.

    The realm is the system identifier, which any role may ask for unless the server's owner took `pg_control_system`
    away; then it is the address where a change would be made. A copy of a server has the same identifier: see
    `rotation.rotators.postgres.same_server`.
    """
    role = read_login(job.current.value, job.spec).user or job.access.slots[0]
    everywhere = await _everywhere(job, Credential(job.current.value, role), services)
    try:
        primary = await _side_by_side(
            primary_of(everywhere.changes, everywhere.account, job.tls, services, pooler_meant=everywhere.pooler_meant),
            everywhere.agree(),
        )
    except RejectedBySome as some:
        raise Unreachable(some.message) from None
    if primary.role != role:
        raise Unusable(
            f"{primary.endpoint} lets the value in as another role than it names, so nobody can tell whose it is: "
            "name that role in the value",
            field="value",
        )
    return Proof(role, primary.realm, servers_of(job.spec, job.current.value).resource or str(primary.endpoint))


async def realm(job: Job, slot: str, services: RotatorDependencies) -> str:
    """Who the server says it is, to whatever of the job's logins it lets in: see `Rotator.realm`."""
    async with logged_in(job, slot, services) as (session, _):
        return (await look(session, pooler_meant=True, realm=None)).realm


@dataclass(slots=True)
class _Answers:
    """accepted: by some server; decided: by one that is no standby, so that no other is asked."""

    accepted: bool = False
    decided: bool = False
    errors: list[RotationError] = field(default_factory=list)

    @property
    def rejection(self) -> Rejected | None:
        return next((error for error in self.errors if isinstance(error, Rejected)), None)

    @property
    def worst(self) -> RotationError:
        """What says the least about the credential."""
        unreachable = (error for error in self.errors if isinstance(error, Unreachable))
        refused = (error for error in self.errors if not isinstance(error, Rejected))
        return next(unreachable, None) or next(refused, None) or self.errors[0]


@dataclass(frozen=True, slots=True)
class _Everywhere:
    """Where one account has to get in. consumers: none where a consumer of the value gets to where it is changed."""

    consumers: Sequence[Endpoint]
    changes: Sequence[Endpoint]
    account: Account
    tls: Tls
    services: RotatorDependencies
    pooler_meant: bool

    async def decide(self) -> None:
        """Return if it is accepted where it would be changed.

        Raises:
            Rejected, Unreachable, Refused: it is not, or nobody can tell: who can't be asked may be the primary.
        """
        answers = await self._ask(self.changes)
        if not answers.decided and answers.errors:
            raise answers.worst

    async def agree(self) -> None:
        """Return if the value's own servers accept it.

        Raises:
            NotYet: one of them does not. Unreachable, Refused: none was heard.
        """
        answers = await self._ask(self.consumers)
        if answers.decided or not answers.errors:
            return
        if answers.rejection is not None:
            raise NotYet(
                "the primary accepts the password, and a server that the value names does not yet: it lags behind, or "
                f"is a pooler with passwords of its own ({answers.rejection.message})",
                retry_after_s=REPLICATION_S,
            )
        if not answers.accepted:
            raise answers.worst

    async def _ask(self, endpoints: Sequence[Endpoint]) -> _Answers:
        answers = _Answers()
        for endpoint in endpoints:
            try:
                async with (
                    self.services.connections.to(str(endpoint)),
                    await connect(endpoint, self.account, self.tls) as session,
                ):
                    # A pooler asks its server for a login only now. Takes no snapshot: a role whose transactions wait
                    # for those of others by default does not wait here.
                    await session.query("SHOW server_version")
                    answers.accepted = True
                    if not session.is_standby:
                        answers.decided = True
                        return answers
            except (Refused, Unreachable) as error:
                answers.errors.append(error)
        return answers


async def _everywhere(job: Job, credential: Credential, services: RotatorDependencies) -> _Everywhere:
    servers = permitted_servers(job, credential.value)
    if servers is None:
        raise Rejected("the value leads to a server that was not permitted, so it is not tried")
    account = consumer(job, credential.value, credential.slot, servers)
    if account is None:
        raise Rejected(f"the value is not one of role {credential.slot!a}")
    changes = await change_endpoints(servers, services)
    apart = set(servers.consumers).isdisjoint(changes)
    return _Everywhere(
        servers.consumers if apart else (), changes, account, job.tls, services, pooler_meant=servers.told
    )


async def _side_by_side(deciding: Awaitable[_Told], agreeing: Awaitable[None]) -> _Told:
    """The first one's answer; its error goes before the other's."""
    decided, agreed = await asyncio.gather(deciding, agreeing, return_exceptions=True)
    if isinstance(decided, BaseException):
        raise decided
    if isinstance(agreed, BaseException):
        raise agreed
    return decided
