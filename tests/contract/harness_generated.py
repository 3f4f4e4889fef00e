"""Values made here: nobody is asked, so little can be wrong with them."""

import contextlib
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

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

    def __init__(self, form: str | None, first: str = "00112233445566778899aabbccddeeff" * 4) -> None:
        self.rotator: Rotator = ROTATORS["generated"].build(SERVICES)
        self._form = form
        self._value = first

    async def fresh(self) -> tuple[Spec, Secret]:
        return make_spec("generated", form=self._form), make_secret(self._value)

    async def works(self, value: SecretValue, slot: str) -> bool:
        return len(value.reveal()) >= 41 and bool(slot)

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
    yield GeneratedHarness(form, *filter(None, [FIRST.get(form or "")]))


_KEY = ed25519.Ed25519PrivateKey.generate()
FIRST = {
    "api-key-crc32": "acme_live_" + "00112233445566778899" * 2,
    "ssh-ed25519": _KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
    "pem-p256": _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
}
HARNESSES: Mapping[str, Variant] = {
    "generated": Variant(GeneratedHarness.traits, partial(_opened, None)),
    "generated-base64": Variant(GeneratedHarness.traits, partial(_opened, "base64")),
    **{f"generated-{form}": Variant(GeneratedHarness.traits, partial(_opened, form)) for form in FIRST},
}
