"""Users of real servers of Redis and Valkey. Whether a password works is asked with a login of the test's own."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from urllib.parse import unquote, urlsplit

import pytest

from rotation.model import Admin, Credential, Login, Secret, SecretValue, Spec, Tls
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from rotation.rotators.redis.users import hash_of, slot_of
from tests.contract.harness import Harness, Opened, Traits, Variant
from tests.contract.secrets_at_hand import make_secret, make_spec
from tests.integration.postgres_fixtures import make_services
from tests.integration.redis_fixtures import MAY, Server


class RedisHarness:
    """All `servers` have the user; the value is a URL of the only one, or StackExchange.Redis' list of all."""

    traits = Traits()
    earlier: Sequence[Credential] = ()

    def __init__(self, servers: Sequence[Server], *, with_admin: bool) -> None:
        self.servers = servers
        self.tls = Tls.DISABLE if servers[0].tls is None else Tls.VERIFY_FULL
        self.admin = Admin("secret", "redis-admin", "keyturn") if with_admin else None
        self.admin_login: Login | None = servers[0].by_admin() if with_admin else None
        self.rotator: Rotator = ROTATORS["redis-user"].build(make_services())
        self._name = ""

    async def fresh(self) -> tuple[Spec, Secret]:
        rights = MAY if self.admin is None else ()
        self._name, password = self.servers[0].new_user(*rights)
        for server in self.servers[1:]:
            server.new_user(*rights, name=self._name, password=password)
        if len(self.servers) == 1:
            value = f"redis://{self._name}:{password}@{self.servers[0].address}/0"
        else:
            listed = ",".join(server.address for server in self.servers)
            value = f"{listed},user={self._name},password={password},abortConnect=False"
        return make_spec("redis-user"), make_secret(value)

    async def works(self, value: SecretValue, slot: str) -> bool:
        password = password_in(value)
        is_slots = slot_of(self._name, hash_of(SecretValue(password))) == slot
        return is_slots and all(server.lets_in(self._name, password) for server in self.servers)

    def wrong(self, value: SecretValue) -> SecretValue:
        """In the same place as the right one, so that it is the server that refuses it."""
        password = password_in(value)
        turned = (password[number:] + password[:number] for number in range(1, len(password)))
        other = next(one for one in turned if self._slot(one) == self._slot(password))
        return SecretValue(value.reveal().replace(password, other))

    async def wrong_slot(self, slot: str) -> str:
        return slot[:-1] + {"a": "b", "b": "a"}[slot[-1]]

    async def state(self) -> str:
        return repr([server.kept(self._name) for server in self.servers])

    async def settle(self) -> None:
        pass

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for server in self.servers:
                await stack.enter_async_context(server.outage())
            yield

    def confidential(self, value: SecretValue) -> Iterable[str]:
        return {password_in(value), *(server.admin_password for server in self.servers)}

    def _slot(self, password: str) -> str:
        return slot_of(self._name, hash_of(SecretValue(password)))


def password_in(value: SecretValue) -> str:
    text = value.reveal()
    return (
        text.partition("password=")[2].partition(",")[0]
        if "password=" in text
        else unquote(urlsplit(text).password or "")
    )


@contextlib.asynccontextmanager
async def _opened(servers: Sequence[str], with_admin: bool, request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    found = [request.getfixturevalue(name) for name in servers]
    for server in found:
        server.admin_password = found[0].admin_password  # one secret has the administrator of all
        server.ask("ACL", "SETUSER", "keyturn", "resetpass", f">{server.admin_password}")
    if found[0].tls is not None:
        request.getfixturevalue("monkeypatch").setenv("SSL_CERT_FILE", str(found[0].tls.ca))
    yield RedisHarness(found, with_admin=with_admin)


def _variant(*servers: str, with_admin: bool) -> Variant:
    opened: Opened = partial(_opened, servers, with_admin)
    return Variant(RedisHarness.traits, opened)


HARNESSES: Mapping[str, Variant] = {
    "redis-user": _variant("redis_server", with_admin=True),
    "redis-user-of-valkey": _variant("valkey_server", with_admin=True),
    "redis-user-over-tls-by-itself": _variant("redis_over_tls", with_admin=False),
    "redis-user-of-two-servers": _variant("redis_server", "valkey_server", with_admin=True),
}
