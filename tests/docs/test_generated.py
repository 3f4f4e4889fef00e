"""docs/using.md lists what `generated` makes, as it makes it."""

import base64
import re
from random import Random

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from rotation.rotators.generated import FORMS
from tests.docs.said import ROOT

SECTION = (ROOT / "docs" / "using.md").read_text().partition("## What `generated` makes")[2].partition("\n## ")[0]
ROWS = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", SECTION, re.MULTILINE))


def test_each_format_has_its_row_and_no_other() -> None:
    assert list(ROWS) == list(FORMS)


def test_a_new_value_is_as_long_and_of_the_characters_that_its_row_says() -> None:
    for name, row in ROWS.items():
        if FORMS[name].is_file:
            continue  # below
        value = FORMS[name].make(Random(1), "acme_begin")
        if name == "api-key-crc32":
            assert [int(one) for one in re.findall(r"\d+", row)] == [30, 32, 6, 62]
            assert (len(value), value[:5]) == (5 + 30 + 6, "acme_")
            continue
        (count,) = re.findall(r"(\d+) random bytes", row)
        if "hexadecimal" in row:
            assert len(bytes.fromhex(value)) == int(count)
        elif "for URLs" in row:
            assert len(base64.urlsafe_b64decode(value + "=")) == int(count)
        else:
            assert len(base64.b64decode(value, validate=True)) == int(count)
        for said in re.findall(r"^(\d+) (?:characters|hexadecimal)", row):
            assert len(value) == int(said)


def test_a_key_file_is_of_the_form_and_as_long_as_its_row_says() -> None:
    files = [name for name, form in FORMS.items() if form.is_file]
    assert len(files) == 5
    for name in files:
        text, row = FORMS[name].make(Random(1), ""), ROWS[name]
        assert ("OpenSSH" in row) is ("OPENSSH" in text)
        assert ("PKCS#8" in row) is text.startswith("-----BEGIN PRIVATE KEY-----")
        key = (
            load_ssh_private_key(text.encode(), None) if "OpenSSH" in row else load_pem_private_key(text.encode(), None)
        )
        if isinstance(key, RSAPrivateKey):
            assert f"RSA, {key.key_size} bits" in row
        else:
            assert ("P-256" in row) is isinstance(key, EllipticCurvePrivateKey)
            assert ("Ed25519" in row) is isinstance(key, Ed25519PrivateKey)
