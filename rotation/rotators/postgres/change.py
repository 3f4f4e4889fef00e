"""A rotation's change, the same for one role and for two in turn: the draft says which role.

The statement is in `role.py`. The server never gets the password: it gets a SCRAM verifier (`Session.verifier`).
"""

from __future__ import annotations

from rotation.errors import Refused, Rejected
from rotation.model import Applied, Credential, Draft, Job, SecretValue
from rotation.passwords import generate
from rotation.ports import RotatorDependencies
from rotation.rotators.postgres.login import logged_in, logs_in_for_changes
from rotation.rotators.postgres.refusals import AsksOtherwise
from rotation.rotators.postgres.role import check_lasts, set_password
from rotation.rotators.postgres.servers import read_login


def new_value(job: Job, role: str, services: RotatorDependencies) -> SecretValue:
    """The current value with a new password, and with `role` where it names one."""
    form = read_login(job.current.value, job.spec)
    return form.with_login(generate(job.password, services.random), role if form.user is not None else None)


async def apply(job: Job, draft: Draft, services: RotatorDependencies) -> Applied:
    """Give the drafted role the drafted password.

    An interrupted run may have done so: then it is not done again, since each change salts anew, and whoever passes
    on what it learned from the old salt (PgBouncer does) would be locked out for nothing.

    Raises:
        As `Rotator.apply`.
    """
    if draft.value is None or draft.slot is None or draft.slot not in job.access.slots:
        raise Refused("the draft is not one of this secret's roles with a password; nothing was changed")
    credential = Credential(draft.value, draft.slot)
    if job.resumed and await holds(job, credential, services):
        return Applied(credential)
    async with logged_in(job, draft.slot, services) as (session, login):
        await check_lasts(session, draft.slot, job.spec.validity_days)
        await set_password(session, draft.slot, password_of(job, credential))
    return Applied(credential, login)


async def holds(job: Job, credential: Credential, services: RotatorDependencies) -> bool:
    """Whether the server where changes are made accepts a credential already.

    Raises:
        MovedElsewhere: it is another one than was proven. Unreachable, Refused: nobody can tell.
    """
    try:
        await logs_in_for_changes(job, credential, services)
    except (Rejected, AsksOtherwise):
        return False
    return True


def password_of(job: Job, credential: Credential) -> SecretValue:
    """The password that a value gives to its role.

    Raises:
        Refused: it gives none, or to another role.
    """
    form = read_login(credential.value, job.spec)
    if form.user not in {None, credential.slot} or not form.password.reveal():
        raise Refused(f"the new value has no password of role {credential.slot!a}; nothing was changed")
    return form.password
