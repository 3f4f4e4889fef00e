"""One role of a PostgreSQL server, its password changed in place: the old one dies of the change."""

from __future__ import annotations

from rotation.errors import Unusable
from rotation.model import Applied, Credential, Draft, Job, Proof, RequestedAccess, Secret, Spec
from rotation.ports import RotatorDependencies
from rotation.rotators.postgres import change as postgres_change
from rotation.rotators.postgres import proof as postgres_proof
from rotation.rotators.postgres import same_server as postgres_same_server
from rotation.rotators.postgres.servers import read_login, servers_of


class Postgres:
    """The tag `slots` is needed where the value is a bare password, which names no role."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._services = services

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        servers = servers_of(spec, secret.value)
        form = read_login(secret.value, spec)
        role = form.user or (spec.slots[0] if len(spec.slots) == 1 else None)
        if role is None:
            raise Unusable("the value names no role: set the tag slots to the one whose password it is", field="slots")
        return RequestedAccess(servers.targets, (role,), form.user, form.name, confidential=(form.password,))

    def draft(self, job: Job) -> Draft:
        role = job.access.slots[0]
        return Draft(role, postgres_change.new_value(job, role, self._services))

    async def apply(self, job: Job, draft: Draft) -> Applied:
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
        """Nothing: the role is in use, and its old password died when it was changed."""
