"""What may stand in a secret that holds a storage key: a key alone, or what names the account and no other place."""

import base64
import contextlib
import json
import time
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import BlobServiceClient
from hypothesis import given
from hypothesis import strategies as st

from rotation.errors import Unusable
from rotation.model import RequestedAccess, SecretValue
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from rotation.rotators.azure.storage_value import read_key
from tests.contract.harness_generated import SERVICES
from tests.contract.secrets_at_hand import make_secret, make_spec

ACCOUNT = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourcegroups/rg"
    "/providers/microsoft.storage/storageaccounts/stdemo"
)
KEY, NEW, ANOTHER = (base64.b64encode(bytes([start]) * 64).decode() for start in (251, 254, 191))
STRING = f"DefaultEndpointsProtocol=https;AccountName=stdemo;AccountKey={KEY};EndpointSuffix=core.windows.net"
SAS = "sv=2024-08-04&ss=b&srt=s&sp=rl&se=2027-01-01T00:00:00Z&sig=c2lnbmF0dXJl"


@pytest.fixture
def rotator() -> Rotator:
    return ROTATORS["storage-key"].build(SERVICES)


def claimed(rotator: Rotator, value: str, form: str | None = None) -> RequestedAccess:
    return rotator.requested_access(make_spec("storage-key", target=ACCOUNT, form=form), make_secret(value))


def in_json(**fields: object) -> str:
    return json.dumps({"accountName": "stdemo", "accountKey": KEY, **fields})


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (KEY, None),
        (KEY, "plain"),
        (STRING, None),
        (STRING + ";", None),
        (f"AccountKey={KEY};DefaultEndpointsProtocol=https;ACCOUNTNAME=stdemo", None),
        (f"{STRING};BlobEndpoint=https://stdemo.blob.core.windows.net/", None),
        (f"{STRING};QueueEndpoint=http://stdemo.queue.core.windows.net", None),
        (STRING.replace("windows.net", "chinacloudapi.cn"), None),
        (STRING.replace("windows.net", "usgovcloudapi.net"), None),
        (in_json(), None),
        (in_json(), "json"),
        (in_json(team="orders", blobEndpoint="https://stdemo.blob.core.windows.net:443/"), None),
        (in_json(blobSecondaryEndpoint="https://stdemo-secondary.blob.core.windows.net/"), None),
        (in_json(queueEndpoint="https://stdemo.z07.queue.storage.azure.net/"), None),
        (in_json(tableEndpoint="https://stdemo.privatelink.table.core.windows.net/"), None),
        (in_json(fileEndpoint="https://stdemo-internetrouting.file.core.windows.net/"), None),
        (in_json(endpointSuffix="Core.UsGovCloudApi.net"), None),
    ],
)
def test_a_key_alone_or_with_its_own_account_is_claimed(rotator: Rotator, value: str, form: str | None) -> None:
    access = claimed(rotator, value, form)
    assert access.targets == (ACCOUNT,)
    assert access.form


def test_no_tag_says_which_key_the_value_is(rotator: Rotator) -> None:
    for slot in (None, "key1", "key2", "key3"):
        spec = make_spec("storage-key", target=ACCOUNT, current_slot=slot)
        assert rotator.requested_access(spec, make_secret(KEY)).current_slot is None


def test_a_key_alone_is_plain(rotator: Rotator) -> None:
    assert claimed(rotator, KEY).form == "plain"
    assert claimed(rotator, STRING).form != "plain"


@pytest.mark.parametrize("form", [None, "plain"])
@pytest.mark.parametrize(
    "value",
    [
        "?" + SAS,
        SAS,
        f"https://stdemo.blob.core.windows.net/orders?{SAS}",
        f"BlobEndpoint=https://stdemo.blob.core.windows.net;SharedAccessSignature={SAS}",
        f"SharedAccessSignature={SAS};AccountName=stdemo",
        f"{STRING};SharedAccessSignature={SAS}",
        f"AccountName=stdemo;AccountKey={KEY[:-2]}",
        "AccountName=stdemo",
        f"AccountKey={KEY}",
        f"DefaultEndpointsProtocol=https;AccountKey={KEY};EndpointSuffix=core.windows.net",
        "UseDevelopmentStorage=true",
        f"{STRING};UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://evil.example",
        f"{KEY}\n",
        f" {KEY}",
        f'"{KEY}"',
        f"{KEY}{KEY}",
        f"{KEY},{NEW}",
        f"{KEY};{NEW}",
        KEY[:-2],
        KEY[:-2].replace("+", "-").replace("/", "_") + "==",
        base64.b64encode(bytes(32)).decode(),
        "s3cret",
        "0" * 64,
        f"Server=db;User ID=app;Password={KEY}",
        f"https://stdemo:{KEY}@evil.example/",
        f"AZURE_STORAGE_KEY={KEY}",
        f"AZURE_STORAGE_ACCOUNT=stdemo\nAZURE_STORAGE_KEY={KEY}",
        f"account: stdemo\nkey: {KEY}",
        json.dumps({"apiKey": "x", "endpoint": "https://api.example"}),
        json.dumps({"connection": STRING}),
        json.dumps({"storage": {"accountName": "stdemo", "accountKey": KEY}}),
        json.dumps({"key1": KEY, "key2": NEW}),
        json.dumps([KEY]),
        json.dumps(KEY),
        json.dumps({"accountName": "stdemo", "accountKey": "short"}),
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
)  # fmt: skip
def test_what_is_no_key_is_never_replaced_whole(rotator: Rotator, value: str, form: str | None) -> None:
    spec = make_spec("storage-key", target=ACCOUNT, form=form)
    try:
        rotator.requested_access(spec, make_secret(value))
    except Unusable as told:
        assert told.field in {"value", "format"}
        assert KEY[:20] not in told.message
    else:  # understood since: then the rest of it stays as it was
        assert form is None
        changed = read_key(SecretValue(value), spec, "stdemo").with_login(SecretValue(NEW)).reveal()
        assert len(changed) == len(value) != len(NEW)
        assert KEY not in changed


@pytest.mark.parametrize(
    "value",
    [
        STRING.replace("=stdemo;", "=app@evil.example/;"),
        STRING.replace("=stdemo;", "=stdemo.evil.example/;"),
        STRING.replace("=stdemo;", "=stother;"),
        STRING.replace("=stdemo;", "=STDEMO;"),
        STRING.replace("=stdemo;", "=;"),
        STRING.replace("=stdemo;", '="stdemo";'),
        STRING.replace("=stdemo;", "=st\N{ZERO WIDTH SPACE}demo;"),
        STRING + ";AccountName=stdemo",
        STRING + ";accountname=stother",
        "AccountName=stother;" + STRING,
        STRING + f";AccountKey={NEW}",
        f"AccountKey={KEY};" + STRING,
        f'x="a;AccountName=stother;b=";{STRING}',
        f"x='a;BlobEndpoint=https://evil.example/;b=';{STRING}",
        STRING + ";BlobEndpoint=https://evil.example/",
        "\N{ZERO WIDTH NO-BREAK SPACE}BlobEndpoint=https://evil.example/;" + STRING,
        STRING + ";BlobEndpo\N{LATIN SMALL LETTER DOTLESS I}nt=https://evil.example/",
        STRING + ";\N{NO-BREAK SPACE}BlobEndpoint=https://evil.example/",
        STRING + ";Blob Endpoint=https://evil.example/",
        STRING + ";BlobEndpoint =https://evil.example/",
        STRING.replace("EndpointSuffix=core.windows.net", "Endpoint\N{LATIN SMALL LETTER LONG S}uffix=evil.example"),
        STRING.replace(";AccountKey", ";\nAccountKey"),
        STRING + ";blobendpoint=https://evil.example/",
        STRING + ";BlobEndpoint=https://stdemo.blob.core.windows.net.evil.example/",
        STRING + ";BlobEndpoint=https://stother.blob.core.windows.net/",
        STRING + ";BlobEndpoint=https://stdemo.blob.core.windows.net@evil.example/",
        STRING + ";BlobEndpoint=https://evil.example\\.stdemo.blob.core.windows.net/",
        STRING + ";BlobEndpoint=https://evil.example#stdemo.blob.core.windows.net/",
        STRING + ";BlobEndpoint=https://evilstdemo.blob.core.windows.net/",
        STRING + ";BlobEndpoint=https://stdemoxblob.core.windows.net/",
        STRING + ";BlobEndpoint=https://stdemo-evil.blob.core.windows.net/",
        STRING + ";BlobEndpoint=//evil.example/",
        STRING + ";BlobEndpoint=evil.example",
        STRING + ";BlobEndpoint=http://127.0.0.1:10000/stdemo",
        STRING + ";BlobEndpoint=",
        STRING + ";QueueEndpoint=http://127.0.0.2:1/",
        STRING + ";TableSecondaryEndpoint=https://evil.example/",
        STRING + ";FileEndpoint=https://evil.example/",
        STRING + ";DfsEndpoint=https://evil.example/",
        STRING + ";EndpointSuffix=evil.example",
        STRING.replace("core.windows.net", "evil.example"),
        STRING.replace("core.windows.net", "core.windows.net.evil.example"),
        STRING.replace("core.windows.net", "core.windows.net/@evil.example"),
        STRING.replace("core.windows.net", ""),
        STRING.replace("https;", "https://evil.example/?x;"),
        STRING.replace("https;", "ftp;"),
        in_json(accountName="app@evil.example/"),
        in_json(accountName="stother"),
        in_json(accountName=["stother"]),
        in_json(storageAccount="stother"),
        in_json(blobEndpoint="https://evil.example/"),
        in_json(endpointSuffix="evil.example"),
        in_json(endpoints={"blobEndpoint": "https://evil.example/"}),
        in_json(blobServiceUri="https://evil.example/"),
        in_json(account_url="https://evil.example/"),
        in_json(host="evil.example"),
        in_json(username="stother"),
        in_json(connectionString=STRING.replace("=stdemo;", "=stother;")),
        in_json(connectionString=STRING + ";BlobEndpoint=https://evil.example/"),
        in_json(sasToken="?" + SAS),
        in_json(connection=json.dumps({"AccountName": "stother"})),
        in_json(connection=json.dumps({"deeper": json.dumps({"key": ANOTHER})})),
        in_json(secondaryKey=ANOTHER),
        in_json(other={"keys": [ANOTHER]}),
        in_json(secondary=STRING.replace(KEY, ANOTHER)),
    ],
)  # fmt: skip
def test_what_leads_elsewhere_or_would_be_changed_by_halves_is_refused(rotator: Rotator, value: str) -> None:
    with pytest.raises(Unusable) as told:
        claimed(rotator, value)
    assert told.value.field == "value"
    assert "\n" not in told.value.message
    assert not [word for word in ("evil", KEY[:20], ANOTHER[:20]) if word in told.value.message]


@pytest.mark.parametrize(
    "value",
    [
        in_json(connectionString=STRING),
        in_json(nested={"deep": [STRING]}),
        in_json(copy=KEY),
        in_json(copy=KEY).replace(KEY, KEY.replace("/", "\\/"), 1),
        in_json(encoded=base64.b64encode(STRING.encode()).decode()),
        in_json(string=json.dumps({"key": KEY}).replace("/", "\\/")),
        in_json(escaped=STRING.replace("/", "%2F").replace("+", "%2B")),
    ],
)
def test_no_copy_of_the_old_key_stays_in_a_value(rotator: Rotator, value: str) -> None:
    try:
        claimed(rotator, value)
    except Unusable as told:
        assert told.field == "value"
        return
    spec = make_spec("storage-key", target=ACCOUNT)
    changed = read_key(SecretValue(value), spec, "stdemo").with_login(SecretValue(NEW))
    assert KEY not in str(json.loads(changed.reveal()))


SETTINGS = st.lists(
    st.sampled_from(
        (
            "EndpointSuffix=core.windows.net",
            "EndpointSuffix=evil.example",
            "BlobEndpoint=https://stdemo.blob.core.windows.net/",
            "BlobEndpoint=https://evil.example/",
            "BlobSecondaryEndpoint=https://stdemo-secondary.blob.core.windows.net/",
            "DefaultEndpointsProtocol=https",
            "DefaultEndpointsProtocol=https://evil.example/",
            "AccountName=evil.example#",
        )
    ),
    max_size=3,
    unique=True,
)
ODD = st.sampled_from(
    (
        *(" ", ";", "=", "'", '"', "\n", "\t", "#", "/", "\\", "@", "?", "%40", ":1", "stdemo", "http", "evil.example"),
        *("https://evil.example/", "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH NO-BREAK SPACE}"),
        *("\N{LATIN SMALL LETTER DOTLESS I}", "\N{LATIN SMALL LETTER LONG S}"),
    )
)


@given(settings=SETTINGS, cuts=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 1), ODD), max_size=2))
def test_whatever_is_claimed_leads_azures_own_client_to_the_account_and_nowhere_else(
    settings: list[str], cuts: list[tuple[int, int, str]]
) -> None:
    text = ";".join([f"AccountName=stdemo;AccountKey={KEY}", *settings])
    for at, taken, odd in cuts:
        text = text[:at] + odd + text[at + taken :]
    try:
        read_key(SecretValue(text), make_spec("storage-key", target=ACCOUNT), "stdemo")
    except Unusable:
        return
    try:
        client = BlobServiceClient.from_connection_string(text)
    except ValueError:
        return  # it leads nowhere
    assert urlsplit(client.url).hostname == "stdemo.blob.core.windows.net"
    assert client.account_name == "stdemo"


@pytest.mark.parametrize(
    "value",
    [
        "AccountName=" + " " * 25_000,
        ";AccountName= " * 1_700,
        "AccountName=a " * 1_700,
        "A" * 25_000 + "==",
        STRING + ";AccountName=" * 1_700,
        STRING + ";" * 25_000,
        STRING + ";x= " * 6_000,
        in_json(x="A" * 25_000),
        in_json(x="AccountName= ;" * 1_700),
        '{"accountKey":' * 1_500,
    ],
)
def test_a_long_value_is_read_in_no_time(rotator: Rotator, value: str) -> None:
    began = time.process_time()
    with contextlib.suppress(Unusable):
        claimed(rotator, value)
    assert time.process_time() - began < 1
