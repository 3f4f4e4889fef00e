"""Every row of the table of resources with two keys, at the stand-in that knows each by rows of its own."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import partial

import pytest

from rotation.model import Admin, Credential, Login, Secret, SecretValue, Spec, Tls
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from rotation.rotators.azure.rows import ROWS
from tests.contract.harness import Harness, Traits, Variant
from tests.contract.secrets_at_hand import make_secret, make_spec
from tests.local_azure import GROUP, Place, opened

NAMES = ("ktdemo1", "orders", "sender")  # in an id, the outermost first
# What consumers have who take no key alone, as the services' own portals show it.
STRINGS = {
    "service-bus-key": "Endpoint=sb://ktdemo1.servicebus.windows.net/;SharedAccessKeyName=orders;SharedAccessKey={key}",
    "cosmos-key": "AccountEndpoint=https://ktdemo1.documents.azure.com:443/;AccountKey={key};",
    "signalr-key": "Endpoint=https://ktdemo1.service.signalr.net;AccessKey={key};Version=1.0;",
    "redis-key": "ktdemo1.redis.cache.windows.net:6380,password={key},ssl=True,abortConnect=False",
    "app-configuration-key": "Endpoint=https://ktdemo1.azconfig.io;Id={id};Secret={key}",
    "app-configuration-read-only-key": "Endpoint=https://ktdemo1.azconfig.io;Id={id};Secret={key}",
}
# One of each sort of row: the key is chosen by us; it takes its time; a value names its key; neither of these.
UNLIKE = {"service-bus-key", "cosmos-key", "app-configuration-key", "redis-key"}


def resource_id(kind: str) -> str:
    """Of a type such as "microsoft.servicebus/namespaces/queues"."""
    provider, *types = kind.split("/")
    return f"{GROUP}/providers/{provider}" + "".join(f"/{one}/{name}" for one, name in zip(types, NAMES, strict=False))


class ArmKeyHarness:
    tls = Tls.VERIFY_FULL
    admin: Admin | None = None
    admin_login: Login | None = None
    earlier: Sequence[Credential] = ()

    def __init__(self, place: Place, name: str, kind: str, template: str) -> None:
        self.rotator: Rotator = ROTATORS[name].build(place.services)
        self.traits = traits(name)
        self.outage = place.outage
        self.target = resource_id(kind)
        self._row = ROWS[name]
        self._place = place
        self._template = template

    async def fresh(self) -> tuple[Spec, Secret]:
        self._place.azure.arm.keyed.add(self.target)
        first = self._row.slots[0].sent
        key, named = self._keys()[first], self._place.azure.arm.keyed.ids(self.target)[first]
        return make_spec(self._row.name, target=self.target), make_secret(self._template.format(key=key, id=named))

    async def works(self, value: SecretValue, slot: str) -> bool:
        return self._keys()[self._row.slot(slot).sent] == self._key_in(value)

    def wrong(self, value: SecretValue) -> SecretValue:
        key = self._key_in(value)
        return SecretValue(value.reveal().replace(key, key[:-20] + key[-20:].swapcase()))

    async def wrong_slot(self, slot: str) -> str:
        return next(other for other in self._row.both if other != slot)

    async def state(self) -> str:
        return repr(self._keys())

    async def settle(self) -> None:
        pass

    def confidential(self, value: SecretValue) -> Iterable[str]:
        return {self._key_in(value), *self._place.tokens.given}

    def _keys(self) -> dict[str, str]:
        return self._place.azure.arm.keyed.keys(self.target)

    def _key_in(self, value: SecretValue) -> str:
        head, _, tail = self._template.partition("{key}")
        text = value.reveal()
        begin = text.index(head[-8:]) + len(head[-8:])
        return text[begin : len(text) - len(tail)]


def traits(name: str) -> Traits:
    return Traits(chooses_values=ROWS[name].chosen is None)


@contextlib.asynccontextmanager
async def _opened(name: str, kind: str, template: str, request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    data, certificates, patch = (request.getfixturevalue(one) for one in ("tmp_path", "certificates", "monkeypatch"))
    async with opened(data, certificates, patch) as place:
        yield ArmKeyHarness(place, name, kind, template)


def _variants() -> Iterator[tuple[str, Variant]]:
    for name, row in ROWS.items():
        first, *others = row.types
        alone = "{key}" if row.bare else STRINGS[name]
        one, slow = traits(name), name not in UNLIKE
        yield name, Variant(one, partial(_opened, name, first, alone), slow)
        for kind in others:
            yield f"{name} of {kind.split('/')[-2]}", Variant(one, partial(_opened, name, kind, alone), slow=True)
        if row.bare and name in STRINGS:
            yield f"{name} in a string", Variant(one, partial(_opened, name, first, STRINGS[name]), slow)


HARNESSES: Mapping[str, Variant] = dict(_variants())
