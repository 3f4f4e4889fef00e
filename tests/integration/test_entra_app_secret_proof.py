"""Which of an application's secrets a value is, by what Graph shows of them and Entra accepts."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.azure.faults import Fault, Kind
from local.certificates import Certificates
from rotation.errors import MovedElsewhere, NotYet, Refused, Rejected, RotationError, Unreachable, Unusable
from rotation.model import Draft, Job, Proof
from rotation.rotators.azure.entra_app_secret import EntraAppSecret
from tests.contract.harness_entra import as_json
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec
from tests.local_azure import APPLICATION, CLIENT_ID, Place, opened

REALM = f"entra:{APPLICATION}"
UNKNOWN = "00000000-0000-0000-0000-0000000000ff"


@pytest.fixture
async def place(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with opened(tmp_path, certificates, monkeypatch) as running:
        yield running


@pytest.fixture
def rotator(place: Place) -> EntraAppSecret:
    return EntraAppSecret(place.services)


def job_for(rotator: EntraAppSecret, value: str, tagged: str | None = None) -> Job:
    """With no slot known, as the engine asks for a proof."""
    spec = make_spec("entra-app-secret", target=APPLICATION, current_slot=tagged)
    return make_job(rotator, spec, make_secret(value), "")


def show(place: Place, key_id: str, **changed: Any) -> None:
    """Change what Graph shows of one secret."""
    store = place.azure.plane.store
    application = store.get("application", APPLICATION) or {}
    for one in application["passwords"]:
        if one["keyId"] == key_id:
            one.update(changed)
    store.put("application", APPLICATION, application)


async def test_the_key_id_is_that_of_the_secret_that_begins_like_the_value_and_no_tags(
    place: Place, rotator: EntraAppSecret
) -> None:
    first, second = (place.azure.graph.add_secret(APPLICATION) for _ in range(2))
    show(place, first["keyId"], hint=first["secretText"][:3].swapcase())
    for tagged in (None, first["keyId"], second["keyId"], UNKNOWN):
        for value in (second["secretText"], as_json(second["secretText"])):
            assert await rotator.prove(job_for(rotator, value, tagged)) == Proof(second["keyId"], REALM)


@pytest.mark.parametrize("hints", [("", ""), (None, None), ("own", "own"), ("???", "???"), ("own", "")])
async def test_what_works_and_can_not_be_told_apart_is_said_with_what_to_do(
    place: Place, rotator: EntraAppSecret, hints: tuple[str | None, str | None]
) -> None:
    ours, other = (place.azure.graph.add_secret(APPLICATION) for _ in range(2))
    for added, hint in zip((ours, other), hints, strict=True):
        show(place, added["keyId"], hint=ours["secretText"][:3] if hint == "own" else hint)
    job = job_for(rotator, ours["secretText"])
    if hints == ("own", ""):  # one without a hint is not what the value begins like
        assert (await rotator.prove(job)).slot == ours["keyId"]
    else:
        with pytest.raises(Unusable, match="by hand") as raised:
            await rotator.prove(job)
        assert raised.value.field == "value"


async def test_what_entra_does_not_accept_is_rejected_whatever_it_begins_like(
    place: Place, rotator: EntraAppSecret
) -> None:
    place.later = timedelta(minutes=11)
    ours, other = (place.azure.graph.add_secret(APPLICATION) for _ in range(2))
    for added in (ours, other):
        show(place, added["keyId"], hint="abc")
    for value in ("abc" + "x" * 37, "x" * 40):
        with pytest.raises(Rejected):
            await rotator.prove(job_for(rotator, value))
    text = ours["secretText"]
    await rotator.retire(job_for(rotator, text), ours["keyId"])
    with pytest.raises(Rejected):
        await rotator.prove(job_for(rotator, text))


async def test_a_secret_that_is_not_accepted_everywhere_yet_is_neither_right_nor_wrong(
    place: Place, rotator: EntraAppSecret
) -> None:
    place.azure.plane.propagation_s = 3600
    added = place.azure.graph.add_secret(APPLICATION)
    with pytest.raises(NotYet):
        await rotator.prove(job_for(rotator, added["secretText"]))


async def test_an_expired_secret_is_rejected_and_does_not_stand_in_the_way_of_another(
    place: Place, rotator: EntraAppSecret
) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    gone = place.azure.graph.add_secret(APPLICATION, start=past - timedelta(days=1), end=past)
    with pytest.raises(Rejected, match="expired"):
        await rotator.prove(job_for(rotator, gone["secretText"]))
    alive = place.azure.graph.add_secret(APPLICATION)
    show(place, gone["keyId"], hint=alive["hint"])
    assert (await rotator.prove(job_for(rotator, alive["secretText"]))).slot == alive["keyId"]


@pytest.mark.parametrize("name", ["clientId", "appId", "AZURE_CLIENT_ID", "application-id"])
async def test_a_value_that_names_another_client_proves_nothing(
    place: Place, rotator: EntraAppSecret, name: str
) -> None:
    text = place.azure.graph.add_secret(APPLICATION)["secretText"]
    right = json.dumps({name: CLIENT_ID.upper(), "clientSecret": text})
    assert await rotator.prove(job_for(rotator, right))
    for other in (UNKNOWN, APPLICATION, "orders"):
        with pytest.raises(Unusable, match="client id") as raised:
            await rotator.prove(job_for(rotator, right.replace(CLIENT_ID.upper(), other)))
        assert raised.value.field == "value"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(Kind.DROP_BEFORE), Unreachable),
        (Fault(Kind.DROP_BEFORE, path="/login/"), Unreachable),
        (Fault(Kind.STATUS, path="/graph/", status=503, code="ServiceNotAvailable"), Unreachable),
        (Fault(Kind.STATUS, path="/graph/", status=403, code="Authorization_RequestDenied"), Refused),
        (Fault(Kind.STATUS, path="/login/", status=401, code="invalid"), Refused),
    ],
    ids=lambda one: one.code if isinstance(one, Fault) else None,
)
async def test_what_is_no_answer_about_the_secret_is_no_rejection(
    place: Place, rotator: EntraAppSecret, fault: Fault, error: type[RotationError]
) -> None:
    job = job_for(rotator, place.azure.graph.add_secret(APPLICATION)["secretText"])
    with place.fault(fault), pytest.raises(error) as raised:
        await rotator.prove(job)
    assert type(raised.value) is error


async def test_an_application_other_than_the_proven_one_is_not_changed(place: Place, rotator: EntraAppSecret) -> None:
    old = place.azure.graph.add_secret(APPLICATION)
    before = place.azure.plane.store.get("application", APPLICATION)
    job = replace(job_for(rotator, old["secretText"]), realm=f"entra:{UNKNOWN}")
    with pytest.raises(MovedElsewhere):
        await rotator.apply(job, Draft(None, None))
    with pytest.raises(MovedElsewhere):
        await rotator.retire(job, old["keyId"])
    assert place.azure.plane.store.get("application", APPLICATION) == before
    proven = replace(job, realm=REALM)
    await rotator.verify(proven, (await rotator.apply(proven, Draft(None, None))).credential)
