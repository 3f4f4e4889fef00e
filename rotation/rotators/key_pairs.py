"""Private keys as files: OpenSSH's own format, and PKCS#8 in PEM. The public half is in the file and can be printed.

None has a passphrase: the vault is what guards it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

RSA_BITS = 3072  # what ssh-keygen makes; NIST SP 800-57 part 1, table 2: 128 bits of strength

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_OPENSSH = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----\s[A-Za-z0-9+/=\s]+-----END OPENSSH PRIVATE KEY-----\s*")
_PKCS8 = re.compile(r"-----BEGIN PRIVATE KEY-----\s[A-Za-z0-9+/=\s]+-----END PRIVATE KEY-----\s*")


def ed25519_key(random: Random) -> PrivateKey:
    """A new key of Ed25519 (RFC 8032)."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(random.randbytes(32))


def p256_key(random: Random) -> PrivateKey:
    """A new key on NIST's curve P-256."""
    curve = ec.SECP256R1()
    return ec.derive_private_key(random.randrange(1, curve.group_order), curve)


def rsa_key(_random: Random, bits: int = RSA_BITS) -> rsa.RSAPrivateKey:
    """A new RSA key. Its primes are of OpenSSL's own randomness."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def as_openssh(key: PrivateKey) -> str:
    """With the line end that OpenSSH wants behind the last line."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def as_pkcs8(key: PrivateKey) -> str:
    """In PEM, as RFC 5958 and RFC 7468 have it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def is_openssh(text: str) -> bool:
    """One private key in OpenSSH's format, of whatever kind, without a passphrase; and nothing beside it."""
    return _OPENSSH.fullmatch(text) is not None and _loads(load_ssh_private_key, text)


def is_pkcs8(text: str) -> bool:
    """One private key in PKCS#8, of whatever kind, without a passphrase; and no certificate beside it, nor else."""
    return _PKCS8.fullmatch(text) is not None and _loads(load_pem_private_key, text)


def _loads(load: Callable[[bytes, None], object], text: str) -> bool:
    try:
        load(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True
