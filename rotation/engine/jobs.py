"""What a rotator may know of a run: the job, and what may be tried to log in, in which order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from rotation.engine.managed_secret import Subject
from rotation.engine.run import MOST_TRIES, Run
from rotation.errors import RotationError
from rotation.model import Credential, Job, Login, LoginSource, SecretValue


def job_of(
    run: Run,
    subject: Subject,
    current: Credential,
    operation: str,
    *,
    resumed: bool = False,
    realm: str | None = None,
) -> Job:
    """What the rotator may know. realm: the provider's own word of who it is, where it was proven."""
    run.redactor.add(current.value)
    return Job(
        operation_id=operation,
        ref=subject.ref,
        spec=subject.spec,
        claim=subject.claim,
        current=current,
        password=subject.permit.password,
        tls=subject.permit.tls,
        admin=subject.permit.admin,
        resumed=resumed,
        logins=lambda slot: logins(run, subject, slot, operation),
        realm=realm,
    )


async def logins(run: Run, subject: Subject, slot: str, operation: str) -> AsyncIterator[Login]:
    """Staged values first, then versions, each newest first; then what is settled; then the administrator."""
    staged = [s for s in run.history.staged() if s.slot == slot and s.operation_id != operation]
    for one in [s for s in staged if not s.settled][:MOST_TRIES]:
        if (value := await run.staged_value(one)) is not None:
            yield Login(LoginSource.STAGED, value, slot)
    async for value in _version_values(run, subject, slot):
        yield Login(LoginSource.VERSION, value, slot)
    for one in [s for s in staged if s.settled][:MOST_TRIES]:
        if (value := await run.staged_value(one)) is not None:
            yield Login(LoginSource.STAGED, value, slot)
    admin = subject.permit.admin
    if admin is not None and admin.kind == "secret":
        yield Login(LoginSource.ADMIN_SECRET, (await run.read(name=admin.secret)).value, admin.user)
    elif admin is not None:
        yield Login(LoginSource.ADMIN_IDENTITY, None, admin.user)


async def _version_values(run: Run, subject: Subject, slot: str) -> AsyncIterator[SecretValue]:
    known = run.history.versions()
    latest = subject.secret
    if known.get(latest.version, subject.claim.current_slot or slot) == slot:
        yield latest.value
    names = [version for version, held in known.items() if held == slot and version != latest.version]
    tried = 0
    for version in names[:MOST_TRIES]:
        tried += 1
        if (value := await run.older_value(version)) is not None:
            yield value
    if tried == MOST_TRIES:
        return
    # What was written before the ledger knew the secret: its slot is told by the value, if at all.
    older = await run.versions(latest.ref.name)
    unknown = [v.version for v in older.items if v.version not in known and v.version != latest.version and v.enabled]
    for version in unknown[: MOST_TRIES - tried]:
        value = await run.older_value(version)
        if value is not None and _slot_of_value(subject, version, value) in {slot, None}:
            yield value


def _slot_of_value(subject: Subject, version: str, value: SecretValue) -> str | None:
    """The slot that a value itself names; None where it names none or can't be read."""
    older = replace(subject.secret, version=version, value=value, tags={})
    try:
        return subject.rotator.claim(subject.spec, older).current_slot
    except RotationError:
        return None
