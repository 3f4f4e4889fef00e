"""Users of a real RabbitMQ. Whether a password works is asked over AMQP with a login of the test's own."""

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
from tests.integration.rabbitmq_fixtures import Broker

IN_PLACE, IN_TURN = Traits(in_place=True, changes_itself=False), Traits(changes_itself=False)


class RabbitHarness:
    earlier: Sequence[Credential] = ()

    def __init__(self, broker: Broker, traits: Traits) -> None:
        self.traits = traits
        self.tls = Tls.DISABLE if broker.tls is None else Tls.VERIFY_FULL
        self.admin: Admin | None = Admin("secret", "rabbit-admin", broker.admin)
        self.admin_login: Login | None = broker.by_admin()
        self._name = "rabbitmq" if traits.in_place else "rabbitmq-alternating"
        self.rotator: Rotator = ROTATORS[self._name].build(make_services())
        self._broker = broker
        self._users: tuple[str, ...] = ()
        self.outage = broker.outage

    async def fresh(self) -> tuple[Spec, Secret]:
        (first, password), (second, _) = self._broker.new_user(), self._broker.new_user()
        self._users = (first, second)
        scheme = "amqp" if self._broker.tls is None else "amqps"
        secret = make_secret(f"{scheme}://{first}:{password}@{self._broker.address}/%2F")
        slots = () if self.traits.in_place else self._users
        return make_spec(self._name, target=self._broker.management, slots=slots), secret

    async def works(self, value: SecretValue, slot: str) -> bool:
        parts = urlsplit(value.reveal())
        return parts.username == slot and await self._broker.lets_in(slot, unquote(parts.password or ""))

    def wrong(self, value: SecretValue) -> SecretValue:
        password = _password_in(value)
        return SecretValue(value.reveal().replace(quote(password, safe=""), quote(password[::-1], safe="")))

    async def wrong_slot(self, slot: str) -> str:
        return next(one for one in self._users if one != slot)

    async def state(self) -> str:
        return repr([self._broker.user(name) for name in self._users])

    async def settle(self) -> None:
        pass

    def confidential(self, value: SecretValue) -> Iterable[str]:
        return {_password_in(value), self._broker.admin_password}


def _password_in(value: SecretValue) -> str:
    return unquote(urlsplit(value.reveal()).password or "")


@contextlib.asynccontextmanager
async def _opened(traits: Traits, request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    broker: Broker = request.getfixturevalue("rabbitmq")
    if broker.tls is not None:
        request.getfixturevalue("monkeypatch").setenv("SSL_CERT_FILE", str(broker.tls.ca))
    yield RabbitHarness(broker, traits)


def _variant(traits: Traits) -> Variant:
    opened: Opened = partial(_opened, traits)
    return Variant(traits, opened, slow=True)


HARNESSES: Mapping[str, Variant] = {
    "rabbitmq": _variant(IN_PLACE),
    "rabbitmq-alternating": _variant(IN_TURN),
}
