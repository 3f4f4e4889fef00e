"""What a rule may say of slots that take turns, of servers, and of administrators; what `check` refuses of it."""

from __future__ import annotations

import pytest

from rotation.model import Tls
from rotation.policy import Policy
from rotation.policy.file import Finding, check
from rotation.policy.known import known_names

SERVER = "/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/orders"
SOUND = """\
[[rule]]
vaults = ["kv-a"]
secrets = ["db-*"]
rotators = ["postgres"]
targets = ["db.example.com"]
slots = ["orders_a"]
"""


def only(text: str) -> Finding:
    (finding,) = check(text, known_names())[1]
    assert finding.message.isprintable()
    return finding


def sound(text: str) -> Policy:
    policy, wrong = check(text, known_names())
    assert wrong == []
    return policy


# which slots take turns

FOUR = SOUND.replace('"postgres"', '"postgres", "postgres-alternating"').replace('"orders_a"', '"a", "b", "c", "d"')


def test_a_rule_of_more_than_two_slots_that_take_turns_says_which_do() -> None:
    assert only(FOUR) == Finding(
        6,
        "postgres-alternating takes two of the `slots` in turn, and here are more: say which two, such as "
        'pairs = [["a", "b"], ["c", "d"]]',
    )
    odd = only(FOUR.replace('"b", "c", "d"', r'"a", "\u00e4\"", "c"')).message
    assert odd.endswith('pairs = [["a", "\u00e4\\""]]')


@pytest.mark.parametrize("line", ['pairs = [["a", "b"], ["c", "d"]]', 'pairs = [["d", "a"]]'])
def test_the_line_that_the_check_says_makes_the_rule_sound(line: str) -> None:
    pairs = [["a", "b"], ["c", "d"]] if "b" in line else [["d", "a"]]
    assert sound(f"{FOUR}{line}\n").rules[0].terms.pairs == tuple(map(tuple, pairs))


@pytest.mark.parametrize(
    "text",
    [
        FOUR.replace('"a", "b", "c", "d"', '"a", "b"'),
        FOUR.replace('"a", "b", "c", "d"', '"a", "b", "a"'),
        FOUR.replace('"a", "b", "c", "d"', '"a"'),
        FOUR.replace('"a", "b", "c", "d"', '"*"').replace("db.example.com", "localhost"),
        FOUR.replace(', "postgres-alternating"', ""),
        FOUR.replace(', "postgres-alternating"', "") + 'pairs = [["a", "b"]]\n',
    ],
    ids=["two", "two-said-twice", "one", "any", "in-place-alone", "in-place-alone-with-pairs"],
)
def test_a_rule_whose_slots_leave_no_choice_needs_no_pairs(text: str) -> None:
    assert sound(text)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ('[["a", "b"], ["b", "c"]]', "'b': this takes turns with another already"),
        ('[["a", "b"], ["c", "a"]]', "'a': this takes turns with another already"),
        ('[["a", "b"], ["b", "a"]]', "'b': this takes turns with another already"),
    ],
)
def test_no_slot_takes_turns_with_two_others(pairs: str, said: str) -> None:
    finding = only(FOUR + "pairs = " + pairs.replace("], ", "],\n") + "\n")
    assert finding.line == 8
    assert said in finding.message


def test_a_slot_that_is_no_text_is_told_in_its_list_and_in_its_pair() -> None:
    text = SOUND.replace('"orders_a"', '"a", ["b"]') + 'pairs = [["a", ["b"]]]\n'
    said = [(finding.line, finding.message.partition(":")[0]) for finding in check(text, known_names())[1]]
    assert said == [(6, "`slots` ['b']"), (7, "`pairs` ['b']")]


def test_any_slot_is_in_no_pair() -> None:
    text = SOUND.replace("db.example.com", "localhost").replace('"orders_a"', '"*", "a"')
    assert "`slots`, which must list it by name" in only(text + 'pairs = [["*", "a"]]\n').message


# one server under two names


@pytest.mark.parametrize(
    ("targets", "index", "before"),
    [
        ('"db.example.com", "DB.example.com"', 1, "db.example.com"),
        ('"db.example.com", "x", "db.example.com:5432"', 2, "db.example.com"),
        ('"db.example.com:5433", "db.example.com:*"', 1, "db.example.com"),
        ('"[2001:db8::7]", "[2001:DB8:0:0::7]"', 1, "[2001:db8::7]"),
        ('"192.0.2.7", "[::ffff:192.0.2.7]:6432"', 1, "192.0.2.7"),
        ('"localhost", "localhost:5432"', 1, "localhost"),
        ('"/subscriptions/s/resourceGroups/RG/*", "/subscriptions/s/resourcegroups/rg/*"', 1, "/subscriptions/s/"),
        ('"/subscriptions/s/resourceGroups/g/providers/x/y/Z", "/subscriptions/s/resourceGroups/g/providers/x/y/z"', 1,
         "/subscriptions/s/resourcegroups/g/providers/x/y/z"),
        ('"AAAAAAAA-2222-3333-4444-555555555555", "aaaaaaaa-2222-3333-4444-555555555555"', 1, "aaaaaaaa-2222"),
    ],
)  # fmt: skip
def test_a_server_that_is_certainly_named_twice_is_refused(targets: str, index: int, before: str) -> None:
    finding = only(SOUND.replace('"db.example.com"', targets.replace(", ", ",\n")))
    assert finding.line == 5 + index
    assert f"`targets` names one server or resource twice, before as {before}" in finding.message


def test_a_server_named_three_times_is_told_twice() -> None:
    text = SOUND.replace('"db.example.com"', '"db.example.com",\n"db.example.com:5432",\n"DB.example.com"')
    assert [finding.line for finding in check(text, known_names())[1]] == [6, 7]


@pytest.mark.parametrize(
    "targets",
    [
        '"localhost", "127.0.0.1", "127.0.0.2", "[::1]"',  # this machine's own names
        '"db.example.com", "db.example.com:5433", "db.example.com:5434"',  # ports of their own
        '"db.example.com", "db.example"',
        '"192.0.2.7", "[::ffff:192.0.2.8]"',
        '"/subscriptions/s/resourceGroups/g/*", "/subscriptions/s/resourceGroups/g/providers/x/y/z"',
        f'"orders.postgres.database.azure.com", "{SERVER}"',  # a secret with the id as its target needs both
    ],
)
def test_names_that_may_stand_side_by_side_are_no_mistake(targets: str) -> None:
    assert sound(SOUND.replace('"db.example.com"', targets))


# administrators

SECRET = 'admin = "secret:pg-admin"\n'
APPLICATION = "aaaaaaaa-2222-3333-4444-555555555555"
ACCOUNTS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage"


@pytest.mark.parametrize("slots", ['"orders_a",\n"boss"', '"boss"'])
def test_an_administrator_is_not_among_the_slots(slots: str) -> None:
    text = SOUND.replace('"orders_a"', slots) + SECRET
    finding = only(text + 'admin-user = "boss"\n')
    assert finding.line == 6 + slots.count("\n")
    assert finding.message == "`slots` names the administrator 'boss', `admin-user`; take it out of the list"
    assert sound(text + 'admin-user = "Boss"\n')
    nowhere = text.replace('"postgres"', '"generated"').replace('targets = ["db.example.com"]', "")
    assert only(nowhere + 'admin-user = "boss"\n') == finding


@pytest.mark.parametrize(
    ("mine", "theirs", "met"),
    [
        ("db.example.com", "DB.example.com:5433", True),
        ("localhost", "127.0.0.1", True),
        (SERVER, SERVER.upper(), True),
        (SERVER, f"{SERVER}-2", False),
        ("db.example.com", "db2.example.com", False),
    ],
)
def test_nor_among_the_slots_of_another_rule_on_the_same_server(mine: str, theirs: str, met: bool) -> None:
    other = SOUND.replace("db.example.com", theirs).replace("kv-a", "kv-b") + SECRET + 'admin-user = "orders_b"\n'
    text = SOUND.replace("db.example.com", mine).replace("orders_a", "orders_b") + other
    if not met:
        assert sound(text)
        return
    finding = only(text)
    assert finding.line == 6
    assert "'orders_b', `admin-user` of rule 2 on the same server" in finding.message


def test_an_administrator_of_two_rules_is_told_once() -> None:
    other = SOUND.replace("kv-a", "kv-b") + SECRET + 'admin-user = "boss"\n'
    finding = only(SOUND.replace('"orders_a"', '"boss"') + SECRET + 'admin-user = "boss"\n' + other)
    assert finding.line == 6
    assert "'boss', `admin-user`;" in finding.message


def test_each_administrator_and_each_server_that_is_not_azures_is_told_at_once() -> None:
    mine = SOUND.replace('"orders_a"', '"boss",\n"chief"').replace(
        '"db.example.com"', '"a.example.com",\n"b.example.com"'
    )
    other = SOUND.replace("kv-a", "kv-b").replace("db.example", "b.example") + SECRET + 'admin-user = "chief"\n'
    wrong = check(mine + 'admin = "identity"\nadmin-user = "boss"\n' + other, known_names())[1]
    assert [(finding.line, finding.message.partition(",")[0]) for finding in wrong] == [
        (5, "`targets` a.example.com is no server of Azure's"),
        (6, "`targets` b.example.com is no server of Azure's"),
        (7, "`slots` names the administrator 'boss'"),
        (8, "`slots` names the administrator 'chief'"),
    ]


@pytest.mark.parametrize(
    "targets",
    ['"localhost"', '"127.0.0.1", "[::1]:9"', f'"localhost", "{ACCOUNTS}/*"', f'"localhost", "{APPLICATION}"'],
)
@pytest.mark.parametrize("tls", ["disable", "verify-full"])
def test_on_this_machine_an_administrator_needs_no_tls(targets: str, tls: str) -> None:
    text = SOUND.replace('"db.example.com"', targets) + SECRET
    assert sound(f'{text}tls = "{tls}"\n').rules[0].terms.tls is Tls(tls)


@pytest.mark.parametrize(
    "target",
    ["db.example.com", "10.0.0.5", "[2001:db8::7]", SERVER, "/subscriptions/s/resourceGroups/g/*",
     "/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/*"],
)  # fmt: skip
def test_elsewhere_an_administrator_logs_in_over_tls_alone(target: str) -> None:
    text = SOUND.replace('"db.example.com"', f'"localhost", "{target}"')
    finding = only(f'{text}{SECRET}tls = "disable"\n')
    assert finding.line == 8
    assert 'write tls = "verify-full"' in finding.message
    assert sound(f'{text}{SECRET}tls = "verify-full"\n')
    assert sound(f'{text}tls = "disable"\n')  # nobody's login but the consumers' own, who go that way as well


@pytest.mark.parametrize(
    "target",
    [
        "orders.postgres.database.azure.com",
        "Orders.Postgres.Database.Azure.com:6432",
        "orders.postgres.database.usgovcloudapi.net",
        "orders.postgres.database.chinacloudapi.cn:*",
        SERVER,
        "/subscriptions/s/resourceGroups/g/*",
    ],
)
def test_the_apps_token_goes_to_azures_servers(target: str) -> None:
    assert sound(SOUND.replace("db.example.com", target) + 'admin = "identity"\n')


@pytest.mark.parametrize(
    "target",
    [
        "db.example.com",
        "orders.postgres.database.azure.com.evil.example",
        "orders.evil-postgres.database.azure.com",
        "postgres.database.azure.com",
        "orders.postgres.database.azure.co",
        "orders.postgres.database.azure.com.example:5432",
        "10.0.0.5",
        "localhost",
        "[::1]",
    ],
)
def test_and_to_no_other_server(target: str) -> None:
    text = SOUND.replace('"db.example.com"', f'"orders.postgres.database.azure.com",\n"{target}"')
    finding = only(text + 'admin = "identity"\n')
    assert finding.line == 6
    assert "is no server of Azure's, and would be shown this app's own token" in finding.message
    assert 'write admin = "secret:NAME"' in finding.message
    assert sound(text + SECRET)
