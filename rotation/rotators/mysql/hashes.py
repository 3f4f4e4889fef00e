"""What servers keep of a password, made here, so that a server that takes it never gets the password itself.

Sources: MariaDB, "Authentication Plugin - mysql_native_password" and "- ed25519"; MySQL, "Caching SHA-2 Pluggable
Authentication", and `caching_sha2_password` in sql/auth/sha2_password.cc; Ulrich Drepper, "Unix crypt using SHA-256".
"""

from __future__ import annotations

import base64
import hashlib
import random

NATIVE, SHA2, ED25519 = "mysql_native_password", "caching_sha2_password", "ed25519"

_SALT = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SALT_LENGTH, _ROUNDS = 20, 5000
_BASE64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Which three bytes of the digest make four characters: the last lines of Drepper's algorithm.
_TRIPLES = tuple((a, b, c) for a, b, c in zip(
    (0, 21, 12, 3, 24, 15, 6, 27, 18, 9), (10, 1, 22, 13, 4, 25, 16, 7, 28, 19), (20, 11, 2, 23, 14, 5, 26, 17, 8, 29),
    strict=True,
))  # fmt: skip


def native(password: str) -> str:
    """SHA1(SHA1(password)), as `mysql_native_password` keeps it."""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324  the server's algorithm
    return f"*{hashlib.sha1(once).hexdigest().upper()}"  # noqa: S324  the server's algorithm


def ed25519(password: str) -> str:
    """The public key that MariaDB's `ed25519` keeps: the password takes the place of the seed."""
    from nacl.bindings import crypto_scalarmult_ed25519_base_noclamp  # noqa: PLC0415  imported when used

    scalar = bytearray(hashlib.sha512(password.encode()).digest()[:32])
    scalar[0] &= 248  # as RFC 8032, 5.1.5, step 2
    scalar[31] = scalar[31] & 63 | 64
    return base64.b64encode(crypto_scalarmult_ed25519_base_noclamp(bytes(scalar))).decode().rstrip("=")


def caching_sha2(password: str, randomness: random.Random) -> str:
    """5,000 rounds, salted anew. Letters and digits alone are in the salt, so that it can be written as text too."""
    salt = "".join(randomness.choice(_SALT) for _ in range(_SALT_LENGTH))
    return f"$A${_ROUNDS // 1000:03d}${salt}{_sha256_crypt(password.encode(), salt.encode(), _ROUNDS)}"


def _sha256_crypt(password: bytes, salt: bytes, rounds: int) -> str:
    """Of "Unix crypt using SHA-256" the digest alone; libraries that have it take no salt of 20 bytes."""
    digest = hashlib.sha256(_begun(password, salt)).digest()
    first = digest[0]
    of_password = _repeated(hashlib.sha256(password * len(password)).digest(), len(password))
    of_salt = _repeated(hashlib.sha256(salt * (16 + first)).digest(), len(salt))
    for turn in range(rounds):
        odd = turn % 2 == 1
        mixed = of_password if odd else digest
        if turn % 3:
            mixed += of_salt
        if turn % 7:
            mixed += of_password
        digest = hashlib.sha256(mixed + (digest if odd else of_password)).digest()
    written = "".join(_four(digest[a], digest[b], digest[c]) for a, b, c in _TRIPLES)
    return written + _four(0, digest[31], digest[30])[:3]


def _begun(password: bytes, salt: bytes) -> bytes:
    other = hashlib.sha256(password + salt + password).digest()
    begun = password + salt + _repeated(other, len(password))
    bits = len(password)
    while bits:
        begun += other if bits & 1 else password
        bits >>= 1
    return begun


def _repeated(text: bytes, length: int) -> bytes:
    return (text * (length // len(text) + 1))[:length]


def _four(high: int, middle: int, low: int) -> str:
    number = high << 16 | middle << 8 | low
    return "".join(_BASE64[number >> shift & 63] for shift in (0, 6, 12, 18))
