"""Two logins of a database in turn, so that a consumer with the old value goes on working.

The owner prepares both, with the same rights. The login that is not in use gets a new password; later, when every
consumer has read the new value, the old login's password is ended. Connections that are open then are left alone:
servers look at a password at login only, and a consumer's pool renews its connections sooner or later.
"""

from __future__ import annotations

import contextlib

from rotation.errors import Refused, Unusable
from rotation.model import Applied, Draft, Job, RequestedAccess, Secret, SecretValue, Spec
from rotation.rotators.databases.database import NoSuchLogin
from rotation.rotators.databases.login import logged_in
from rotation.rotators.databases.rotator import DatabaseRotator
from rotation.rotators.databases.servers import servers_of


class Alternating(DatabaseRotator):
    """The tag `slots` names the two logins; the value, which of them is in use."""

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        servers = servers_of(spec, secret.value, self._database)
        form = self._database.read_login(secret.value, spec)
        slot, noun = form.user, self._database.noun
        if slot is None:
            raise Unusable(
                f"the value names no {noun}, so that nobody could know which of the two it is: "
                f"make it a connection string, or use the rotator for one {noun}",
                field="value",
            )
        if len(set(spec.slots)) != 2:  # noqa: PLR2004  two take turns
            raise Unusable(f"the tag slots does not name two {noun}s, as in orders_a,orders_b", field="slots")
        if slot not in spec.slots:
            raise Unusable(  # without its name, which is read from the value
                f"the value's {noun} is none of the two that the tag slots names", field="slots"
            )
        return RequestedAccess(servers.targets, spec.slots, slot, form.name, confidential=(form.password,))

    def draft(self, job: Job) -> Draft:
        slot = next(slot for slot in job.access.slots if slot != job.current.slot)
        return Draft(slot, self._new_value(job, slot))

    def standby(self, job: Job, slot: str) -> SecretValue | None:
        """Without an administrator the next rotation logs in as the old login itself, so that it needs a password."""
        return self._new_value(job, slot) if job.admin is None else None

    async def apply(self, job: Job, draft: Draft) -> Applied:
        self._refuse_in_use(job, draft.slot)
        return await super().apply(job, draft)

    async def retire(self, job: Job, slot: str) -> None:
        """With an administrator the login has no password afterwards; without, `job.standby`, which no consumer knows.

        It is not locked (NOLOGIN): bringing it back would then have to undo that, and could not tell it from an owner's
        own lock, which must be left alone. Without a password no login by password succeeds, and the next rotation's
        change is the same statement as ever.
        """
        self._refuse_in_use(job, slot)
        password = None
        if job.admin is None:
            if job.standby is None or job.standby.slot != slot:
                raise Refused(
                    f"no password is parked for {self._database.noun} {slot!a}, by which the next rotation could log in"
                )
            if await self._holds(job, job.standby):
                return
            password = self._password_of(job, job.standby)
        with contextlib.suppress(NoSuchLogin):
            async with logged_in(job, slot, self._database) as where:
                await where.session.set_password(slot, password)

    def _refuse_in_use(self, job: Job, slot: str | None) -> None:
        if slot == job.current.slot or slot not in job.access.slots:
            raise Refused(
                f"{self._database.noun} {slot!a} is in use, or none of this secret's two; nothing was changed"
            )
