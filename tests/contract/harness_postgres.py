"""Roles of a real PostgreSQL server. Whether a password works is asked with a login of the test's own."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from urllib.parse import quote, unquote, urlsplit

import psycopg
import pytest

from rotation.model import Admin, Credential, Login, Secret, SecretValue, Spec, Tls
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from tests.contract.harness import Harness, Opened, Traits, Variant
from tests.contract.secrets_at_hand import make_secret, make_spec
from tests.integration.postgres_fixtures import Owner, Role, by_admin, make_services

IN_PLACE, IN_TURN = Traits(in_place=True), Traits()


class PostgresHarness:
    tls = Tls.DISABLE

    def __init__(self, owner: Owner, traits: Traits, *, with_admin: bool) -> None:
        self.traits = traits
        self.admin = Admin("secret", "pg-admin") if with_admin else None
        self.admin_login: Login | None = by_admin(owner) if with_admin else None
        self._name = "postgres" if traits.in_place else "postgres-alternating"
        self.rotator: Rotator = ROTATORS[self._name].build(make_services())
        self._owner = owner
        self.earlier: Sequence[Credential] = ()
        self._roles: tuple[Role, ...] = ()

    async def fresh(self) -> tuple[Spec, Secret]:
        self._roles = (self._owner.role(), self._owner.role())
        first, second = self._roles
        secret = make_secret(self._owner.value(first))
        if self.traits.in_place:
            return make_spec(self._name), secret
        if self.admin is None:  # without one, the owner writes both roles' values before the first rotation
            self.earlier = (Credential(SecretValue(self._owner.value(second)), second.name),)
        return make_spec(self._name, slots=(first.name, second.name)), secret

    async def works(self, value: SecretValue, slot: str) -> bool:
        try:
            with psycopg.connect(value.reveal()) as connection:
                return connection.info.user == slot
        except psycopg.OperationalError:
            return False

    def wrong(self, value: SecretValue) -> SecretValue:
        password = _password_in(value)
        return SecretValue(value.reveal().replace(quote(password, safe=""), quote(password[::-1], safe="")))

    async def wrong_slot(self, slot: str) -> str:
        return next(role.name for role in self._roles if role.name != slot)

    async def state(self) -> str:
        return repr([self._owner.kept(role) for role in self._roles])

    async def settle(self) -> None:
        pass

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self._owner.server.stop()
        try:
            yield
        finally:
            self._owner.server.start()

    def confidential(self, value: SecretValue) -> Iterable[str]:
        return {_password_in(value), self._owner.server.admin_password.reveal()}


def _password_in(value: SecretValue) -> str:
    return unquote(urlsplit(value.reveal()).password or "")


@contextlib.asynccontextmanager
async def _opened(traits: Traits, with_admin: bool, request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    yield PostgresHarness(request.getfixturevalue("postgres_owner"), traits, with_admin=with_admin)


def _variant(traits: Traits, *, with_admin: bool) -> Variant:
    opened: Opened = partial(_opened, traits, with_admin)
    return Variant(traits, opened)


HARNESSES: Mapping[str, Variant] = {
    "postgres": _variant(IN_PLACE, with_admin=False),
    "postgres-by-administrator": _variant(IN_PLACE, with_admin=True),
    "postgres-alternating": _variant(IN_TURN, with_admin=False),
    "postgres-alternating-by-administrator": _variant(IN_TURN, with_admin=True),
}
