"""Values made here."""

import base64
import re
from dataclasses import replace

import pytest

from rotation.errors import Rejected, Unusable
from rotation.model import Credential, Job, Proof, SecretValue
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from tests.contract.harness_generated import SERVICES
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec

LONG = base64.b64encode(bytes(range(64))).decode()
OF_FORM = {None: "whatever", "api-key": "whatever", "hex": "0f", "base64": "AAAA"}


@pytest.fixture
def rotator() -> Rotator:
    return ROTATORS["generated"].build(SERVICES)


def job(rotator: Rotator, form: str | None, value: str | None = None) -> Job:
    """To replace a value, or one of the form."""
    present = OF_FORM.get(form, LONG) if value is None else value
    return make_job(rotator, make_spec("generated", form=form), make_secret(present), "old")


def drafted(rotator: Rotator, form: str | None, value: str | None = None) -> str:
    draft = rotator.draft(job(rotator, form, value))
    assert draft.value is not None
    return draft.value.reveal()


@pytest.mark.parametrize(
    ("form", "looks_like"),
    [
        (None, r"[A-Za-z0-9_-]{43}"),
        ("api-key", r"[A-Za-z0-9_-]{43}"),
        ("hex", r"[0-9a-f]{64}"),
        ("base64", r"[A-Za-z0-9+/]{43}="),
        ("signing-key-256", r"[A-Za-z0-9+/]{43}="),
        ("signing-key-512", r"[A-Za-z0-9+/]{86}=="),
    ],
)
async def test_each_format_has_its_form_and_passes_its_own_verification(
    rotator: Rotator, form: str | None, looks_like: str
) -> None:
    text = drafted(rotator, form)
    assert re.fullmatch(looks_like, text)
    await rotator.verify(job(rotator, form), Credential(SecretValue(text), "any"))


@pytest.mark.parametrize(
    ("value", "looks_like"),
    [
        ("0f" * 32, r"[0-9a-f]{64}"),
        ("0F" * 32, r"[0-9a-f]{64}"),
        (base64.b64encode(bytes(32)).decode(), r"[A-Za-z0-9+/]{43}="),
        (base64.b64encode(bytes(64)).decode(), r"[A-Za-z0-9+/]{86}=="),
        (base64.b64encode(bytes(16)).decode(), r"[A-Za-z0-9_-]{43}"),
        ("0f" * 16, r"[A-Za-z0-9_-]{43}"),
        ("pässwörd", r"[A-Za-z0-9_-]{43}"),
        ("????", r"[A-Za-z0-9_-]{43}"),
    ],
)
def test_without_a_format_the_form_of_the_present_value_is_kept_where_it_is_known(
    rotator: Rotator, value: str, looks_like: str
) -> None:
    assert re.fullmatch(looks_like, drafted(rotator, None, value))


def test_an_unknown_format_is_told_with_the_known_ones(rotator: Rotator) -> None:
    with pytest.raises(Unusable, match="signing-key-512") as raised:
        job(rotator, "uuid")
    assert raised.value.field == "format"


def test_the_slot_is_another_one_for_each_operation_and_the_same_on_a_retry(rotator: Rotator) -> None:
    first = job(rotator, None)
    second = replace(first, operation_id="76543210fedcba9876543210")
    slots = [rotator.draft(one).slot for one in (first, first, second)]
    assert slots[0] == slots[1] != slots[2]


@pytest.mark.parametrize("tagged", [None, "mine"])
async def test_a_value_from_before_is_known_by_its_version_whatever_the_tag_slot_says(
    rotator: Rotator, tagged: str | None
) -> None:
    spec, secret = make_spec("generated", current_slot=tagged), make_secret("whatever")
    access = rotator.requested_access(spec, secret)
    assert (access.targets, access.slots, access.current_slot) == ((), (), secret.version)
    proven = await rotator.prove(make_job(rotator, spec, secret, access.current_slot or ""))
    assert proven == Proof(secret.version, None)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (None, "weak"),
        ("api-key", "weak"),
        ("hex", "00ff"),
        ("base64", "AAAA"),
        ("signing-key-256", base64.b64encode(bytes(64)).decode()),
    ],
)
async def test_a_hand_written_value_is_accepted_where_its_consumers_can_read_it(
    rotator: Rotator, form: str | None, value: str
) -> None:
    await rotator.verify(job(rotator, form), Credential(SecretValue(value), "any"))


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (None, ""),
        (None, " \n"),
        ("api-key", "two words"),
        ("api-key", "line\nfeed"),
        ("hex", "fff"),
        ("hex", "xy"),
        ("base64", "A"),
        ("base64", "not base64!"),
        ("signing-key-256", base64.b64encode(bytes(31)).decode()),
        ("signing-key-512", base64.b64encode(bytes(63)).decode()),
    ],
)
async def test_a_value_that_its_consumers_can_not_read_is_rejected(
    rotator: Rotator, form: str | None, value: str
) -> None:
    with pytest.raises(Rejected):
        await rotator.verify(job(rotator, form), Credential(SecretValue(value), "any"))
