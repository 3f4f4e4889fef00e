"""Sets of signing keys made here: a consumer signs with the first key, and another verifies with the public halves."""

import json
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import jwt
import pytest

from rotation.model import Secret, SecretValue, Spec
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from tests.contract.harness import Harness, Variant
from tests.contract.harness_generated import SERVICES, GeneratedHarness
from tests.contract.secrets_at_hand import make_secret, make_spec

# RFC 8037, appendix A.1, and RFC 7515, appendix A.3.1: keys that others made.
ED25519 = {
    "kty": "OKP", "crv": "Ed25519", "kid": "rfc-8037", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}  # fmt: skip
P256 = {
    "kty": "EC", "crv": "P-256", "kid": "rfc-7515", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}  # fmt: skip
CLAIMS = {"sub": "orders"}


def public_set(value: str) -> jwt.PyJWKSet:
    """What a verifier has of a value: public halves, or the symmetric keys themselves."""
    shown = ("kty", "kid", "alg", "use", "n", "e", "crv", "x", "y", "k")
    return jwt.PyJWKSet([{name: key[name] for name in shown if name in key} for key in json.loads(value)["keys"]])


def signed(key: Mapping[str, Any]) -> str:
    """A token that one key of a value signed."""
    whole = jwt.PyJWK(dict(key))
    return jwt.encode(CLAIMS, whole.key, whole.algorithm_name, headers={"kid": key["kid"]})


def accepts(value: str, token: str) -> bool:
    """Whether whoever verifies by a value accepts a token. A key is found by its kid, as verifiers do."""
    try:
        key = public_set(value)[jwt.get_unverified_header(token)["kid"]]
        return bool(jwt.decode(token, key, [key.algorithm_name]) == CLAIMS)
    except (KeyError, jwt.PyJWTError):
        return False


class JwksHarness(GeneratedHarness):
    def __init__(self, first: Mapping[str, str], form: str | None) -> None:
        super().__init__(form)
        self.rotator: Rotator = ROTATORS["jwks"].build(SERVICES)
        self._first = first

    async def fresh(self) -> tuple[Spec, Secret]:
        # Drawn anew: two secrets have no key in common.
        first = dict(self._first) | ({"k": random.randbytes(32).hex()} if "k" in self._first else {})
        return make_spec("jwks", form=self._form), make_secret(json.dumps({"keys": [first]}))

    async def works(self, value: SecretValue, slot: str) -> bool:
        text = value.reveal()
        return accepts(text, signed(json.loads(text)["keys"][0])) and bool(slot)

    def wrong(self, value: SecretValue) -> SecretValue:
        whole = json.loads(value.reveal())
        key = whole["keys"][0]
        name = "d" if "d" in key else "k"
        key[name] = "A" if name == "k" else key[name][::-1]
        return SecretValue(json.dumps(whole))

    def confidential(self, value: SecretValue) -> Iterable[str]:
        return [key[name] for key in json.loads(value.reveal())["keys"] for name in ("d", "k") if name in key]


@asynccontextmanager
async def _opened(
    first: Mapping[str, str], form: str | None, _request: pytest.FixtureRequest
) -> AsyncIterator[Harness]:
    yield JwksHarness(first, form)


HARNESSES: Mapping[str, Variant] = {
    "jwks": Variant(JwksHarness.traits, partial(_opened, ED25519, None)),
    "jwks-ES256": Variant(JwksHarness.traits, partial(_opened, P256, None)),
    "jwks-HS256": Variant(
        JwksHarness.traits, partial(_opened, {"kty": "oct", "kid": "by hand", "alg": "HS256", "k": ""}, None)
    ),
    "jwks-to-another-algorithm": Variant(JwksHarness.traits, partial(_opened, P256, "EdDSA")),
}
