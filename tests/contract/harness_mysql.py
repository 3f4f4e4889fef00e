"""Accounts of a real MySQL and a real MariaDB. Whether a password works is asked with a login of the test's own."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from urllib.parse import quote, unquote, urlsplit

import pytest

from rotation.model import Admin, Credential, Login, Secret, SecretValue, Spec, Tls
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from tests.contract.harness import Harness, Opened, Traits, Variant
from tests.contract.secrets_at_hand import make_secret, make_spec
from tests.integration.postgres_fixtures import make_services
from tests.mysql.fixtures import Account, Owner, by_owner, trusted
from tests.mysql.server import OWNER_PASSWORD

IN_PLACE, IN_TURN = Traits(in_place=True), Traits()


class MySQLHarness:
    tls = Tls.VERIFY_FULL

    def __init__(self, owner: Owner, traits: Traits, *, with_admin: bool) -> None:
        self.traits = traits
        self.admin = Admin("secret", "mysql-admin") if with_admin else None
        self.admin_login: Login | None = by_owner(owner) if with_admin else None
        self._name = "mysql" if traits.in_place else "mysql-alternating"
        self.rotator: Rotator = ROTATORS[self._name].build(make_services())
        self._owner = owner
        self.earlier: Sequence[Credential] = ()
        self._accounts: tuple[Account, ...] = ()

    async def fresh(self) -> tuple[Spec, Secret]:
        self._accounts = (self._owner.account(), self._owner.account())
        first, second = self._accounts
        secret = make_secret(self._owner.value(first))
        if self.traits.in_place:
            return make_spec(self._name), secret
        if self.admin is None:  # without one, the owner writes both accounts' values before the first rotation
            self.earlier = (Credential(SecretValue(self._owner.value(second)), second.name),)
        return make_spec(self._name, slots=(first.name, second.name)), secret

    async def works(self, value: SecretValue, slot: str) -> bool:
        login = urlsplit(value.reveal())
        user, password = unquote(login.username or ""), SecretValue(_password_in(value))
        return user == slot and self._owner.works(user, password)

    def wrong(self, value: SecretValue) -> SecretValue:
        password = _password_in(value)
        return SecretValue(value.reveal().replace(quote(password, safe=""), quote(password[::-1], safe="")))

    async def wrong_slot(self, slot: str) -> str:
        return next(account.name for account in self._accounts if account.name != slot)

    async def state(self) -> str:
        return repr([self._owner.kept(account) for account in self._accounts])

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
        return {_password_in(value), OWNER_PASSWORD}


def _password_in(value: SecretValue) -> str:
    return unquote(urlsplit(value.reveal()).password or "")


@contextlib.asynccontextmanager
async def _opened(
    fixture: str, traits: Traits, with_admin: bool, request: pytest.FixtureRequest
) -> AsyncIterator[Harness]:
    owner: Owner = request.getfixturevalue(fixture)
    with trusted(owner):
        yield MySQLHarness(owner, traits, with_admin=with_admin)


def variant(server: str, traits: Traits, *, with_admin: bool = False, slow: bool = True) -> Variant:
    """server: "mysql" or "mariadb"."""
    opened: Opened = partial(_opened, f"{server}_owner", traits, with_admin)
    return Variant(traits, opened, slow)


HARNESSES: Mapping[str, Variant] = {
    "mysql": variant("mysql", IN_PLACE, slow=False),
    "mysql-by-administrator": variant("mysql", IN_PLACE, with_admin=True),
    "mysql-of-mariadb": variant("mariadb", IN_PLACE, slow=False),
    "mysql-of-mariadb-by-administrator": variant("mariadb", IN_PLACE, with_admin=True),
}
