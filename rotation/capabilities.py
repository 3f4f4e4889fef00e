"""What only some rotators can do. The engine asks for each by its protocol, and never by the kind of rotator."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from rotation.model import Job, SecretValue


@runtime_checkable
class ParksPassword(Protocol):
    """What only some rotators can do: retire a slot by a new password, which no consumer gets.

    It is for those whose next rotation has to log in to the slot. The engine stages and records the password, hands it
    to `retire` as `job.standby`, and offers it as a login later.
    """

    def standby(self, job: Job, slot: str) -> SecretValue | None:
        """The value, with a new password, that `slot` gets when it is retired. None: it needs none. No I/O.

        Raises:
            Unusable: the current value does not allow one.
        """
        ...


@runtime_checkable
class RemovesOrphans(Protocol):
    """What only some rotators can do: find credentials at the provider that no version names.

    They come of a run that was killed between the provider's answer and the staging of it.
    """

    async def orphans(
        self, job: Job, known: frozenset[str], before: datetime, operations: frozenset[str]
    ) -> Sequence[str]:
        """Slots made before `before` by one of `operations`, and not `known`; the engine retires each."""
        ...


@runtime_checkable
class TellsProvidersApart(Protocol):
    """What only some rotators can do, and need: a copy of a provider goes by the same name of its own (`Proof.realm`).

    A server that was restored from another's backup is one, and its roles are other credentials.
    """

    async def same_provider(self, job: Job, target: str) -> bool:
        """Is the provider behind `target` the very one where job's change would be made? Changes nothing.

        target: as another secret's binding recorded it (`RequestedAccess.targets`). `job.current.value` is proven
        there too, so only a target that the policy permits to this secret may be asked about.

        Raises:
            Rejected: the value is refused where its own change would be made; where `target` refuses it, that is no.
            Unreachable, Refused: nobody can tell.
        """
        ...
