from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rotation.policy.targets import Application, HostTarget, Resource, Scope, parse_target, permitted

relaxed = settings(deadline=None, database=None, max_examples=400)

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
ACCOUNT = f"{SUBSCRIPTION}/resourceGroups/rg-orders/providers/Microsoft.Storage/storageAccounts/stordersprod"
SERVER = "orders-prod.postgres.database.azure.com"


def allows(rule: str, claimed: str) -> bool:
    return permitted((parse_target(rule),), claimed)


@pytest.mark.parametrize(
    ("rule", "claimed"),
    [
        (SERVER, f"{SERVER}:5432"),
        (SERVER, f"{SERVER}:6432"),
        (SERVER, f"{SERVER.upper()}:5432"),
        (SERVER.upper(), f"{SERVER}:5432"),
        ("db.example.com:5433", "db.example.com:5433"),
        ("db.example.com:*", "db.example.com:1"),
        ("db.example.com:*", "db.example.com:65535"),
        ("pg_main", "pg_main:5432"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example:5432"),
        ("10.0.0.5", "10.0.0.5:5432"),
        ("[2001:db8::7]:5432", "[2001:db8::7]:5432"),
        ("[2001:db8::7]", "[2001:DB8:0:0:0:0:0:7]:6432"),
        ("[2001:0db8::0007]:*", "[2001:db8::7]:9"),
        ("localhost", "localhost:50123"),
        ("127.0.0.1", "127.0.0.1:50123"),
        ("127.1.2.3", "127.1.2.3:1"),
        ("[::1]", "[::1]:50123"),
        ("[0:0:0:0:0:0:0:1]", "[::1]:50123"),
        (ACCOUNT, ACCOUNT),
        (ACCOUNT.lower(), ACCOUNT.upper()),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", ACCOUNT),
        (f"{SUBSCRIPTION}/RESOURCEGROUPS/RG-ORDERS/*", ACCOUNT),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/providers/Microsoft.Storage/*", ACCOUNT),
        (f"{SUBSCRIPTION}/resourceGroups/a.b_(c)/*", f"{SUBSCRIPTION}/resourceGroups/a.b_(c)/providers/X/y/z"),
        ("AAAAAAAA-2222-3333-4444-555555555555", "aaaaaaaa-2222-3333-4444-555555555555"),
    ],
)
def test_what_a_rule_names_is_permitted(rule: str, claimed: str) -> None:
    assert allows(rule, claimed)


@pytest.mark.parametrize(
    ("rule", "claimed"),
    [
        (SERVER, SERVER),  # a claim without a port leaves it to somebody else
        (SERVER, f"{SERVER}:5433"),
        (SERVER, f"{SERVER}:*"),
        (SERVER, f"{SERVER}:05432"),
        (SERVER, f"{SERVER}:5432,evil.example:5432"),
        (SERVER, f"{SERVER}.:5432"),
        (SERVER, f"{SERVER}.evil.example:5432"),
        (SERVER, f"evil-{SERVER}:5432"),
        (SERVER, f"evil@{SERVER}:5432"),
        (SERVER, f"{SERVER}@evil.example:5432"),
        (SERVER, f"{SERVER}\0.evil.example:5432"),
        (SERVER, f"{SERVER}:5432\n"),
        (SERVER, f" {SERVER}:5432"),
        (SERVER, "orders-prod:5432"),
        (SERVER, "10.0.0.5:5432"),
        ("pk.example", "p\u212a.example:5432"),  # the Kelvin sign is a k in lower case
        ("db.example.com:5433", "db.example.com:5432"),
        ("db.example.com:*", "db.example.com:65536"),
        ("db.example.com:*", "db.example.com:0"),
        ("db.example.com:*", "db.example.com:"),
        ("127.0.0.1", "127.0.0.2:5432"),
        ("127.0.0.1", "localhost:5432"),
        ("127.0.0.1:5432", "127.0.0.1:5433"),
        ("127.example.com", "127.example.com:9999"),  # begins like a loopback address and is a name
        ("localhost.example.com", "localhost.example.com:9999"),
        ("[::1]", "[::1%25lo]:5432"),
        ("[::1]", "[::1%lo]:5432"),
        ("[::1]", "::1:5432"),
        ("[::1]", "[::2]:5432"),
        ("[::1]", "[::1]"),
        ("[2001:db8::7]", "[2001:db8::7]:9999"),
        (ACCOUNT, f"{ACCOUNT}/"),
        (ACCOUNT, f"{ACCOUNT}/blobServices/default"),
        (ACCOUNT, f"{ACCOUNT}2"),
        (ACCOUNT, f"{ACCOUNT}?api-version=1"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders/"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders2/providers/X/y/z"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders/../rg-evil/x"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders/./x"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders//x"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders/..%2frg-evil/x"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders/%2e%2e/x"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders/x?a=b"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders/x#b"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders/x\\..\\y"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders/x\n"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"https://management.azure.com{ACCOUNT}"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders/*", f"{SUBSCRIPTION}/resourceGroups/rg-orders/*"),
        ("aaaaaaaa-2222-3333-4444-555555555555", "aaaaaaaa-2222-3333-4444-555555555555:5432"),
        ("aaaaaaaa-2222-3333-4444-555555555555", "{aaaaaaaa-2222-3333-4444-555555555555}"),
        ("aaaaaaaa-2222-3333-4444-555555555555", "baaaaaaa-2222-3333-4444-555555555555"),
    ],
)
def test_what_only_looks_like_it_is_not_permitted(rule: str, claimed: str) -> None:
    assert not allows(rule, claimed)


def test_nothing_is_permitted_where_nothing_is_listed() -> None:
    assert not permitted((), f"{SERVER}:5432")


@pytest.mark.parametrize(
    "rule",
    [
        "*",
        "*:5432",
        "*.postgres.database.azure.com",
        "orders-*.postgres.database.azure.com",
        "orders-prod.*.azure.com:5432",
        "orders-?.example.com",
    ],
)
def test_a_glob_over_host_names_is_refused_with_the_reason(rule: str) -> None:
    with pytest.raises(ValueError, match="global name space"):
        parse_target(rule)


@pytest.mark.parametrize(
    "rule",
    [
        "",
        " ",
        " db.example.com",
        "db.example.com.",
        ".example.com",
        "db..example.com",
        "-db.example.com",
        "a" * 64 + ".example.com",
        "a." * 127 + "a",
        "b\u00fccher.example",
        "p\u212a.example",  # the Kelvin sign is a k in lower case
        f"{SUBSCRIPTION}/resourceGroups/p\u212a/*",
        "db.example.com\0",
        "db.example.com:0",
        "db.example.com:65536",
        "db.example.com:abc",
        "db.example.com:",
        "db.example.com:5432/orders",
        "https://db.example.com",
        "user@db.example.com",
        "a,b",
        "::1",
        "[::1",
        "[]",
        "[::1%lo]",
        "[db.example.com]:5432",
        "127.1",
        "1.2.3.256",
        "2130706433",
        "01.2.3.4",
        "/*",
        "/",
        "/subscriptions/*",
        f"{SUBSCRIPTION}/*",
        f"{SUBSCRIPTION}/resourceGroups/*",
        f"{SUBSCRIPTION}/resourceGroups/rg-*/*",
        f"{SUBSCRIPTION}/resourceGroups/rg-orders*",
        f"{SUBSCRIPTION}/resourceGroups/rg-orders",
        f"{SUBSCRIPTION}/resourceGroups/rg-orders/",
        f"{SUBSCRIPTION}/resourceGroups/rg-orders//*",
        f"{SUBSCRIPTION}/resourceGroups/../*",
        f"{SUBSCRIPTION}/providers/Microsoft.Storage/x/y",
        "/providers/Microsoft.Storage/x/y",
        f"{ACCOUNT}?api-version=1",
    ],
)
def test_what_is_no_target_is_refused_with_a_line_that_helps(rule: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]") as raised:
        parse_target(rule)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (" db.example.com", "without spaces"),
        ("db.example.com\n", "without spaces"),
        ("db\0.example.com", "without spaces"),
        ("b\u00fccher.example", "xn-- form"),
        ("/*", 'end the id with "/*"'),
        (f"{SUBSCRIPTION}/resourceGroups/rg-*/*", 'end the id with "/*"'),
        (f"{ACCOUNT}?api-version=1", 'copy it from "Resource ID"'),
        ("/providers/Microsoft.Storage/x/y", "name a subscription and a resource group"),
        (f"{SUBSCRIPTION}/*", "name a subscription and a resource group"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-orders", 'end it with "/*"'),
        ("db.example.com:0", "host:port"),
        ("::1", "host:port"),
        ("[::1%lo]", "no IP address"),
        ("[db.example.com]:5432", "no IP address"),
        ("127.1", "no IP address"),
        ("db.example.com.", "no host name"),
    ],
)
def test_the_line_says_what_is_wrong_with_this_one(rule: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_target(rule)


def test_targets_are_told_apart_by_their_form() -> None:
    kinds = [SERVER, ACCOUNT, f"{SUBSCRIPTION}/resourceGroups/rg/*", "aaaaaaaa-2222-3333-4444-555555555555"]
    assert [type(parse_target(text)) for text in kinds] == [HostTarget, Resource, Scope, Application]


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("localhost", True),
        ("localhost:5432", True),
        ("127.9.9.9:*", True),
        ("[::1]:5432", True),
        ("localhost.example.com", False),
        ("127.example.com", False),
        ("128.0.0.1", False),
        ("[::2]", False),
        ("10.0.0.1", False),
    ],
)
def test_only_this_machine_itself_counts_as_loopback(text: str, loopback: bool) -> None:
    target = parse_target(text)
    assert isinstance(target, HostTarget)
    assert target.loopback is loopback


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", ["a", "a.", "/a", "-", ".", "[", ":", "1.", "[:", "_-"])
def test_a_claim_made_to_keep_the_matching_busy_is_simply_denied(piece: str) -> None:
    targets = (*RULES, parse_target(f"{SUBSCRIPTION}/resourceGroups/rg/*"), parse_target("[::1]"))
    for claimed in (
        f"{piece * 20_000}?",
        f"{SUBSCRIPTION}/resourceGroups/rg/{piece * 20_000}?",
        f"[{piece * 20_000}]:1",
    ):
        assert not permitted(targets, claimed)


# no host but those listed

LISTED = (SERVER, "db.example.com:5433", "localhost:5432", "pk.example:*")
RULES = tuple(parse_target(text) for text in LISTED)
BASES = (SERVER, "db.example.com", "localhost", "pk.example")


def by_the_book(claimed: str) -> bool:
    if not all(ord(character) < 128 for character in claimed):
        return False
    host, _, port = claimed.lower().rpartition(":")
    if not (1 <= len(port) <= 5 and set(port) <= set("0123456789") and port[0] != "0" and int(port) <= 65535):
        return False
    ports = {SERVER: {5432, 6432}, "db.example.com": {5433}, "localhost": {5432}}
    return host == "pk.example" or int(port) in ports.get(host, set())


lookalikes = str.maketrans({"o": "\u043e", "e": "\u0435", "k": "\u212a", ".": "\u3002", "d": "\u217e", "s": "\u017f"})
noise = st.sampled_from(
    [
        "",
        ".",
        "..",
        "@",
        ":",
        "/",
        "%",
        "\0",
        " ",
        "\t",
        "\n",
        "-",
        "evil",
        "evil.example",
        ",",
        "[",
        "]",
        "\u200d",
        "xn--",
    ]
) | st.text(max_size=3)


@st.composite
def near_misses(draw: st.DrawFn) -> str:
    host = draw(st.sampled_from(BASES))
    change = draw(st.integers(0, 6))
    at = draw(st.integers(0, len(host)))
    if change == 1:
        host = host[:at] + draw(noise) + host[at:]
    elif change == 2:
        host = host[:at] + host[at + 1 :]
    elif change == 3:
        host = host.translate(lookalikes)
    elif change == 4:
        host = "".join(draw(st.sampled_from([c.lower(), c.upper()])) for c in host)
    elif change == 5:
        host = draw(noise) + host + draw(noise)
    elif change == 6:
        host = draw(st.sampled_from(BASES)) + draw(noise) + host
    port = draw(
        st.sampled_from(["5432", "6432", "5433", "05432", "", "*", "65536", "\u0665432"]) | st.integers().map(str)
    )
    return host + draw(st.sampled_from([":", "", "::", " :"])) + port + draw(st.just("") | noise)


@relaxed
@given(near_misses() | st.text())
@example(f"{SERVER}:5432")
@example(f"p{chr(0x212A)}.example:5432")
def test_no_host_outside_the_listed_ones_is_ever_permitted(claimed: str) -> None:
    assert permitted(RULES, claimed) is by_the_book(claimed)


@relaxed
@given(st.text(alphabet="/.%2fF?#\\ax\0\n *", max_size=30))
def test_below_a_scope_nothing_climbs_out_of_it(tail: str) -> None:
    scope = parse_target(f"{SUBSCRIPTION}/resourceGroups/rg-orders/*")
    claimed = f"{SUBSCRIPTION}/resourceGroups/rg-orders/{tail}"
    plain = (
        all(part and set(part) <= set(".2fFax") and part.strip(".") for part in tail.split("/")) and ".." not in tail
    )
    assert permitted((scope,), claimed) is plain


@relaxed
@given(st.text(max_size=40) | near_misses())
def test_any_text_at_all_is_a_target_or_a_value_error(text: str) -> None:
    try:
        parse_target(text)
    except ValueError as error:
        assert type(error) is ValueError
