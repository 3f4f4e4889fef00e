"""One login of a database, its password changed in place: the old one dies of the change."""

from __future__ import annotations

from rotation.errors import Unusable
from rotation.model import Draft, Job, RequestedAccess, Secret, Spec
from rotation.rotators.databases.rotator import DatabaseRotator
from rotation.rotators.databases.servers import servers_of


class InPlace(DatabaseRotator):
    """The tag `slots` is needed where the value is a bare password, which names no login."""

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        servers = servers_of(spec, secret.value, self._database)
        form = self._database.read_login(secret.value, spec)
        slot = form.user or (spec.slots[0] if len(spec.slots) == 1 else None)
        if slot is None:
            raise Unusable(
                f"the value names no {self._database.noun}: set the tag slots to the one whose password it is",
                field="slots",
            )
        return RequestedAccess(servers.targets, (slot,), form.user, form.name, confidential=(form.password,))

    def draft(self, job: Job) -> Draft:
        slot = job.access.slots[0]
        return Draft(slot, self._new_value(job, slot))

    async def retire(self, job: Job, slot: str) -> None:
        """Nothing: the login is in use, and its old password died when it was changed."""
