"""Two roles of a PostgreSQL server in turn, so that a consumer who read the old value goes on working.

The owner prepares both, with the same rights. The role that is not in use gets a new password; later, when every
consumer has read the new value, the old role's password is ended. Connections that are open then are left alone:
PostgreSQL looks at a password at login only, and a consumer's pool renews its connections sooner or later.
"""

from __future__ import annotations

import contextlib

from rotation.errors import Refused, Unusable
from rotation.model import Applied, Credential, Draft, Job, Proof, RequestedAccess, Secret, SecretValue, Spec
from rotation.ports import RotatorDependencies
from rotation.rotators.postgres import change as postgres_change
from rotation.rotators.postgres import proof as postgres_proof
from rotation.rotators.postgres import same_server as postgres_same_server
from rotation.rotators.postgres.login import logged_in
from rotation.rotators.postgres.role import NoSuchRole, set_password
from rotation.rotators.postgres.servers import read_login, servers_of


class PostgresAlternating:
    """The tag `slots` names the two roles; the value, which of them is in use."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._services = services

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        servers = servers_of(spec, secret.value)
        form = read_login(secret.value, spec)
        role = form.user
        if role is None:
            raise Unusable(
                "the value names no role, so that nobody could know which of the two it is: "
                "make it a connection string, or use the rotator postgres",
                field="value",
            )
        if len(set(spec.slots)) != 2:  # noqa: PLR2004  two roles take turns
            raise Unusable("the tag slots does not name two roles, as in orders_a,orders_b", field="slots")
        if role not in spec.slots:
            raise Unusable(  # which one is not told, since it is read from the value
                "the value's role is none of the two that the tag slots names", field="slots"
            )
        return RequestedAccess(servers.targets, spec.slots, role, form.name, confidential=(form.password,))

    def draft(self, job: Job) -> Draft:
        role = next(slot for slot in job.access.slots if slot != job.current.slot)
        return Draft(role, postgres_change.new_value(job, role, self._services))

    def standby(self, job: Job, slot: str) -> SecretValue | None:
        """Without an administrator the next rotation logs in as the old role itself, so that it needs a password."""
        return postgres_change.new_value(job, slot, self._services) if job.admin is None else None

    async def apply(self, job: Job, draft: Draft) -> Applied:
        _refuse_role_in_use(job, draft.slot)
        return await postgres_change.apply(job, draft, self._services)

    async def verify(self, job: Job, credential: Credential) -> None:
        await postgres_proof.verify(job, credential, self._services)

    async def prove(self, job: Job) -> Proof:
        return await postgres_proof.prove(job, self._services)

    async def realm(self, job: Job, slot: str) -> str | None:
        return await postgres_proof.realm(job, slot, self._services)

    async def same_provider(self, job: Job, target: str) -> bool:
        return await postgres_same_server.same_provider(job, target, self._services)

    async def retire(self, job: Job, slot: str) -> None:
        """With an administrator the role has no password afterwards; without, `job.standby`, which no consumer knows.

        Not NOLOGIN: bringing the role back would then have to undo it, and could not tell it from an owner's own
        NOLOGIN, which must be left alone. Without a password no login by password succeeds, and the next rotation's
        change is the same statement as ever.
        """
        _refuse_role_in_use(job, slot)
        password = None
        if job.admin is None:
            if job.standby is None or job.standby.slot != slot:
                raise Refused(f"no password is parked for role {slot!a}, by which the next rotation could log in")
            if await postgres_change.holds(job, job.standby, self._services):
                return
            password = postgres_change.password_of(job, job.standby)
        with contextlib.suppress(NoSuchRole):
            async with logged_in(job, slot, self._services) as (session, _):
                await set_password(session, slot, password)


def _refuse_role_in_use(job: Job, slot: str | None) -> None:
    if slot == job.current.slot or slot not in job.access.slots:
        raise Refused(f"role {slot!a} is in use, or none of this secret's two; nothing was changed")
