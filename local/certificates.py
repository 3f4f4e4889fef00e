"""A TLS certificate for loopback, trusted by whoever is pointed at its authority.

The authority's private key signs one certificate and is thrown away, and a name constraint ties the authority to
loopback names: who trusts it (SSL_CERT_FILE) trusts nothing else by it.

The extensions are those that Python 3.13's default contexts ask for: `VERIFY_X509_STRICT`, see "ssl.create_default_
context" in the Python documentation, turns on OpenSSL's RFC 5280 checks (key identifiers, critical basic constraints,
key usage).
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=825)  # the longest that every TLS client accepts
RENEW_BEFORE = timedelta(days=30)
BACKDATED = timedelta(days=1)  # a container's clock may lag behind ours

NAME = "localhost"
ADDRESSES = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of PEM files. `ca` is what a client trusts: the value for SSL_CERT_FILE and REQUESTS_CA_BUNDLE."""

    ca: Path
    cert: Path
    key: Path


def ensure(directory: Path, also: Sequence[str] = ()) -> Certificates:
    """The certificates of `directory`, made (or made anew) where they are absent, unsound or about to run out.

    also: names that are led to loopback, for which they hold too.

    Safe when several processes call it at once: one makes them, the others wait and read.
    """
    directory.mkdir(parents=True, exist_ok=True)
    found = Certificates(directory / "ca.pem", directory / "cert.pem", directory / "key.pem")
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        names = (NAME, *also)
        if not _sound(found, names):
            _make(found, names)
    return found


def _sound(found: Certificates, names: Sequence[str]) -> bool:
    try:
        ca = x509.load_pem_x509_certificate(found.ca.read_bytes())
        cert = x509.load_pem_x509_certificate(found.cert.read_bytes())
        key = serialization.load_pem_private_key(found.key.read_bytes(), password=None)
        cert.verify_directly_issued_by(ca)
        held = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    soon = datetime.now(UTC) + RENEW_BEFORE
    return (
        min(ca.not_valid_after_utc, cert.not_valid_after_utc) > soon
        and cert.public_key() == key.public_key()
        and set(names) <= set(held.get_values_for_type(x509.DNSName))
        and set(ADDRESSES) <= set(held.get_values_for_type(x509.IPAddress))
    )


def _make(found: Certificates, names: Sequence[str]) -> None:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key, names)
    key = ec.generate_private_key(ec.SECP256R1())
    cert = _certificate(key.public_key(), ca, ca_key, names)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(found.key, private, 0o600)
    _write(found.cert, cert.public_bytes(serialization.Encoding.PEM), 0o644)
    _write(found.ca, ca.public_bytes(serialization.Encoding.PEM), 0o644)


def _authority(key: ec.EllipticCurvePrivateKey, names: Sequence[str]) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keyturn local authority")])
    loopback = x509.NameConstraints(
        permitted_subtrees=[
            *(x509.DNSName(one) for one in names),
            *(x509.IPAddress(ipaddress.ip_network(address)) for address in ADDRESSES),
        ],
        excluded_subtrees=None,
    )
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(loopback, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _certificate(
    public_key: ec.EllipticCurvePublicKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    alternatives = x509.SubjectAlternativeName(
        [*(x509.DNSName(one) for one in names), *(x509.IPAddress(one) for one in ADDRESSES)]
    )
    return (
        _builder(name, ca.subject, public_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now - BACKDATED + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
        file.write(content)
    draft.replace(path)
