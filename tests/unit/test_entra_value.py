"""What may stand in a secret that holds a client secret: the secret alone, or what names it."""

import base64
import contextlib
import json
import time

import pytest

from rotation.errors import Unusable
from rotation.model import SecretValue
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from rotation.rotators.azure.entra_value import client_ids, read_secret
from tests.contract.harness_generated import SERVICES
from tests.contract.secrets_at_hand import make_secret, make_spec

APPLICATION = "00000000-0000-0000-0000-0000000000a1"
CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
SECRET = "abC8Q~dEfghijklmnopqrs0t123456789-_.~xYz"
OLDER = "a-.~_" + "0bC4" * 7 + "z"  # 34 characters, as they once were
OLDEST = "Eq:A-s45?Rt9/3Bp?7]-7__IO]3AG09="  # with other signs
NEW = "nEw8Q~" + "n" * 34


@pytest.fixture
def rotator() -> Rotator:
    return ROTATORS["entra-app-secret"].build(SERVICES)


def in_json(**fields: object) -> str:
    return json.dumps({"clientId": CLIENT_ID, "clientSecret": SECRET, **fields})


@pytest.mark.parametrize(
    ("value", "form", "name"),
    [
        (SECRET, None, "plain"),
        (OLDER, None, "plain"),
        (SECRET, "plain", "plain"),
        (OLDEST, "plain", "plain"),
        ("chosen-by-hand", "plain", "plain"),
        (in_json(), None, "json"),
        (in_json(), "json", "json"),
        (in_json(tenantId="x", retries=1), None, "json"),
        (json.dumps({"client_secret": OLDEST}), None, "json"),
    ],
)
def test_a_secret_alone_or_one_that_is_named_is_claimed(
    rotator: Rotator, value: str, form: str | None, name: str
) -> None:
    spec = make_spec("entra-app-secret", target=APPLICATION.upper(), form=form, current_slot=CLIENT_ID)
    access = rotator.requested_access(spec, make_secret(value))
    assert (access.targets, access.slots, access.current_slot, access.form) == ((APPLICATION,), (), None, name)


@pytest.mark.parametrize("form", [None, "plain"])
@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"AZURE_CLIENT_SECRET": SECRET}),
        json.dumps({"AZURE_CLIENT_SECRET": SECRET, "AZURE_CLIENT_ID": CLIENT_ID, "AZURE_TENANT_ID": CLIENT_ID}),
        json.dumps({"azureAd": {"clientId": CLIENT_ID, "clientSecret": SECRET}}),
        json.dumps({"AzureAd:ClientSecret": SECRET}),
        json.dumps([SECRET]),
        json.dumps([{"clientSecret": SECRET}]),
        json.dumps(SECRET),
        json.dumps({"apiKey": SECRET, "endpoint": "https://api.example"}),
        "{}",
        "{" + SECRET + "}",
        f"AZURE_CLIENT_ID={CLIENT_ID}\nAZURE_CLIENT_SECRET={SECRET}\n",
        f"AZURE_CLIENT_SECRET={SECRET}",
        f"AZURE_CLIENT_SECRET='{SECRET}'",
        f"export AZURE_CLIENT_SECRET={SECRET}",
        f"clientSecret: {SECRET}",
        f"clientSecret:{SECRET}",
        f"ClientId={CLIENT_ID};ClientSecret={SECRET}",
        f"RunAs=App;AppId={CLIENT_ID};TenantId={CLIENT_ID};AppKey={SECRET}",
        f"{CLIENT_ID}:{SECRET}",
        f"{SECRET},{NEW}",
        f"{SECRET};{NEW}",
        f"{SECRET}\n{NEW}",
        f"{SECRET}\n",
        f" {SECRET}",
        f'"{SECRET}"',
        f"'{SECRET}'",
        f"Bearer {SECRET}",
        f"https://user:{SECRET}@api.example/",
        f"<add key='ClientSecret' value='{SECRET}'/>",
        f"<secret>{SECRET}</secret>",
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
        CLIENT_ID,
        CLIENT_ID.upper(),
        SECRET + NEW,
        SECRET + "\N{ZERO WIDTH SPACE}",
        "pässwörd" * 5,
        "\N{CYRILLIC SMALL LETTER A}" * 40,
        " " * 40,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl" + "x" * 40,
    ],
)  # fmt: skip
def test_what_is_no_secret_alone_is_understood_or_refused_and_never_replaced_whole(
    rotator: Rotator, value: str, form: str | None
) -> None:
    spec = make_spec("entra-app-secret", target=APPLICATION, form=form)
    try:
        rotator.requested_access(spec, make_secret(value))
    except Unusable as told:
        assert told.field in {"value", "format"}
        assert "\n" not in told.message
        assert SECRET[:6] not in told.message
    else:  # understood since: then the rest of it stays as it was
        assert form is None
        changed = read_secret(SecretValue(value), spec).with_login(SecretValue(NEW)).reveal()
        assert changed == value.replace(SECRET, NEW) != value


@pytest.mark.parametrize("value", ["1234", '"abc"', "a=b;c=d", "Password=x", SECRET[:33], SECRET + "x", OLDEST])
def test_what_has_not_the_shape_of_a_secret_needs_the_tag_format(rotator: Rotator, value: str) -> None:
    with pytest.raises(Unusable, match="format") as told:
        rotator.requested_access(make_spec("entra-app-secret", target=APPLICATION), make_secret(value))
    assert told.value.field == "value"


@pytest.mark.parametrize(
    "value",
    [
        in_json(client_secret=NEW),
        in_json(password="another thing altogether"),
        in_json(azureAd={"clientSecret": NEW}),
        in_json(azureAd=json.dumps({"clientSecret": NEW})),
        json.dumps({"clientSecret": "two words"}),
        json.dumps({"clientSecret": json.dumps({"clientSecret": SECRET})}),
        json.dumps({"password": "hunter2"}),
        json.dumps({"clientSecret": CLIENT_ID}),
    ],
)
def test_json_in_which_another_string_would_be_changed_is_refused(rotator: Rotator, value: str) -> None:
    spec = make_spec("entra-app-secret", target=APPLICATION)
    try:
        rotator.requested_access(spec, make_secret(value))
    except Unusable as told:
        assert told.field == "value"
    else:
        changed = read_secret(SecretValue(value), spec).with_login(SecretValue(NEW)).reveal()
        assert changed == value.replace(SECRET, NEW) != value


@pytest.mark.parametrize(
    "value",
    [
        in_json(copy=SECRET),
        in_json(url=f"https://x/?secret={SECRET}"),
        in_json(deep=[{"env": f"A={SECRET}"}]),
        in_json(encoded=base64.b64encode(SECRET.encode()).decode()),
        in_json(string=json.dumps({"x": SECRET})),
    ],
)
def test_no_copy_of_the_old_secret_stays_in_a_value(rotator: Rotator, value: str) -> None:
    spec = make_spec("entra-app-secret", target=APPLICATION)
    try:
        rotator.requested_access(spec, make_secret(value))
    except Unusable as told:
        assert told.field == "value"
        return
    assert SECRET not in read_secret(SecretValue(value), spec).with_login(SecretValue(NEW)).reveal()


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (SECRET, set()),
        (in_json(), {CLIENT_ID}),
        (json.dumps({"appId": CLIENT_ID.upper(), "clientSecret": SECRET}), {CLIENT_ID}),
        (json.dumps({"client-id": "orders", "clientSecret": SECRET}), {"orders"}),
        (in_json(AZURE_CLIENT_ID=CLIENT_ID), {CLIENT_ID}),
        (in_json(applicationId="another"), {CLIENT_ID, "another"}),
        (in_json(more=json.dumps({"application_id": "another"})), {CLIENT_ID, "another"}),
        (f"Host=db;Username={CLIENT_ID}@tenant;Password={SECRET}", {CLIENT_ID}),
    ],
)
def test_every_client_id_in_a_value_is_seen(value: str, ids: set[str]) -> None:
    spec = make_spec("entra-app-secret", target=APPLICATION)
    assert client_ids(read_secret(SecretValue(value), spec)) == ids


@pytest.mark.parametrize(
    "value",
    ["a" * 25_000, "=" * 25_000, "a=" * 12_000, in_json(x="secret" * 4_000), '{"clientSecret":' * 1_500, "[" * 25_000],
)
def test_a_long_value_is_read_in_no_time(rotator: Rotator, value: str) -> None:
    began = time.process_time()
    with contextlib.suppress(Unusable):
        rotator.requested_access(make_spec("entra-app-secret", target=APPLICATION), make_secret(value))
    assert time.process_time() - began < 1
