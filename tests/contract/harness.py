"""What a rotator's tests must bring along so that the contract suite can run over it."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import pytest

from rotation.model import Admin, Credential, Login, Secret, SecretValue, Spec, Tls
from rotation.ports import Rotator


@dataclass(frozen=True, slots=True)
class Traits:
    """What differs between kinds of credentials, so that the suite expects the right thing of each.

    in_place: the new credential takes the current slot, and the old one dies of `apply`.
    assigns_slots: the provider assigns the slot; a draft has none. chooses_values: it chooses the value too.
    has_provider: False where nothing outside is asked, so that there is no outage and no old credential to end.
    proves_slots: `verify` can tell that a right value stands under a wrong slot.
    changes_itself: False where an administrator alone changes credentials, so that the login says nothing of theirs.
    """

    in_place: bool = False
    assigns_slots: bool = False
    chooses_values: bool = False
    has_provider: bool = True
    proves_slots: bool = True
    changes_itself: bool = True


class Harness(Protocol):
    """One rotator with its provider (the real one, or a stand-in), set up for one test.

    tls, admin, admin_login: what a job carries; admin_login is the last of the logins that are offered.
    earlier: what the owner wrote into the vault before `fresh`'s secret, once that was called.
    """

    rotator: Rotator
    traits: Traits
    tls: Tls
    admin: Admin | None
    admin_login: Login | None
    earlier: Sequence[Credential]

    async def fresh(self) -> tuple[Spec, Secret]:
        """A first credential that works at the provider, and the secret that holds it."""
        ...

    async def works(self, value: SecretValue, slot: str) -> bool:
        """Whether a consumer who reads `value` gets in, and as `slot`; found out without the rotator."""
        ...

    def wrong(self, value: SecretValue) -> SecretValue:
        """A value of the same form that must be rejected."""
        ...

    async def wrong_slot(self, slot: str) -> str:
        """Another slot, under which a value of `slot` must be rejected. It need not exist."""
        ...

    async def state(self) -> str:
        """A text that changes whenever a credential at the provider does."""
        ...

    async def settle(self) -> None:
        """Return when the provider accepts a new credential, and refuses an old one, everywhere."""
        ...

    def outage(self) -> AbstractAsyncContextManager[None]:
        """The provider does not answer inside the block."""
        ...

    def confidential(self, value: SecretValue) -> Iterable[str]:
        """What of `value` must not be seen anywhere besides the whole: its password; tokens in use."""
        ...


# The request gives it the fixtures of the folder (a server for the whole session, a temporary directory).
Opened = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Harness]]


@dataclass(frozen=True, slots=True)
class Variant:
    """A harness's module names each of its own: HARNESSES: Mapping[str, Variant].

    The traits are those of the harness, known before it is opened: a clause that does not apply is not run.
    slow: it runs in the slow half: another variant has the same code, with other data, or its server takes long.
    """

    traits: Traits
    opened: Opened
    slow: bool = False
