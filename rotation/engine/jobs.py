"""What a rotator may know of a run: the job, and what may be tried to log in, in which order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from rotation.engine.managed_secret import ManagedSecret
from rotation.engine.run import MAX_TRIES, Run
from rotation.errors import RotationError
from rotation.model import Credential, Job, Login, LoginSource, SecretValue


def job_of(
    run: Run,
    managed: ManagedSecret,
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
        ref=managed.ref,
        spec=managed.spec,
        access=managed.access,
        current=current,
        password=managed.terms.password,
        tls=managed.terms.tls,
        admin=managed.terms.admin,
        resumed=resumed,
        logins=lambda slot: logins(run, managed, slot, operation),
        realm=realm,
    )


async def logins(run: Run, managed: ManagedSecret, slot: str, operation: str) -> AsyncIterator[Login]:
    """Staged values first, then versions, each newest first; then what is superseded; then the administrator."""
    staged = [s for s in run.history.staged() if s.slot == slot and s.operation_id != operation]
    for one in [s for s in staged if not s.superseded][:MAX_TRIES]:
        if (value := await run.staged_value(one)) is not None:
            yield Login(LoginSource.STAGED, value, slot)
    async for value in _version_values(run, managed, slot):
        yield Login(LoginSource.VERSION, value, slot)
    for one in [s for s in staged if s.superseded][:MAX_TRIES]:
        if (value := await run.staged_value(one)) is not None:
            yield Login(LoginSource.STAGED, value, slot)
    admin = managed.terms.admin
    if admin is not None and admin.kind == "secret":
        yield Login(LoginSource.ADMIN_SECRET, (await run.read(name=admin.secret)).value, admin.user)
    elif admin is not None:
        yield Login(LoginSource.ADMIN_IDENTITY, None, admin.user)


async def _version_values(run: Run, managed: ManagedSecret, slot: str) -> AsyncIterator[SecretValue]:
    known = run.history.versions()
    latest = managed.secret
    if known.get(latest.version, managed.access.current_slot or slot) == slot:
        yield latest.value
    names = [version for version, held in known.items() if held == slot and version != latest.version]
    tried = 0
    for version in names[:MAX_TRIES]:
        tried += 1
        if (value := await run.older_value(version)) is not None:
            yield value
    if tried == MAX_TRIES:
        return
    # What was written before the ledger knew the secret: the value says its slot, if anything does.
    older = await run.versions(latest.ref.name)
    unknown = [v.version for v in older.items if v.version not in known and v.version != latest.version and v.enabled]
    for version in unknown[: MAX_TRIES - tried]:
        value = await run.older_value(version)
        if value is not None and _slot_of_value(managed, version, value) in {slot, None}:
            yield value


def _slot_of_value(managed: ManagedSecret, version: str, value: SecretValue) -> str | None:
    """The slot that a value itself names; None where it names none or can't be read."""
    older = replace(managed.secret, version=version, value=value, tags={})
    try:
        return managed.rotator.requested_access(managed.spec, older).current_slot
    except RotationError:
        return None
