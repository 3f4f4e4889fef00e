"""Places by their names: one reading for the policy, the values and the rotators."""

import base64
import json

import pytest

from rotation.addresses import (
    POSTGRES_SERVERS,
    STORAGE_ACCOUNTS,
    ipv6,
    is_arm_id,
    is_guid,
    is_host,
    may_hold,
    port_number,
    resource_of,
    type_of,
)
from rotation.model import SecretValue
from rotation.rotators.token_claims import claims_of

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourcegroups/rg-orders"
ACCOUNT = f"{GROUP}/providers/microsoft.storage/storageaccounts/stordersprod"


@pytest.mark.parametrize("host", ["db", "db.example.com", "pg_main", "DB.example.com", "10.0.0.5", "a1", "x" * 63])
def test_a_name_or_an_ipv4_address_is_a_host(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host",
    ["", ".", "db.", ".db", "a..b", "-db", "db-", "x" * 64, ".".join(["x" * 60] * 5), "127.1", "0x7f.1", "db.0x7f",
     "10.0.0.256", "010.0.0.1", "1", "::1", "db:1", "db/x", "db example", "db\n", "p\u212a.example"],
)  # fmt: skip
def test_what_resolvers_may_take_for_something_else_is_no_host(host: str) -> None:
    assert not is_host(host)


@pytest.mark.parametrize(("text", "port"), [("1", 1), ("5432", 5432), ("65535", 65535)])
def test_a_port(text: str, port: int) -> None:
    assert port_number(text) == port


@pytest.mark.parametrize("text", ["", "0", "05432", "65536", "+1", "1 ", "\u0665\u0664", "1" * 5000])
def test_no_port(text: str) -> None:
    assert port_number(text) is None


def test_an_ipv6_address_has_no_zone() -> None:
    assert str(ipv6("2001:DB8:0::7")) == "2001:db8::7"
    assert [ipv6(text) for text in ("::1%lo", "::1%25lo", "[::1]", "db", "", ":::")] == [None] * 6


def test_a_guid_is_in_lower_case() -> None:
    assert is_guid("aaaaaaaa-2222-3333-4444-555555555555")
    assert not is_guid("AAAAAAAA-2222-3333-4444-555555555555")
    assert not is_guid("aaaaaaaa-2222-3333-4444-555555555555\n")


@pytest.mark.parametrize("text", [ACCOUNT, ACCOUNT.upper(), ACCOUNT.replace("rg-orders", "rg.1")])
def test_a_resources_name_is_read_from_its_id(text: str) -> None:
    assert resource_of(text, STORAGE_ACCOUNTS, "[a-z0-9]{3,24}") == "stordersprod"


@pytest.mark.parametrize(
    "text",
    [
        ACCOUNT + "/", ACCOUNT + "?x", ACCOUNT.replace("stordersprod", "st"), ACCOUNT.replace("rg-orders", "rg."),
        ACCOUNT.replace("rg-orders", ".."), ACCOUNT.replace("rg-orders", "a/b"),
        ACCOUNT.replace("storage/", "keyvault/"),
        ACCOUNT.replace("microsoft.storage", "microsoftxstorage"), ACCOUNT.replace("11111111", "1111111g"),
        ACCOUNT.replace("stordersprod", "\u212aordersprod"), "https://management.azure.com" + ACCOUNT,
    ],
)  # fmt: skip
def test_an_id_that_leads_elsewhere_names_no_resource(text: str) -> None:
    assert resource_of(text, STORAGE_ACCOUNTS, "[a-z0-9]{3,24}") is None


def test_an_id_climbs_out_of_nothing() -> None:
    assert is_arm_id(ACCOUNT)
    assert not is_arm_id(f"{GROUP}/../x")
    assert not is_arm_id(f"{GROUP}/./x")


def test_the_type_of_an_id_and_what_a_scope_may_hold() -> None:
    assert type_of(ACCOUNT) == STORAGE_ACCOUNTS
    assert type_of(f"{ACCOUNT}/blobservices/default") == f"{STORAGE_ACCOUNTS}/blobservices"
    assert type_of(GROUP) == ""
    assert may_hold(GROUP, STORAGE_ACCOUNTS)
    assert may_hold(f"{GROUP}/providers/microsoft.storage", STORAGE_ACCOUNTS)
    assert not may_hold(f"{GROUP}/providers/microsoft.storage", POSTGRES_SERVERS)
    assert not may_hold(f"{GROUP}/providers/microsoft.sto", STORAGE_ACCOUNTS)


def test_the_claims_of_a_token() -> None:
    payload = base64.urlsafe_b64encode(json.dumps({"tid": "t", "é": 1}).encode()).decode().rstrip("=")
    assert claims_of(SecretValue(f"h.{payload}.s")) == {"tid": "t", "é": 1}
    for text in ("", "h", "h.", "h.!.s", "h.YQ.s", f"h.{base64.urlsafe_b64encode(b'[1]').decode()}.s", "h.é.s"):
        assert claims_of(SecretValue(text)) == {}
