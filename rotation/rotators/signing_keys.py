"""Signing keys as JSON Web Keys (RFC 7517): how those of each algorithm are made, written and held to be sound.

PyJWT, which azure-identity brings along, turns numbers into members and back (docs/adr/0056).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from jwt.algorithms import Algorithm, ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from rotation.rotators.key_pairs import ed25519_key, p256_key, rsa_key

Jwk = Mapping[str, str]

RSA_BITS = 2048  # the least that RFC 7518, section 3.3, permits, and what issuers mostly have
PRIVATE = frozenset({"d", "k", "p", "q", "dp", "dq", "qi"})  # members that nobody but the signer may see


@dataclass(frozen=True, slots=True)
class Signing:
    """How one algorithm's keys are written and made. members: what a key has of its own, all of it text.

    curve: the value of the member `crv`; None where keys have none. jose: PyJWT's reader and writer of such keys.
    """

    kty: str
    members: frozenset[str]
    jose: type[Algorithm]
    make: Callable[[Random], Any]
    curve: str | None = None


def _symmetric(length: int) -> Signing:
    return Signing("oct", frozenset({"k"}), HMACAlgorithm, lambda random: random.randbytes(length))


# By the names of RFC 7518, section 3.1, and RFC 8037. A symmetric key is as long as its hash (RFC 7518, section 3.2).
ALGORITHMS: Mapping[str, Signing] = {
    "RS256": Signing(
        "RSA", frozenset({"n", "e", "d", "p", "q", "dp", "dq", "qi"}), RSAAlgorithm, partial(rsa_key, bits=RSA_BITS)
    ),
    "ES256": Signing("EC", frozenset({"crv", "x", "y", "d"}), ECAlgorithm, p256_key, "P-256"),
    "EdDSA": Signing("OKP", frozenset({"crv", "x", "d"}), OKPAlgorithm, ed25519_key, "Ed25519"),
    "HS256": _symmetric(32),
    "HS384": _symmetric(48),
    "HS512": _symmetric(64),
}


def new_key(algorithm: str, random: Random) -> Jwk:
    """A private signing key of one of `ALGORITHMS`, with a `kid` of its own."""
    signing = ALGORITHMS[algorithm]
    numbers = signing.jose.to_jwk(signing.make(random), as_dict=True)
    kept = {name: str(numbers[name]) for name in sorted(signing.members)}
    return {"kty": signing.kty, "kid": random.randbytes(8).hex(), "use": "sig", "alg": algorithm, **kept}


def algorithm_of(key: Mapping[str, object]) -> str | None:
    """What a key says it is for, or the one that its curve allows; None: neither, or nothing that is known here."""
    fitting = [
        name
        for name, signing in ALGORITHMS.items()
        if key.get("kty") == signing.kty and key.get("crv") == signing.curve
    ]
    if "alg" in key:
        return next((name for name in fitting if name == key["alg"]), None)
    return fitting[0] if len(fitting) == 1 and ALGORITHMS[fitting[0]].curve is not None else None


def is_sound(key: Jwk) -> bool:
    """Whether the numbers of a key whose algorithm is known belong together, and nothing of them is cut off."""
    signing = ALGORITHMS[algorithm_of(key) or ""]
    try:
        again = signing.jose.to_jwk(signing.jose.from_jwk(dict(key)), as_dict=True)
    except (PyJWTError, ValueError, TypeError, ArithmeticError):
        return False
    return all(again.get(name) == key[name] for name in signing.members)
