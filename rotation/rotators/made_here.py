"""What all values that are made here have in common: no provider knows them. Consumers of both sides read the vault.

Nothing outside is changed. A new version is the new credential; the old one ends when the engine disables the versions
that hold its slot, after the grace period in which verifiers accept both.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod

from rotation.model import Applied, Credential, Draft, Job, Proof, SecretValue
from rotation.ports import RotatorDependencies

SLOT_LENGTH = 12


class MadeHere(ABC):
    """Each version is a slot of its own, named after the operation that made it."""

    def __init__(self, services: RotatorDependencies) -> None:
        self._services = services

    @abstractmethod
    def new_value(self, job: Job) -> str:
        """The value that takes the place of `job.current.value`. No I/O.

        Raises:
            Unusable: the value or the tags don't allow one.
        """

    @abstractmethod
    async def verify(self, job: Job, credential: Credential) -> None:
        """See `rotation.ports.Rotator`: whether a consumer could use it. Nobody else can say what is right."""

    def draft(self, job: Job) -> Draft:
        slot = hashlib.sha256(f"slot {job.operation_id}".encode()).hexdigest()[:SLOT_LENGTH]
        return Draft(slot, SecretValue(self.new_value(job)))

    async def apply(self, job: Job, draft: Draft) -> Applied:  # noqa: ARG002  the port's signature
        assert draft.value is not None  # noqa: S101  every draft of ours has both
        assert draft.slot is not None  # noqa: S101
        return Applied(Credential(draft.value, draft.slot))

    async def prove(self, job: Job) -> Proof:
        """Nobody but the vault knows the value, so it is whatever the vault has it for."""
        await self.verify(job, job.current)
        return Proof(job.current.slot, None)

    async def realm(self, job: Job, slot: str) -> str | None:  # noqa: ARG002  the port's signature
        """Nobody holds it but the vault."""
        return None

    async def retire(self, job: Job, slot: str) -> None:  # noqa: B027  nothing is to be done
        """No provider holds it; the engine disables the versions."""
