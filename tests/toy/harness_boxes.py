"""The keys of toy boxes. Whether a key works is asked of the box itself."""

import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import pytest

from rotation.model import Admin, Credential, Endpoints, Login, Secret, SecretValue, Spec, Tls
from rotation.ports import Rotator, RotatorDependencies
from rotation.rotators import ROTATORS
from tests.contract.harness import Harness, Traits, Variant
from tests.contract.harness_generated import NoTokens, no_sleep
from tests.contract.secrets_at_hand import make_secret, make_spec
from tests.toy.boxes import BOXES, Box

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-toys"
BOX = f"{GROUP}/providers/Contoso.Toys/boxes"


class BoxHarness:
    traits = Traits(chooses_values=True)
    tls = Tls.VERIFY_FULL
    admin: Admin | None = None
    admin_login: Login | None = None
    earlier: Sequence[Credential] = ()

    def __init__(self) -> None:
        services = RotatorDependencies(
            NoTokens(), Endpoints(), lambda: datetime.now(UTC), no_sleep, random.SystemRandom()
        )
        self.rotator: Rotator = ROTATORS["box-key"].build(services)
        self._box = Box()

    async def fresh(self) -> tuple[Spec, Secret]:
        target = f"{BOX}/{secrets.token_hex(4)}"
        self._box = BOXES[target.lower()] = Box()
        return make_spec("box-key", target=target), make_secret(self._box.keys["key1"])

    async def works(self, value: SecretValue, slot: str) -> bool:
        return self._box.keys.get(slot) == value.reveal()

    def wrong(self, value: SecretValue) -> SecretValue:
        return SecretValue(value.reveal()[::-1])

    async def wrong_slot(self, slot: str) -> str:
        return "key2" if slot == "key1" else "key1"

    async def state(self) -> str:
        return repr(sorted(self._box.keys.values()))

    async def settle(self) -> None:
        pass

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self._box.away = True
        try:
            yield
        finally:
            self._box.away = False

    def confidential(self, value: SecretValue) -> Iterable[str]:
        return ()


@contextlib.asynccontextmanager
async def _opened(_request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    yield BoxHarness()


HARNESSES: Mapping[str, Variant] = {"box-key": Variant(BoxHarness.traits, _opened)}
