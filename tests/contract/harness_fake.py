"""The fake that stands for each kind in the engine's own tests: under the same contract as what it stands for."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial

import pytest

from rotation.errors import Rejected
from rotation.model import Admin, Credential, Login, LoginSource, Secret, SecretValue, Spec, Tls
from rotation.ports import Rotator
from tests.contract.harness import Harness, Traits, Variant
from tests.contract.secrets_at_hand import make_secret, make_spec
from tests.fakes import FakeRotator, FakeServer, parts, value

FIRST = "first-password"
ADMIN = SecretValue("administrators-password")
TRAITS = {
    "in-place": Traits(in_place=True),
    "alternating": Traits(),
    "two-keys": Traits(chooses_values=True),
    "overlapping": Traits(assigns_slots=True, chooses_values=True),
    "made-here": Traits(has_provider=False, proves_slots=False),
}


class FakeHarness:
    tls = Tls.VERIFY_FULL

    def __init__(self, kind: str, *, with_admin: bool) -> None:
        self.traits = TRAITS[kind]
        slots = {"in-place": ("app",), "alternating": ("a", "b"), "two-keys": ("key1", "key2")}.get(kind, ("k0",))
        passwords = dict.fromkeys(slots[1:], "other-password") | {slots[0]: FIRST}
        self._server = FakeServer(passwords, admin=ADMIN.reveal() if with_admin else None)
        self._kind, self._slots = kind, slots
        self.rotator: Rotator = FakeRotator(self._server, kind)
        self.admin = Admin("secret", "pg-admin") if with_admin else None
        self.admin_login = Login(LoginSource.ADMIN_SECRET, ADMIN, "pg-admin") if with_admin else None
        other = [Credential(value(slot, "other-password"), slot) for slot in slots[1:]]
        self.earlier: Sequence[Credential] = other if kind == "alternating" else ()

    async def fresh(self) -> tuple[Spec, Secret]:
        slots = self._slots if self._kind == "alternating" else ()
        return make_spec(self._kind, slots=slots), make_secret(value(self._slots[0], FIRST).reveal())

    async def works(self, value: SecretValue, slot: str) -> bool:
        named, password = parts(value)
        try:
            self._server.login(named, password)
        except Rejected:
            return False
        return named == slot or not self.traits.proves_slots

    def wrong(self, value: SecretValue) -> SecretValue:
        return SecretValue(value.reveal()[:-1] + ("0" if value.reveal()[-1] != "0" else "1"))

    async def wrong_slot(self, slot: str) -> str:
        return f"{slot}0"

    async def state(self) -> str:
        return str(self._server.changes)

    async def settle(self) -> None:
        pass

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self._server.down = True
        try:
            yield
        finally:
            self._server.down = False

    def confidential(self, value: SecretValue) -> Iterable[str]:
        return (parts(value)[1],)


@contextlib.asynccontextmanager
async def _opened(kind: str, with_admin: bool, _request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    yield FakeHarness(kind, with_admin=with_admin)


HARNESSES: Mapping[str, Variant] = {
    **{f"fake {kind}": Variant(traits, partial(_opened, kind, False)) for kind, traits in TRAITS.items()},
    **{
        f"fake {kind} by administrator": Variant(TRAITS[kind], partial(_opened, kind, True))
        for kind in ("in-place", "alternating")
    },
}
