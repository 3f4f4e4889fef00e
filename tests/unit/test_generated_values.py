"""What is replaced whole by a key made here, and what is not: a key alone is, and nothing else."""

import base64
import json
import time

import pytest

from rotation.errors import Unusable
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from rotation.rotators.generated import FORMS
from tests.contract.harness_generated import SERVICES
from tests.contract.secrets_at_hand import make_secret, make_spec

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
KEY = base64.urlsafe_b64encode(bytes(range(200, 232))).decode().rstrip("=")
DER = b"\x30\x82\x01\x00" + bytes(range(256))
OTHER_THINGS = {
    "nothing": "",
    "a blank": " ",
    "blanks and lines": " \n\t",
    "JSON": json.dumps({"apiKey": KEY, "endpoint": "https://api.example"}),
    "JSON without blanks": json.dumps({"apiKey": KEY}, separators=(",", ":")),
    "JSON in lines": json.dumps({"apiKey": KEY}, indent=2),
    "a list in JSON": json.dumps([KEY, KEY]),
    "a string in JSON": json.dumps(KEY),
    "deep JSON": "[" * 5_000 + "]" * 5_000,
    "a private key": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
    "a private key in one line": "-----BEGIN RSA PRIVATE KEY-----\\nMIIB\\n-----END RSA PRIVATE KEY-----",
    "a bearer token": f"Bearer {KEY}",
    "another header": f"ApiKey {KEY}",
    "a header with its name": f"Authorization: Bearer {KEY}",
    "a URL": f"https://api.example/?key={KEY}",
    "a database": "postgresql://app:pw@db/orders",
    "JDBC": "jdbc:postgresql://db/orders?user=app&password=pw",
    "a name and its value": f"API_KEY={KEY}",
    "names and values in lines": f"API_KEY={KEY}\nENDPOINT=x\n",
    "an exported name": f"export API_KEY={KEY}",
    "a quoted value": f"API_KEY='{KEY}'",
    "a connection string": f"Endpoint=sb://x;SharedAccessKeyName=a;SharedAccessKey={KEY}",
    "a storage connection string": f"AccountName=stdemo;AccountKey={KEY}=",
    "a libpq line": "host=db user=app password=pw",
    "a shared access signature": "?sv=2024-08-04&sig=c2ln",
    "another signature": "sv=2024-08-04&sig=c2ln",
    "YAML": f"apiKey: {KEY}",
    "XML": f"<key>{KEY}</key>",
    "XML in lines": f"<?xml version='1.0'?>\n<key>{KEY}</key>\n",
    "a signed token": JWT,
    "an SSH key": f"ssh-ed25519 AAAAC3Nza{KEY} app@host",
    "a password's hash": "$2b$12$C6UzMDM.H6dfI/f/IKcEeO5a1bWjk3vQq3cM0s2u4l5o6p7q8r9sa",
    "another hash": "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$aGFzaA",
    "a vault's reference": "@Microsoft.KeyVault(VaultName=kv;SecretName=x)",
    "a certificate in base64": base64.b64encode(DER).decode(),
    "PEM in base64": base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB\n").decode(),
    "JSON in base64": base64.b64encode(json.dumps({"apiKey": KEY}).encode()).decode(),
    "a user and password in base64": base64.b64encode(b"app:hunter2").decode(),
    "settings in base64": base64.b64encode(f"API_KEY={KEY}".encode()).decode(),
}
WITHOUT_A_TAG = {
    "two words": "two words",
    "two lines": f"{KEY}\n{KEY}",
    "a line feed at its end": f"{KEY}\n",
    "a blank before it": f" {KEY}",
    "two keys": f"{KEY},{KEY}",
    "two keys with ;": f"{KEY};{KEY}",
    "a user and a password": f"app:{KEY}",
    "a quoted key": f"'{KEY}'",
    "braces": f"{{{KEY}}}",
    "a placeholder": "${API_KEY}",
    "= in the middle": f"{KEY}={KEY}",
    "= alone": "==",
    "a sign nobody sees": f"{KEY}\N{ZERO WIDTH SPACE}",
    "a byte order mark": f"\N{ZERO WIDTH NO-BREAK SPACE}{KEY}",
    "a hard blank": f"{KEY}\N{NO-BREAK SPACE}x",
    "a NUL": f"{KEY}\0",
    "half a character": "\ud800ab",
    "an escaped line": f"{KEY}\\n{KEY}",
    "a file": "A" * 4_096,
}


@pytest.fixture
def rotator() -> Rotator:
    return ROTATORS["generated"].build(SERVICES)


@pytest.mark.parametrize("form", [None, *FORMS])
@pytest.mark.parametrize("what", OTHER_THINGS)
def test_another_thing_is_refused_whatever_the_tag_says(rotator: Rotator, form: str | None, what: str) -> None:
    with pytest.raises(Unusable, match="format") as told:
        rotator.requested_access(make_spec("generated", form=form), make_secret(OTHER_THINGS[what]))
    assert told.value.field == "value"
    assert "\n" not in told.value.message
    assert not [word for word in (KEY, JWT, "hunter2", "api.example") if word in told.value.message]


@pytest.mark.parametrize("what", WITHOUT_A_TAG)
def test_what_has_not_the_shape_of_a_key_is_refused_with_what_to_do(rotator: Rotator, what: str) -> None:
    with pytest.raises(Unusable, match=r"set the tag format to one of api-key, hex.* in another secret") as told:
        rotator.requested_access(make_spec("generated"), make_secret(WITHOUT_A_TAG[what]))
    assert told.value.field == "value"
    assert KEY[:10] not in told.value.message


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("hex", KEY),
        ("hex", "0f0"),
        ("hex", "0x" + "0f" * 32),
        ("base64", KEY),
        ("base64", "AAAA=AAA"),
        ("signing-key-256", base64.b64encode(bytes(31)).decode()),
        ("signing-key-512", base64.b64encode(bytes(63)).decode()),
        ("api-key", "two words"),
        ("api-key", f"{KEY}\n"),
        ("api-key", "\N{CYRILLIC SMALL LETTER A}" * 40),
    ],
)
def test_a_value_that_is_not_of_the_form_that_the_tag_names_is_refused(rotator: Rotator, form: str, value: str) -> None:
    with pytest.raises(Unusable, match=f"no {form}, which the tag format says") as told:
        rotator.requested_access(make_spec("generated", form=form), make_secret(value))
    assert told.value.field == "value"


@pytest.mark.parametrize(
    ("form", "value", "claimed"),
    [
        (None, KEY, "api-key"),
        (None, "weak", "api-key"),
        (None, "pässwörd", "api-key"),
        (None, "sk_live_51H.x-Y~z+/!@#$%^&*?|()", "api-key"),
        (None, "f47ac10b-58cc-4372-a567-0e02b2c3d479", "api-key"),
        (None, "0f" * 32, "hex"),
        (None, base64.b64encode(bytes(range(32))).decode(), "base64"),
        (None, base64.b64encode(bytes(range(64))).decode(), "signing-key-512"),
        (None, base64.b64encode(b"a weak secret, by hand").decode(), "api-key"),
        ("api-key", "123456:AAF-x", "api-key"),
        ("api-key", "a,b", "api-key"),
        ("api-key", KEY + "==", "api-key"),
        ("hex", "00" * 2_048, "hex"),
        ("base64", base64.b64encode(bytes(2_048)).decode(), "base64"),
        ("base64", base64.b64encode(b"a weak secret, by hand").decode(), "base64"),
        ("signing-key-256", base64.b64encode(bytes(64)).decode(), "signing-key-256"),
        ("signing-key-512", base64.b64encode(bytes(64)).decode(), "signing-key-512"),
    ],
)
def test_a_key_alone_is_claimed_with_its_form(rotator: Rotator, form: str | None, value: str, claimed: str) -> None:
    assert rotator.requested_access(make_spec("generated", form=form), make_secret(value)).form == claimed


@pytest.mark.parametrize("form", FORMS)
def test_whatever_is_made_here_can_be_replaced_again_with_the_tag_and_without(rotator: Rotator, form: str) -> None:
    is_file = FORMS[form].is_file
    for _ in range(2 if is_file else 200):
        made = make_secret(FORMS[form].make(SERVICES.random, "acme_begin"))
        assert rotator.requested_access(make_spec("generated", form=form), made).form == form
        if is_file:
            with pytest.raises(Unusable, match="a PEM block"):
                rotator.requested_access(make_spec("generated"), made)
        else:
            assert rotator.requested_access(make_spec("generated"), made).form


@pytest.mark.parametrize(
    "value", ["a" * 25_000, "=" * 25_000, "a=" * 12_000, ";" * 25_000, "[" * 25_000, "eyJ." * 6_000]
)
def test_a_long_value_is_read_in_no_time(rotator: Rotator, value: str) -> None:
    began = time.process_time()
    for form in (None, *FORMS):
        try:
            rotator.requested_access(make_spec("generated", form=form), make_secret(value))
        except Unusable:
            continue
    assert time.process_time() - began < 1
