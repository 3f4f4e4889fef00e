"""The engine's part in a rotation, as far as a rotator sees it: stages drafts, offers logins, publishes."""

from collections.abc import AsyncIterator
from dataclasses import replace

from rotation.capabilities import ParksPassword
from rotation.model import Credential, Draft, Job, Login, LoginSource, RequestedAccess, Secret, SecretValue, Spec
from rotation.ports import Rotator
from tests.contract.harness import Harness


class PlayedEngine:
    """One secret's life. `current` is what stands in the vault; `secret` its latest version.

    staged: what the companion secret holds, oldest first. versions: published credentials, oldest first.
    seen: every value that passed by, for the search for leaks.
    """

    def __init__(self, harness: Harness, spec: Spec, secret: Secret, slot: str) -> None:
        self.harness = harness
        self.spec = spec
        self.secret = secret
        self.staged: list[Credential] = []
        self.current = Credential(secret.value, slot)
        self.versions = [*harness.earlier, self.current]
        self.seen: set[SecretValue] = {version.value for version in self.versions}
        self.login: Login | None = None  # by which the last change was made
        self._operations = 1

    @classmethod
    async def onboard(cls, harness: Harness) -> "PlayedEngine":
        """With the harness's first credential as the latest version; whose it is, the provider says."""
        spec, secret = await harness.fresh()
        unproven = cls(harness, spec, secret, "")
        named = Credential(secret.value, unproven.requested_access().current_slot or "")
        proof = await harness.rotator.prove(replace(unproven.job(), current=named))
        return cls(harness, spec, secret, proof.slot)

    @property
    def rotator(self) -> Rotator:
        return self.harness.rotator

    def requested_access(self) -> RequestedAccess:
        return self.rotator.requested_access(self.spec, self.secret)

    def job(self, *, resumed: bool = False) -> Job:
        """Of the operation that replaces the latest version; the same `operation_id` until `publish`."""
        return Job(
            operation_id=f"{self._operations:024x}",
            ref=self.secret.ref,
            spec=self.spec,
            access=self.requested_access(),
            current=self.current,
            tls=self.harness.tls,
            admin=self.harness.admin,
            resumed=resumed,
            logins=self._logins,
        )

    def draft(self, job: Job) -> Draft:
        """A draft, staged where it has a value."""
        draft = self.rotator.draft(job)
        if draft.value is not None:
            self.stage(Credential(draft.value, draft.slot or ""))
        return draft

    def stage(self, credential: Credential) -> None:
        self.seen.add(credential.value)
        self.staged.append(credential)

    async def apply(self, job: Job, draft: Draft) -> Credential:
        applied = await self.rotator.apply(job, draft)
        credential, self.login = applied.credential, applied.login
        self.seen.add(credential.value)
        await self.harness.settle()
        return credential

    def publish(self, credential: Credential) -> None:
        """A new version; the next `job` is another operation."""
        self._operations += 1
        tags = {**self.secret.tags, "slot": credential.slot}
        self.secret = replace(self.secret, version=f"{self._operations:032x}", value=credential.value, tags=tags)
        self.current = credential
        self.versions.append(credential)

    async def rotate(self) -> tuple[Credential, Credential]:
        """A whole rotation. -> (the old credential, the new one)."""
        old, job = self.current, self.job()
        new = await self.apply(job, self.draft(job))
        await self.rotator.verify(job, new)
        self.publish(new)
        return old, new

    async def retire(self, slot: str) -> None:
        """End an old slot, its standby password staged first where the rotator wants one."""
        job = self.job()
        value = self.rotator.standby(job, slot) if isinstance(self.rotator, ParksPassword) else None
        if value is not None:
            standby = Credential(value, slot)
            self.stage(standby)
            job = replace(job, standby=standby)
        await self.rotator.retire(job, slot)
        await self.harness.settle()

    async def _logins(self, slot: str) -> AsyncIterator[Login]:
        for staged in [s for s in reversed(self.staged) if s.slot == slot]:
            yield Login(LoginSource.STAGED, staged.value, slot)
        for version in [v for v in reversed(self.versions) if v.slot == slot]:
            yield Login(LoginSource.VERSION, version.value, slot)
        if self.harness.admin_login is not None:
            yield self.harness.admin_login
