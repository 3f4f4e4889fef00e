"""What is the same for one login and for two in turn: a change, and the proof that a credential works."""

from __future__ import annotations

from dataclasses import replace

from rotation.errors import Refused, Rejected, Unreachable, Unusable
from rotation.model import Applied, Credential, Draft, Job, Proof, SecretValue
from rotation.passwords import generate
from rotation.rotators.databases.database import AsksOtherwise, Database, Primary
from rotation.rotators.databases.everywhere import everywhere_of, side_by_side
from rotation.rotators.databases.login import RejectedBySome, consumer, logged_in, primary_of, realm_of
from rotation.rotators.databases.servers import change_endpoints, servers_of


class DatabaseRotator:
    """`InPlace` and `Alternating` add which login is next, and what becomes of the old one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply(self, job: Job, draft: Draft) -> Applied:
        """Give the drafted login the drafted password.

        An interrupted run may have done so: then it is not done again, since each change salts anew, and a pooler that
        passes on what it learned from the old salt (PgBouncer does) would be locked out for nothing.

        Raises:
            As `Rotator.apply`.
        """
        if draft.value is None or draft.slot is None or draft.slot not in job.access.slots:
            raise Refused(
                f"the draft is not one of this secret's {self._database.noun}s with a password; nothing was changed"
            )
        credential = Credential(draft.value, draft.slot)
        if job.resumed and await self._holds(job, credential):
            return Applied(credential)
        async with logged_in(job, draft.slot, self._database) as where:
            await where.session.check_lasts(draft.slot, job.spec.validity_days)
            await where.session.set_password(draft.slot, self._password_of(job, credential))
        # That an administrator made the change says nothing about the password in the vault, where nobody else may.
        return Applied(credential, where.login if self._database.changes_itself else None)

    async def verify(self, job: Job, credential: Credential) -> None:
        """Log in as a consumer of `credential.value` does, and where its password would be changed.

        Raises:
            Rejected: where it would be changed it is refused, whatever a standby says that does not know that yet.
            NotYet: there it is accepted, and at the servers of the value it is not.
            Unreachable, Refused: as `Rotator.verify`.
        """
        everywhere = await everywhere_of(job, credential, self._database)
        await side_by_side(everywhere.decide(), everywhere.agree())

    async def prove(self, job: Job) -> Proof:
        """Whose credential the current value is, by the server's word: see `Rotator.prove`.

        The realm is what the server calls itself; where it does not say that to this login, the address where a change
        would be made. A copy of a server calls itself the same: see `same_provider`.
        """
        slot = self._slot_of_value(job)
        everywhere = await everywhere_of(job, Credential(job.current.value, slot), self._database)
        primary = await side_by_side(everywhere.primary(), everywhere.agree())
        noun = self._database.noun
        if primary.user != slot:
            raise Unusable(
                f"{primary.endpoint} lets the value in as another {noun} than it names, so nobody can tell whose it "
                f"is: name that {noun} in the value",
                field="value",
            )
        servers = servers_of(job.spec, job.current.value, self._database)
        return Proof(slot, realm_of(primary, self._database), servers.resource or str(primary.endpoint))

    async def realm(self, job: Job, slot: str) -> str | None:
        """Who the server says it is, to the first of the job's logins that it lets in: see `Rotator.realm`."""
        async with logged_in(job, slot, self._database) as where:
            return realm_of(where.primary, self._database)

    async def same_provider(self, job: Job, target: str) -> bool:
        """See `TellsProvidersApart`. The time at which the running server was started tells a server from its copy.

        One is asked after the other, ours first and last: never are two connections held, which would let two runs wait
        for each other, and a restart in between shows.
        """
        before = await self._primary_at(job, job.spec.target)
        try:
            theirs = await self._primary_at(job, target)
        except Rejected:
            return False
        after = await self._primary_at(job, job.spec.target)
        if not _is_one(before, after):
            raise Unreachable(f"{after.endpoint} was started anew in this very moment; it is asked again later")
        return _is_one(before, theirs)

    def _new_value(self, job: Job, slot: str) -> SecretValue:
        """The current value with a new password, and with `slot` where it names a login."""
        form = self._database.read_login(job.current.value, job.spec)
        password = generate(job.password, self._database.services.random)
        return form.with_login(password, slot if form.user is not None else None)

    async def _holds(self, job: Job, credential: Credential) -> bool:
        """Whether the server where changes are made accepts a credential already.

        Raises:
            MovedElsewhere: it is another one than was proven. Unreachable, Refused: nobody can tell.
        """
        servers = servers_of(job.spec, job.current.value, self._database)
        account = consumer(job, credential.value, credential.slot, servers, self._database)
        if account is None:
            return False
        endpoints = await change_endpoints(servers, self._database)
        try:
            await primary_of(endpoints, account, job.tls, self._database, pooler_meant=servers.by_tag, realm=job.realm)
        except (Rejected, AsksOtherwise):
            return False
        return True

    def _password_of(self, job: Job, credential: Credential) -> SecretValue:
        """The password that a value gives to its login.

        Raises:
            Refused: it gives none, or to another login.
        """
        form = self._database.read_login(credential.value, job.spec)
        if form.user not in {None, credential.slot} or not form.password.reveal():
            raise Refused(
                f"the new value has no password of {self._database.noun} {credential.slot!a}; nothing was changed"
            )
        return form.password

    async def _primary_at(self, job: Job, target: str | None) -> Primary:
        slot = self._slot_of_value(job)
        at = servers_of(replace(job.spec, target=target), job.current.value, self._database)
        ours = servers_of(job.spec, job.current.value, self._database)
        account = consumer(job, job.current.value, slot, ours, self._database)
        if account is None:
            raise Rejected(f"the value is not one of {self._database.noun} {slot!a}")
        endpoints = await change_endpoints(at, self._database)
        try:
            return await primary_of(endpoints, account, job.tls, self._database, pooler_meant=at.by_tag)
        except RejectedBySome as some:
            raise Unreachable(some.message) from None

    def _slot_of_value(self, job: Job) -> str:
        return self._database.read_login(job.current.value, job.spec).user or job.access.slots[0]


def _is_one(one: Primary, other: Primary) -> bool:
    """An identifier that one of them does not say, in the database of that login, contradicts nothing."""
    identifiers = {one.identifier, other.identifier} - {None}
    return one.started == other.started and len(identifiers) <= 1
