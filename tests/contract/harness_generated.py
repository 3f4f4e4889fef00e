"""Values made here: nobody is asked, so little can be wrong with them."""

import contextlib
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import pytest

from rotation.model import Admin, Credential, Endpoints, Login, Secret, SecretValue, Spec, Tls
from rotation.ports import Rotator, RotatorDependencies, TokenProvider
from rotation.rotators import ROTATORS
from tests.contract.harness import Harness, Traits, Variant
from tests.contract.secrets_at_hand import make_secret, make_spec


class NoTokens(TokenProvider):
    async def token(self, scope: str) -> SecretValue:
        pytest.fail(f"nobody is asked for a token for {scope}")


async def no_sleep(_seconds: float) -> None:
    pytest.fail("nothing is waited for")


SERVICES = RotatorDependencies(NoTokens(), Endpoints(), lambda: datetime.now(UTC), no_sleep, random.SystemRandom())


class GeneratedHarness:
    traits = Traits(has_provider=False, proves_slots=False)
    tls = Tls.VERIFY_FULL
    admin: Admin | None = None
    admin_login: Login | None = None
    earlier: Sequence[Credential] = ()

    def __init__(self, form: str | None) -> None:
        self.rotator: Rotator = ROTATORS["generated"].build(SERVICES)
        self._form = form

    async def fresh(self) -> tuple[Spec, Secret]:
        return make_spec("generated", form=self._form), make_secret("00112233445566778899aabbccddeeff" * 4)

    async def works(self, value: SecretValue, slot: str) -> bool:
        return len(value.reveal()) >= 43 and bool(slot)

    def wrong(self, value: SecretValue) -> SecretValue:
        return SecretValue(" " * len(value.reveal()))

    async def wrong_slot(self, slot: str) -> str:
        return f"{slot}0"

    async def state(self) -> str:
        return "there is none"

    async def settle(self) -> None:
        pass

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        yield

    def confidential(self, value: SecretValue) -> Iterable[str]:
        return ()


@contextlib.asynccontextmanager
async def _opened(form: str | None, _request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    yield GeneratedHarness(form)


HARNESSES: Mapping[str, Variant] = {
    "generated": Variant(GeneratedHarness.traits, partial(_opened, None)),
    "generated-base64": Variant(GeneratedHarness.traits, partial(_opened, "base64")),
}
