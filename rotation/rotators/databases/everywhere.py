"""Whether a credential works. That is the primary's word; a standby lags behind it, and a pooler keeps its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from rotation.errors import NotYet, Refused, Rejected, RotationError, Unreachable
from rotation.model import Credential, Job, Tls
from rotation.rotators.databases.database import Account, Database, Endpoint, Primary
from rotation.rotators.databases.login import RejectedBySome, connected, consumer, primary_of
from rotation.rotators.databases.servers import change_endpoints, permitted_servers

REPLICATION_S = 30
_Answer = TypeVar("_Answer")


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
class Everywhere:
    """Where one account has to get in. consumers: none where a consumer of the value gets to where it is changed."""

    consumers: Sequence[Endpoint]
    changes: Sequence[Endpoint]
    account: Account
    tls: Tls
    database: Database
    pooler_meant: bool

    async def decide(self) -> None:
        """Return if it is accepted where it would be changed.

        Raises:
            Rejected, Unreachable, Refused: it is not, or nobody can tell: the primary may be one that can't be asked.
        """
        answers = await self._ask(self.changes)
        if not answers.decided and answers.errors:
            raise answers.worst

    async def primary(self) -> Primary:
        """As `decide` -> what the server that decides says of itself."""
        try:
            return await primary_of(self.changes, self.account, self.tls, self.database, pooler_meant=self.pooler_meant)
        except RejectedBySome as some:
            raise Unreachable(some.message) from None

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
                async with connected(endpoint, self.account, self.tls, self.database) as session:
                    standby = await session.is_standby()
                    answers.accepted = True
                    if not standby:
                        answers.decided = True
                        return answers
            except (Refused, Unreachable) as error:
                answers.errors.append(error)
        return answers


async def everywhere_of(job: Job, credential: Credential, database: Database) -> Everywhere:
    """Where a consumer of the credential's value logs in, and where its password would be changed.

    Raises:
        Rejected: the value leads elsewhere than the policy permits, or is none of this slot. As `change_endpoints`.
    """
    servers = permitted_servers(job, credential.value, database)
    if servers is None:
        raise Rejected("the value leads to a server that was not permitted, so it is not tried")
    account = consumer(job, credential.value, credential.slot, servers, database)
    if account is None:
        raise Rejected(f"the value is not one of {database.noun} {credential.slot!a}")
    changes = await change_endpoints(servers, database)
    apart = set(servers.consumers).isdisjoint(changes)
    return Everywhere(
        servers.consumers if apart else (), changes, account, job.tls, database, pooler_meant=servers.by_tag
    )


async def side_by_side(deciding: Awaitable[_Answer], agreeing: Awaitable[None]) -> _Answer:
    """The first one's answer; its error goes before the other's."""
    decided, agreed = await asyncio.gather(deciding, agreeing, return_exceptions=True)
    if isinstance(decided, BaseException):
        raise decided
    if isinstance(agreed, BaseException):
        raise agreed
    return decided
