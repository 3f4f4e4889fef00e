"""Key files and keys with a checksum, as `generated` makes them."""

import base64
import random
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from rotation.errors import Rejected, Unusable
from rotation.model import Credential, Job, SecretValue
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from rotation.rotators.checksummed_key import checksum, is_prefixed_key, like
from tests.contract.harness_generated import SERVICES
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec

SSH, PEM = (("ssh-ed25519", "ssh-rsa"), ("pem-ed25519", "pem-p256", "pem-rsa"))
KINDS = {"ed25519": ed25519.Ed25519PrivateKey, "p256": ec.EllipticCurvePrivateKey, "rsa": rsa.RSAPrivateKey}

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
KEY = ed25519.Ed25519PrivateKey.generate()
P384 = ec.generate_private_key(ec.SECP384R1())


def openssh(key: Key) -> str:
    """Written by its owner."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def pkcs8(key: Key) -> str:
    """Likewise."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def rotator() -> Rotator:
    return ROTATORS["generated"].build(SERVICES)


def job(rotator: Rotator, form: str | None, value: str) -> Job:
    return make_job(rotator, make_spec("generated", form=form), make_secret(value), "old")


def drafted(rotator: Rotator, form: str, value: str) -> str:
    draft = rotator.draft(job(rotator, form, value))
    assert draft.value is not None
    return draft.value.reveal()


# key files

PROTECTED = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDAxK64AC
neqBoRqAVhbGdQAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIHAno4IlX1TSpcE5
2XTgMRegi+E/0I9CGtIYS/OF/n+OAAAAkJlX+KXmLc5nBcAO6Pzz05Rr5H/eMPviG3t6PI
/JRndqL3B35EtTvhuluZhb+AF1EaZJIEGpj6SATH0TOqSDLF35ERqYTr+9nsuyvFZt1g+i
f7hoisH29XuCnqzqSmz4iszqpMm4Jm+4nULQRIV4Xn1W9t3ReidQ2PVbJFxsI6aJ8V2Erl
oWssFHeKRzKJddNw==
-----END OPENSSH PRIVATE KEY-----
"""  # made by ssh-keygen, with a passphrase that is kept nowhere


@pytest.mark.parametrize("form", SSH + PEM)
async def test_a_new_key_file_is_of_its_kind_and_passes_its_own_verification(rotator: Rotator, form: str) -> None:
    before = openssh(P384) if form in SSH else pkcs8(P384)
    text = drafted(rotator, form, before)
    read = load_ssh_private_key if form in SSH else load_pem_private_key
    key = read(text.encode(), None)
    assert isinstance(key, KINDS[form.partition("-")[2]])
    if isinstance(key, rsa.RSAPrivateKey):
        assert key.key_size == 3072
    if isinstance(key, ec.EllipticCurvePrivateKey):
        assert key.curve.name == "secp256r1"
    assert text.splitlines()[0] == f"-----BEGIN {'OPENSSH ' if form in SSH else ''}PRIVATE KEY-----"
    assert text.endswith("-----\n"), "OpenSSH reads no file without its last line end"
    await rotator.verify(job(rotator, form, before), Credential(SecretValue(text), "any"))
    assert drafted(rotator, form, text) != text


@pytest.mark.parametrize("form", SSH)
def test_the_public_half_stands_in_the_file_as_the_page_says(rotator: Rotator, form: str, tmp_path: Path) -> None:
    text = drafted(rotator, form, openssh(KEY))
    key = load_ssh_private_key(text.encode(), None)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    raw = base64.b64decode("".join(text.splitlines()[1:-1]))
    assert raw.startswith(b"openssh-key-v1\0")
    assert base64.b64decode(public.split()[1]) in raw
    tool = shutil.which("ssh-keygen")
    if tool is not None:  # OpenSSH itself, on machines that have it
        file = tmp_path / "key"
        file.touch(mode=0o600)
        file.write_text(text)
        printed = subprocess.run([tool, "-y", "-f", str(file)], capture_output=True, text=True, check=True)
        assert printed.stdout.split()[:2] == public.split()


OTHER_THINGS = {
    "nothing": "",
    "a key alone": "f00dface" * 8,
    "the public half": KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    "the public half in PEM": KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    "OpenSSH with a passphrase": PROTECTED,
    "PKCS#8 with a passphrase": KEY.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"correct horse")
    ).decode(),
    "the older form of OpenSSL": P384.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ).decode(),
    "two keys": pkcs8(KEY) * 2,
    "two keys of OpenSSH": openssh(KEY) * 2,
    "a certificate beside it": pkcs8(KEY) + "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "a certificate before it": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" + pkcs8(KEY),
    "words before it": f"Bag Attributes\n{pkcs8(KEY)}",
    "an OpenSSH key cut off": openssh(KEY)[:120] + "\n-----END OPENSSH PRIVATE KEY-----\n",
    "a PKCS#8 key cut off": pkcs8(KEY)[:60] + "\n-----END PRIVATE KEY-----\n",
    "one line with escapes": pkcs8(KEY).replace("\n", "\\n"),
}


@pytest.mark.parametrize("form", SSH + PEM)
@pytest.mark.parametrize("what", OTHER_THINGS)
async def test_another_thing_is_not_replaced_by_a_key_file(rotator: Rotator, form: str, what: str) -> None:
    with pytest.raises(Unusable) as raised:
        job(rotator, form, OTHER_THINGS[what])
    assert raised.value.field == "value"
    sound = job(rotator, form, openssh(KEY) if form in SSH else pkcs8(KEY))
    with pytest.raises(Rejected):
        await rotator.verify(sound, Credential(SecretValue(OTHER_THINGS[what]), "any"))


def test_each_of_the_two_forms_is_not_the_other(rotator: Rotator) -> None:
    for form, value in (("ssh-ed25519", pkcs8(KEY)), ("pem-ed25519", openssh(KEY))):
        with pytest.raises(Unusable):
            job(rotator, form, value)


@pytest.mark.parametrize("form", [None, "api-key", "hex", "base64", "api-key-crc32"])
@pytest.mark.parametrize("value", [openssh(KEY), pkcs8(KEY)])
def test_a_key_file_is_replaced_only_where_the_tag_says_so(rotator: Rotator, form: str | None, value: str) -> None:
    with pytest.raises(Unusable):
        job(rotator, form, value)


def test_line_ends_of_windows_and_none_at_the_end_are_understood(rotator: Rotator) -> None:
    for text in (pkcs8(KEY).replace("\n", "\r\n"), pkcs8(KEY).rstrip("\n")):
        assert drafted(rotator, "pem-ed25519", text).startswith("-----BEGIN PRIVATE KEY-----\n")


# keys with a prefix and a checksum


def test_the_checksum_is_that_of_githubs_own_tokens() -> None:
    """A token that ended long ago: gist.github.com/coolaj86/eb8cddfd3e4251258712dfed03e1f86d shows it."""
    drawn = "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"
    assert checksum(drawn) == "0mLq17"


@given(st.text("0123456789abcXYZ", min_size=30, max_size=30))
def test_a_checksum_is_the_crc_in_six_digits(drawn: str) -> None:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    made = checksum(drawn)
    assert len(made) == 6
    number = 0
    for one in made:
        number = 62 * number + digits.index(one)
    assert number == zlib.crc32(drawn.encode())


@given(st.from_regex(r"\A[a-zA-Z][a-z0-9]{0,9}(_[a-z0-9]{1,9}){0,2}_\Z"), st.integers())
def test_a_new_key_keeps_the_prefix_of_the_present_one(prefix: str, seed: int) -> None:
    made = like(f"{prefix}x", random.Random(seed))
    assert re.fullmatch(re.escape(prefix) + "[0-9A-Za-z]{36}", made)
    assert checksum(made[-36:-6]) == made[-6:]
    assert is_prefixed_key(made)
    assert like(made, random.Random(seed + 1)).startswith(prefix)


async def test_a_hand_written_key_needs_a_prefix_and_no_checksum(rotator: Rotator) -> None:
    first = job(rotator, "api-key-crc32", "acme_live_begin")
    made = rotator.draft(first).value
    assert made is not None
    assert made.reveal().startswith("acme_live_")
    await rotator.verify(first, Credential(made, "any"))
    await rotator.verify(first, Credential(SecretValue("acme_live_begin"), "any"))


@pytest.mark.parametrize(
    "value",
    ["acme", "_abc", "acme_", "acme__abc", "9acme_abc", "acme_a-b", "acme_a\n", " acme_a", "äcme_a", "a_" * 200 + "a"],
)
async def test_what_has_no_prefix_is_not_replaced(rotator: Rotator, value: str) -> None:
    with pytest.raises(Unusable):
        job(rotator, "api-key-crc32", value)
    sound = job(rotator, "api-key-crc32", "acme_begin")
    with pytest.raises(Rejected):
        await rotator.verify(sound, Credential(SecretValue(value), "any"))
