"""Hosts, ports and accounts: what leads to one place for certain, or is left alone."""

import pytest

from rotation.errors import Unusable
from rotation.formats import Host, read
from rotation.model import SecretValue


def refusal(value: str) -> Unusable:
    with pytest.raises(Unusable) as refused:
        read(SecretValue(value))
    return refused.value


def test_several_hosts_of_a_uri_each_want_a_port() -> None:
    two = (Host("a", 1), Host("b", 2))
    assert read(SecretValue("postgresql://app:pw@a:1,b:2/x")).hosts == two
    for hosts in ("a,b", "a,b:2", "a:1,b", "[::1],[::2]:2"):
        assert "each has its port" in refusal(f"postgresql://app:pw@{hosts}/x").message


def test_hosts_are_listed_once_and_sixteen_at_most() -> None:
    many = ",".join(f"h{number}:1" for number in range(16))
    assert len(read(SecretValue(f"postgresql://app:pw@{many},H1:1,h2:1/x")).hosts) == 16
    refusal(f"postgresql://app:pw@{many},h16:1/x")
    assert read(SecretValue("host=a,A,a port=5432 user=u password=pw")).hosts == (Host("a", 5432),)


@pytest.mark.parametrize(
    "host",
    [
        "127.1", "0x7f.1", "2130706433", "a..b", "-a", "a-", ".a", "a.", "ä", "d\N{KELVIN SIGN}", "fe80::1%eth0", "a b",
        "::ffff:192.0.2.1", "[::1]", "/run", "@abstract", "a:1", "1.2.3.4.5", "256.1.1.1",
    ],
)  # fmt: skip
def test_what_is_no_plain_host_is_refused(host: str) -> None:
    refusal(f"host='{host}' user=app password=pw")
    refusal(f'{{"host": "{host}", "password": "pw"}}')


@pytest.mark.parametrize(
    "port", ["0", "65536", "05432", "+5432", "-1", " 5432", "5432 ", "5_432", "٥٤", "1e3", "1" * 5000]
)
def test_what_is_no_port_is_refused(port: str) -> None:
    for value in (
        f"postgresql://app:pw@db:{port}/x",
        f"host=db port='{port}' user=app password=pw",
        f'Host=db;Port="{port}";Username=app;Password=pw',
        f"jdbc:postgresql://db:{port}/x?user=app&password=pw",
        f'{{"host": "db", "port": "{port}", "password": "pw"}}',
    ):
        told = refusal(value)
        assert port not in told.message or len(port) == 1


def test_a_port_of_five_thousand_digits_in_json_is_refused_like_another() -> None:
    assert "port" in refusal('{"host": "db", "port": %s, "password": "pw"}' % ("1" * 5000)).message


@pytest.mark.parametrize(
    "value",
    [
        "AccountName=app@evil.example/;AccountKey=a2V5a2V5",
        "AccountName=ACC;AccountKey=a2V5a2V5",
        "AccountName=acc;AccountKey=a2V5a2V5;EndpointSuffix=evil.example",
        "AccountName=acc;AccountKey=a2V5a2V5;BlobEndpoint=https://evil.example/",
        "AccountName=acc;AccountKey=a2V5a2V5;BlobEndpoint=https://other.blob.core.windows.net/",
        "AccountName=acc;AccountKey=a2V5a2V5;QueueEndpoint=https://acc.blob.core.windows.net/",
        "AccountName=acc;AccountKey=a2V5a2V5;BlobEndpoint=https://acc.blob.core.windows.net@evil.example/",
        "AccountName=acc;AccountKey=a2V5a2V5;SharedAccessSignature=sig=x",
    ],
)
def test_a_storage_connection_string_leads_to_its_own_account_only(value: str) -> None:
    assert refusal(value).field == "value"
