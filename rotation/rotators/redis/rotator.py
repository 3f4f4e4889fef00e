"""A password more for a user, and later one less: a consumer with the old value goes on working in between.

A user may have several passwords. Ours are in two places that take turns (see `users`), and passwords that no version
of the secret holds are left alone. Replicas take no users from their primary, and neither do the nodes of a cluster:
each server that is named is changed, and a password counts where all of them accept it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from rotation.errors import MovedElsewhere, NotYet, Refused, Rejected, RotationError, Unreachable
from rotation.model import Applied, Credential, Draft, Job, Login, Proof, RequestedAccess, Secret, SecretValue, Spec
from rotation.passwords import generate
from rotation.ports import RotatorDependencies
from rotation.rotators.databases.database import Endpoint
from rotation.rotators.logins import administrator
from rotation.rotators.redis.session import AclUser, NotPermitted, opened
from rotation.rotators.redis.users import User, access_of, hash_of, read_user, same_user, slot_of

ASK_AGAIN_S = 30


class RedisUser:
    """Slots are the two places of a user's passwords, as `orders:a`; a rule lists the user."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._services = services

    def requested_access(self, spec: Spec, secret: Secret) -> RequestedAccess:
        return access_of(spec, secret)

    def draft(self, job: Job) -> Draft:
        user = read_user(job.current.value, job.spec)
        slot = next(one for one in job.access.slots if one != job.current.slot)
        password = generate(job.password, self._services.random)
        while slot_of(user.name, hash_of(password)) != slot:  # every second one is of the other place
            password = generate(job.password, self._services.random)
        return Draft(slot, user.form.with_login(password))

    async def apply(self, job: Job, draft: Draft) -> Applied:
        """Nothing changes anywhere before every server has shown that it can be changed, and that it keeps a change.

        Raises:
            As `Rotator.apply`.
        """
        user = None if draft.value is None else same_user(job, draft.value)
        if draft.value is None or user is None or draft.slot in {None, job.current.slot} or user.slot != draft.slot:
            raise Refused("the draft is no password of this secret's user in its other place; nothing was changed")
        _check_realm(job, user)
        (name, password), login = await self._login_for_changes(job, user, user.slot)
        hashed, changed = hash_of(user.form.password), False
        for endpoint in user.changes:
            async with opened(endpoint, name, password, job.tls, self._services.connections) as session:
                if hashed not in _usable(await session.user(user.name), user.name, endpoint).hashes:
                    await session.add(user.name, hashed)
                    changed = True
                # Even if it is there: an earlier run may have been killed before it was saved.
                await session.save()
        return Applied(Credential(draft.value, user.slot), login if changed else None)

    async def prove(self, job: Job) -> Proof:
        user = read_user(job.current.value, job.spec)
        await self.verify(job, Credential(job.current.value, user.slot))
        return Proof(user.slot, user.realm, user.at)

    async def realm(self, job: Job, slot: str) -> str | None:
        """No server says who it is, so one is asked for a login, and the address counts."""
        user = read_user(job.current.value, job.spec)
        await self._login_for_changes(job, user, slot)
        return user.realm

    async def verify(self, job: Job, credential: Credential) -> None:
        """Log in as a consumer does, and everywhere that the password would be changed.

        Raises:
            Rejected: one of those refuses it, or the value is of another user or place. NotYet: those accept it, and a
            server that the value names does not. Unreachable, Refused: as `Rotator.verify`.
        """
        user = same_user(job, credential.value)
        if user is None or user.slot != credential.slot:
            raise Rejected(f"the value is no password in the place {credential.slot!a:.80}, or leads elsewhere")
        consumers = [one for one in user.consumers if one not in user.changes]
        answers = await asyncio.gather(*(self._tried(one, user, job) for one in (*user.changes, *consumers)))
        deciding, others = answers[: len(user.changes)], [error for error in answers[len(user.changes) :] if error]
        errors = sorted((error for error in deciding if error), key=lambda error: not isinstance(error, Rejected))
        if errors:
            raise errors[0]
        for error in others:
            if isinstance(error, Rejected):
                raise NotYet(
                    "a server that the value names refuses the password, and those that the tag target names accept "
                    f"it: name all servers in the tag target ({error.message})",
                    retry_after_s=ASK_AGAIN_S,
                )
            raise error

    async def retire(self, job: Job, slot: str) -> None:
        """Take away the passwords of a place that this secret's versions held; all others are left alone.

        Connections that are open then stay open: a server asks for a password at login only.
        """
        if slot == job.current.slot or slot not in job.access.slots:
            raise Refused(f"the place {slot!a:.80} is in use, or none of this secret's two; nothing was changed")
        user = read_user(job.current.value, job.spec)
        _check_realm(job, user)
        ours = await self._hashes_of(job, slot)
        (name, password), _ = await self._login_for_changes(job, user, slot, may_be_gone=True)
        for endpoint in user.changes:
            async with opened(endpoint, name, password, job.tls, self._services.connections) as session:
                found = await session.user(user.name)
                if found is None:
                    continue
                if not ours and any(slot_of(user.name, one) == slot for one in found.hashes):
                    raise Refused(
                        f"user {user.name!a} at {endpoint} has passwords in the place {slot!a}, and no version of this "
                        "secret that can be read holds one of them: take them away by hand (ACL SETUSER USER !HASH)"
                    )
                old = sorted(found.hashes & ours)
                if old:
                    await session.remove(user.name, old)
                await session.save()

    async def _hashes_of(self, job: Job, slot: str) -> frozenset[str]:
        """Of the passwords that were ever written for a place, as far as their values can be read."""
        users = [
            user
            async for login in job.logins(slot)
            if login.value is not None and (user := same_user(job, login.value)) is not None
        ]
        return frozenset(hash_of(user.form.password) for user in users if user.slot == slot)

    async def _tried(self, endpoint: Endpoint, user: User, job: Job) -> RotationError | None:
        try:
            async with opened(endpoint, user.name, user.form.password, job.tls, self._services.connections):
                return None
        except (Refused, Unreachable) as error:
            return error

    async def _login_for_changes(
        self, job: Job, user: User, slot: str, *, may_be_gone: bool = False
    ) -> tuple[tuple[str, SecretValue], Login]:
        """The first login that every server accepts, and that may change the user there. Nothing is changed by it.

        Raises:
            Rejected: each login was, by one of the servers. Refused: a server or its user can't be changed.
            Unreachable: nobody can tell.
        """
        refusals: list[Refused] = []
        async for account, login in self._logins(job, slot):
            try:
                for endpoint in user.changes:
                    await self._look(endpoint, account, user, job, may_be_gone=may_be_gone)
            except (Rejected, NotPermitted) as refusal:
                refusals.append(refusal)
                continue
            return account, login
        telling = [refusal for refusal in refusals if isinstance(refusal, NotPermitted)] or refusals
        if telling and isinstance(telling[-1], NotPermitted):
            raise telling[-1]
        why = f"; {telling[-1].message}" if telling else ""
        raise Rejected(
            f"nothing known logs in at {', '.join(map(str, user.changes))} to change user {user.name!a}: put the "
            "working password into the vault as a new version, or name an administrator (admin) in the policy's "
            f"rule{why}"
        )

    async def _look(
        self, endpoint: Endpoint, account: tuple[str, SecretValue], user: User, job: Job, *, may_be_gone: bool
    ) -> None:
        """Whether all that a change needs is there. What was changed before and not saved yet is saved by it."""
        async with opened(endpoint, *account, job.tls, self._services.connections) as session:
            found = await session.user(user.name)
            if found is not None or not may_be_gone:
                _usable(found, user.name, endpoint)
            await session.save()

    async def _logins(self, job: Job, slot: str) -> AsyncIterator[tuple[tuple[str, SecretValue], Login]]:
        """The administrator alone, where there is one; else the user itself, by the password in use first."""
        if job.admin is not None:
            async for login in job.logins(slot):
                if (account := administrator(login, "user of Redis")) is not None:
                    yield account, login
            return
        for one in dict.fromkeys((job.current.slot, slot)):
            async for login in job.logins(one):
                if login.value is not None and (user := same_user(job, login.value)) is not None:
                    yield (user.name, user.form.password), login


def _check_realm(job: Job, user: User) -> None:
    if job.realm not in {None, user.realm}:
        raise MovedElsewhere("other servers are asked for than were proven; nothing was changed, and it is proven anew")


def _usable(found: AclUser | None, user: str, endpoint: Endpoint) -> AclUser:
    """Raise Refused for a user that a new password would not help, or would lock out."""
    if found is None:
        raise Refused(f"there is no user {user!a} at {endpoint}: ACL SETUSER makes it; each server needs its own")
    if "nopass" in found.flags:
        raise Refused(
            f"user {user!a} at {endpoint} gets in by any password (nopass), and a first one would lock out those who "
            "use another: take that away (ACL SETUSER USER resetpass >PASSWORD), and write the password into the vault"
        )
    if "on" not in found.flags:
        raise Refused(f"user {user!a} at {endpoint} is off: ACL SETUSER USER on lets it in")
    return found
