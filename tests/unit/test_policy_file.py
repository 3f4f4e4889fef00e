from __future__ import annotations

import re
from datetime import UTC, timedelta
from pathlib import Path
from string import ascii_letters

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.postgres import ADMIN
from rotation.errors import Denied, Misconfigured
from rotation.model import Admin, PasswordRules, RequestedAccess, SecretRef, Spec, Tls
from rotation.policy import Policy, RuleTerms
from rotation.policy.file import Finding, check, load
from rotation.policy.retiring import MAX_GRACE_HOURS
from rotation.policy.rule_reader import KEYS, Known

relaxed = settings(deadline=None, database=None, max_examples=200)

DATABASES = ("postgres", "postgres-alternating", "mysql", "mysql-alternating")
SERVERS = (*DATABASES, "redis-user", "rabbitmq")
KNOWN = (*SERVERS, "generated", "storage-key", "entra-app-secret")
NAMES = Known(
    rotators=KNOWN,
    needs_slots=SERVERS,
    needs_target=(*SERVERS, "storage-key", "entra-app-secret"),
    takes_turns=("postgres-alternating", "mysql-alternating"),
)
ROOT = Path(__file__).parents[2]
SAMPLE, LOCAL = ROOT / "policy.toml", ROOT / "local" / "policy.toml"

SOUND = """\
[[rule]]
vaults = ["kv-a"]
secrets = ["db-*"]
rotators = ["postgres"]
targets = ["db.example.com"]
slots = ["orders_a"]
"""


def findings(text: str) -> list[Finding]:
    return check(text, NAMES)[1]


def only(text: str) -> Finding:
    (finding,) = findings(text)
    assert finding.message.isprintable()
    return finding


def sound(text: str) -> Policy:
    policy, wrong = check(text, NAMES)
    assert wrong == []
    return policy


# what is read


def test_a_rule_with_every_key_is_read_whole() -> None:
    policy = sound("""
[[rule]]
vaults = ["KV-Orders"]
secrets = ["Orders-DB-*", "!orders-db-admin"]
rotators = ["postgres", "postgres-alternating"]
targets = ["localhost", "[::1]:5433"]
slots = ["orders_a", "Orders B", "c"]
pairs = [["Orders B", "orders_a"]]
admin = "secret:Orders-DB-Admin"
admin-user = "pgadmin"
max-validity-days = 30
min-grace-hours = 8000
retire = "when-unread"
max-grace-hours = 8760
min-interval-hours = 0
window = "Sat 01:00-05:00 UTC"
verify-hours = 6
expiry-jitter-percent = 0
password = { length = 64, alphabet = "url-safe" }
tls = "disable"
""")
    (rule,) = policy.rules
    assert rule.vaults == ("kv-orders",)
    assert rule.secrets == ("orders-db-*", "!orders-db-admin")
    assert rule.terms == RuleTerms(
        rule=1,
        slots=("orders_a", "Orders B", "c"),
        pairs=(("Orders B", "orders_a"),),
        min_grace_hours=8000,
        max_grace_hours=8760,
        admin=Admin("secret", "orders-db-admin", "pgadmin"),
        max_validity_days=30,
        min_interval=timedelta(0),
        window=rule.terms.window,
        verify_every=timedelta(hours=6),
        jitter_percent=0,
        password=PasswordRules(64, "url-safe"),
        tls=Tls.DISABLE,
    )
    assert rule.terms.window is not None
    assert rule.terms.window.zone is UTC


def test_what_a_rule_leaves_out_has_the_documented_defaults() -> None:
    (rule,) = sound(SOUND).rules
    assert rule.terms == RuleTerms(
        rule=1,
        slots=("orders_a",),
        admin=None,
        max_validity_days=365,
        min_interval=timedelta(hours=24),
        window=None,
        verify_every=timedelta(hours=24),
        jitter_percent=5,
        password=PasswordRules(40, "url-safe"),
        tls=Tls.VERIFY_FULL,
    )


def test_verify_hours_of_zero_means_never() -> None:
    assert sound(SOUND + "verify-hours = 0\n").rules[0].terms.verify_every is None


def test_the_apps_own_identity_may_be_the_administrator() -> None:
    azures = SOUND.replace("db.example.com", "db.postgres.database.azure.com")
    policy = sound(azures + 'admin = "identity"\nadmin-user = "keyturn"\n')
    assert policy.rules[0].terms.admin == Admin("identity", None, "keyturn")


def test_a_host_without_a_port_permits_those_of_the_rules_rotators() -> None:
    text = '[[rule]]\nvaults = ["a"]\nsecrets = ["b"]\nrotators = ["cache", "generated"]\ntargets = ["x.example.com"]\n'
    policy, wrong = check(text, Known(("cache", "generated"), ports={"cache": (6380,), "other": (9,)}))
    assert wrong == []
    (target,) = policy.rules[0].targets
    assert [port for port in (9, 5432, 6380, 6432) if target.permits(f"x.example.com:{port}")] == [6380]


def test_rules_are_numbered_in_the_order_of_the_file() -> None:
    assert [rule.terms.rule for rule in sound(SOUND * 3).rules] == [1, 2, 3]


@pytest.mark.parametrize("text", ["", "# nothing\n", "rule = []"])
def test_a_file_without_rules_is_sound_and_permits_nothing(text: str) -> None:
    assert sound(text) == Policy()


def test_rules_may_be_written_as_one_array() -> None:
    assert len(sound('rule = [{ vaults = ["a"], secrets = ["b"], rotators = ["generated"] }]').rules) == 1


# what is wrong


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('vaults = ["kv-*"]', "exact short name"),
        ('vaults = ["*"]', "list each vault"),
        ('vaults = ["https://kv-a.vault.azure.net"]', "exact short name"),
        ("vaults = []", "not empty"),
        ('vaults = "kv-a"', "must be a list"),
        ("vaults = [1]", "text in quotes"),
        ('secrets = ["db_*"]', "letters, digits and hyphens"),
        ('secrets = ["db-?"]', "letters, digits and hyphens"),
        ('secrets = ["db-[ab]"]', "letters, digits and hyphens"),
        ('secrets = [""]', "letters, digits and hyphens"),
        ('secrets = ["!db-a"]', "only takes away"),
        ('rotators = ["postgresql"]', "entra-app-secret, generated, mysql, mysql-alternating, postgres"),
        ("rotators = []", "not empty"),
        ('targets = ["*.postgres.database.azure.com"]', "global name space"),
        ('targets = ["/subscriptions/x/*"]', "a resource group"),
        ("targets = []", "not empty"),
        ("slots = []", "not empty"),
        ('slots = ["orders_*"]', "exact name"),
        ('slots = [" a"]', "exact name"),
        ('slots = ["a,b"]', "exact name"),
        ('slots = [""]', "exact name"),
        ('slots = ["a\\nb"]', "exact name"),
        ('slots = ["*"]', "localhost"),
        ("pairs = []", "not empty"),
        ('pairs = "orders_a"', 'pairs = [["a", "b"], ["c", "d"]]'),
        ('pairs = ["orders_a"]', "a list of two different slots"),
        ("pairs = [5]", "a list of two different slots"),
        ('pairs = ["ab"]', "a list of two different slots"),
        ('pairs = [["orders_a"]]', "a list of two different slots"),
        ('pairs = [["orders_a", "orders_a"]]', "a list of two different slots"),
        ('pairs = [["orders_a", "b", "c"]]', "a list of two different slots"),
        ('pairs = [["orders_a", "b"]]', "'b': this is none of the rule's `slots`"),
        ('pairs = [["Orders_a", "orders_a"]]', "'Orders_a': this is none of the rule's `slots`"),
        ('pairs = [["orders_a", 5]]', "5: this is none of the rule's `slots`"),
        ('pairs = [["orders_a", ["b"]]]', "this is none of the rule's `slots`"),
        ('admin = "postgres"', '"identity"'),
        ('admin = "secret:pg-admin--staged"', 'staged values are kept under such a name; write admin = "secret:NAME"'),
        ('admin = "secret:PG-admin--STAGED"', "staged values"),
        ('admin = "secret:"', '"identity"'),
        ('admin = "secret:a/b"', '"identity"'),
        ('admin = "file:pg-admin"', '"identity"'),
        ('admin = "Identity"', '"identity"'),
        ('admin = ""', "not blank"),
        ("admin = true", "text in quotes"),
        ('admin-user = "x"', "without `admin`"),
        ("max-validity-days = 0", "1 to 3650"),
        ("max-validity-days = 3651", "1 to 3650"),
        ("max-validity-days = true", "whole number"),
        ('max-validity-days = "90"', "whole number"),
        ("max-validity-days = 90.0", "whole number"),
        ("min-grace-hours = -1", "0 to 8760"),
        ("min-grace-hours = 8761", "0 to 8760"),
        ("min-grace-hours = 1.5", "whole number"),
        ("min-grace-hours = true", "whole number"),
        ('retire = "unread"', 'write "after-grace" or "when-unread"'),
        ("retire = true", "text in quotes"),
        ("max-grace-hours = 24", 'the bound of `retire = "when-unread"`'),
        ("min-interval-hours = -1", "0 to 8760"),
        ("min-interval-hours = 8761", "0 to 8760"),
        ("verify-hours = -1", "0 to 8760"),
        ("verify-hours = 8761", "0 to 8760"),
        ("expiry-jitter-percent = 21", "0 to 20"),
        ('window = "weekends"', "Europe/Berlin"),
        ('window = "Sat 01:00-05:00 Mars/Base"', "no time zone"),
        ("window = 5", "text in quotes"),
        ("password = 40", "length = 40"),
        ("password = { length = 15 }", "16 to 256"),
        ("password = { length = 257 }", "16 to 256"),
        ('password = { alphabet = "emoji" }', "url-safe"),
        ("password = { lenght = 40 }", "write `length`"),
        ("password = { exclude = 5 }", "`password.exclude` must be text"),
        ('password = { require = "symbol" }', "`password.require` must be a list"),
        ("password = { require = [] }", "`password.require` must be a list"),
        ("password = { require = [1] }", "`password.require` 1: this must be text"),
        ('password = { require = ["vowel"] }', "some of upper, lower, digit, symbol"),
        ('password = { require = ["digit", "digit"] }', "each once"),
        ('password = { exclude = "-_", require = ["symbol"] }', "no symbol is left in the alphabet url-safe"),
        ('password = { exclude = "-_", require = ["symbol"] }', "exclude fewer"),
        (
            f'password = {{ length = 16, exclude = "{ascii_letters}" }}',
            "leaves 57 bits of randomness, fewer than 16 hex",
        ),
        ('tls = "require"', "disable, verify-full"),
        ("tls = false", "text in quotes"),
        ('target = ["db.example.com"]', "write `targets`"),
        ("max-grace-hour = 24", "write `max-grace-hours`"),
        ("colour = 1", "known are vaults, secrets"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_the_remedy(line: str, said: str) -> None:
    key = line.partition(" = ")[0]
    kept = [other for other in SOUND.splitlines() if not other.startswith(f"{key} ")]
    text = "\n".join([*kept, "# a comment", line]) + "\n"
    finding = only(text)
    assert said in finding.message
    assert key in finding.message
    assert finding.line == text.splitlines().index(line) + 1


@pytest.mark.parametrize(
    ("lines", "said", "number"),
    [
        ('retire = "after-grace"\nmax-grace-hours = 24', 'the bound of `retire = "when-unread"`', 2),
        ('retire = "when-unread"\nmax-grace-hours = 0', "1 to 8760", 2),
        ('retire = "when-unread"\nmax-grace-hours = 8761', "1 to 8760", 2),
        (
            'retire = "when-unread"\nmin-grace-hours = 24\nmax-grace-hours = 23',
            "below the rule's `min-grace-hours` 24",
            3,
        ),
        ('min-grace-hours = 169\nretire = "when-unread"', "`max-grace-hours` 168 is below", 0),
    ],
)
def test_a_bound_on_the_grace_period_that_bounds_nothing_is_told(lines: str, said: str, number: int) -> None:
    finding = only(SOUND + lines + "\n")
    assert said in finding.message
    assert finding.line == (len(SOUND.splitlines()) + number if number else 1)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('retire = "unread"\nmax-grace-hours = 24', "`retire` 'unread'"),
        ('retire = "when-unread"\nmin-grace-hours = "24"', "`min-grace-hours` must be a whole number"),
        ('retire = "when-unread"\nmin-grace-hours = 169.5', "`min-grace-hours` must be a whole number"),
    ],
)
def test_a_bound_is_not_held_against_a_term_that_is_wrong_itself(lines: str, said: str) -> None:
    assert only(SOUND + lines + "\n").message.startswith(said)


def test_an_old_slot_waits_for_readers_only_where_the_rule_says_so() -> None:
    def bound(lines: str) -> int | None:
        return sound(SOUND + lines).rules[0].terms.max_grace_hours

    assert bound("") is bound('retire = "after-grace"\n') is None
    assert bound('retire = "when-unread"\n') == MAX_GRACE_HOURS
    assert bound('retire = "when-unread"\nmin-grace-hours = 24\nmax-grace-hours = 24\n') == 24


@pytest.mark.parametrize("key", ["vaults", "secrets", "rotators"])
def test_a_key_that_every_rule_needs_is_missed_at_the_rules_head(key: str) -> None:
    second = "".join(line for line in SOUND.splitlines(keepends=True) if not line.startswith(key))
    finding = only(SOUND + second)
    assert finding.line == 7
    assert f"`{key}` is missing" in finding.message


@pytest.mark.parametrize("key", ["slots", "targets"])
def test_a_rotator_that_needs_slots_or_targets_is_not_left_wide_open(key: str) -> None:
    finding = only("".join(line for line in SOUND.splitlines(keepends=True) if not line.startswith(key)))
    assert finding == Finding(
        4,
        {
            "slots": "postgres needs `slots`: list the roles or keys that it may change",
            "targets": "postgres needs `targets`: list the servers or resources that it may change",
        }[key],
    )


def test_a_wrong_element_of_a_long_list_is_told_with_its_own_line() -> None:
    finding = only(SOUND.replace('["db.example.com"]', '[\n  "db.example.com",\n\n  "db.*.com", # here\n]'))
    assert finding.line == 8


def test_a_wrong_element_moves_no_mistake_after_it_to_another_line() -> None:
    def lines(key: str, *elements: str) -> list[int]:
        kept = [line for line in SOUND.splitlines() if not line.startswith(f"{key} ")]
        listed = "".join(f'"{element}",\n' for element in elements)
        return [finding.line - len(kept) - 1 for finding in findings("\n".join([*kept, f"{key} = [\n{listed}]\n"]))]

    assert lines("targets", "db.*.com", "db.example.com", "db.example.com") == [1, 3]
    assert lines("followers", "db-url", "kv-b/db-url", "KV-B/DB-URL") == [1, 3]
    without = SOUND.replace('targets = ["db.example.com"]\n', "").replace('["postgres"]', '[\n"mysql",\n"postgres",\n]')
    assert [finding.line for finding in findings(without)] == [5, 6]


@pytest.mark.parametrize("targets", ['["localhost", "127.0.0.1:*", "[::1]:5432"]', '["127.3.2.1"]'])
def test_any_slot_may_be_permitted_on_this_machines_own_servers(targets: str) -> None:
    text = SOUND.replace('["orders_a"]', '["*"]').replace('["db.example.com"]', targets)
    assert sound(text).rules[0].terms.slots == ("*",)


@pytest.mark.parametrize(
    "targets",
    [
        '["localhost", "db.example.com"]',
        '["localhost.example.com"]',
        '["localhost", "/subscriptions/s/resourceGroups/rg-local/*"]',
        '["localhost", "aaaaaaaa-2222-3333-4444-555555555555"]',
    ],
)
def test_any_slot_is_refused_as_soon_as_one_target_is_elsewhere(targets: str) -> None:
    finding = only(SOUND.replace('["orders_a"]', '["*"]').replace('["db.example.com"]', targets))
    assert finding.line == 6
    assert "localhost" in finding.message


def test_any_slot_is_refused_in_a_rule_without_targets() -> None:
    text = '[[rule]]\nvaults = ["a"]\nsecrets = ["b"]\nrotators = ["generated"]\nslots = ["*"]\n'
    assert only(text).line == 5


def test_a_rule_over_an_administrators_secret_is_a_mistake_with_its_remedy() -> None:
    other = '[[rule]]\nvaults = ["kv-a"]\nsecrets = ["*"]\nrotators = ["generated"]\n'
    finding = only(SOUND + 'admin = "secret:pg-admin"\n' + other)
    assert finding.line == 10
    assert '"!pg-admin"' in finding.message
    assert sound(SOUND + 'admin = "secret:pg-admin"\n' + other.replace('"*"', '"*", "!pg-admin"'))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("rules = 1\n", 1, "`rule`"),
        ("\n[rule]\nvaults = []\n", 2, "two brackets"),
        ("rule = 5", 1, "two brackets"),
        ("rule = [\n{},\n 5]", 3, "must be a table"),
        ("[[rule]]\n[[rule.password]]\nlength = 20\n", 2, "`password` must be"),
        ("a = 1\n\n[[rule]\n", 3, "no TOML"),
        ("a = 1\nb = [\n\n", 2, "no TOML"),
        ("a = 1\r\na = 2\r\nb = 3\r\n", 2, "no TOML"),
        ("a = " + "9" * 5000, 1, "no TOML"),
        ("a = " + "[" * 100_000, 1, "nested too deeply"),
    ],
)
def test_a_wrong_file_is_told_by_line(text: str, line: int, said: str) -> None:
    wrong = findings(text)
    assert any(finding.line == line and said in finding.message for finding in wrong), wrong


def test_all_mistakes_are_told_in_the_order_of_the_lines() -> None:
    text = SOUND + 'tls = "off"\n' + SOUND.replace("postgres", "oracle") + "verify-hours = -1\ncolour = 1\n"
    wrong = findings(text)
    assert [finding.line for finding in wrong] == [7, 11, 14, 15]


# load


def test_load_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("\ufeff" + SOUND, "utf-8")
    assert load(path, NAMES) == sound(SOUND)
    assert load(str(path), Known(KNOWN, needs_slots=KNOWN, needs_target=KNOWN)) == sound(SOUND)


def test_load_tells_the_first_mistake_and_how_many_more_there_are(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(SOUND + "colour = 1\nverify-hours = -1\nshape = 2\n", "utf-8")
    with pytest.raises(Misconfigured) as raised:
        load(path, Known(KNOWN))
    assert raised.value.field == "ROTATION_POLICY"
    assert raised.value.message.startswith(f"{path}:7: unknown key 'colour'")
    assert raised.value.message.endswith(" (and 2 more)")
    path.write_text(SOUND + "colour = 1\nshape = 2\n", "utf-8")
    with pytest.raises(Misconfigured, match=r" \(and 1 more\)$"):
        load(path, Known(KNOWN))
    path.write_text(SOUND + "colour = 1\n", "utf-8")
    with pytest.raises(Misconfigured, match=r":7: (?!.*more\)$)"):
        load(path, Known(KNOWN))


def test_load_hands_on_what_rules_must_list(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('[[rule]]\nvaults = ["a"]\nsecrets = ["b"]\nrotators = ["storage-key"]\n', "utf-8")
    assert load(path, Known(KNOWN)).rules
    with pytest.raises(Misconfigured, match="storage-key needs `slots`"):
        load(path, Known(KNOWN, needs_slots=("storage-key",)))
    with pytest.raises(Misconfigured, match="storage-key needs `targets`"):
        load(path, Known(KNOWN, needs_target=("storage-key",)))
    path.write_text(
        SOUND.replace('"postgres"', '"postgres-alternating"').replace('"orders_a"', '"a", "b", "c"'), "utf-8"
    )
    assert load(path, Known(KNOWN)).rules
    with pytest.raises(Misconfigured, match="postgres-alternating takes two of"):
        load(path, Known(KNOWN, takes_turns=("postgres-alternating",)))
    path.write_text(SOUND + 'password = { alphabet = "hex" }\n', "utf-8")
    assert load(path, Known(KNOWN, alphabets=("hex",))).rules[0].terms.password.alphabet == "hex"


def test_a_rule_says_which_characters_a_password_must_and_must_not_have(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(SOUND + 'password = { exclude = "0O1lI", require = ["digit", "symbol"] }\n', "utf-8")
    password = load(path, Known(KNOWN)).rules[0].terms.password
    assert password == PasswordRules(40, "url-safe", "0O1lI", ("digit", "symbol"))


def test_a_file_that_cant_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\nb = '\xe9'\n")
    for path, said in [
        (str(tmp_path / "none.toml"), "No such file"),
        (str(tmp_path), "directory"),
        ("nul\0byte", "not a file name"),
        (str(tmp_path / "latin"), "latin:2: this is not UTF-8"),
    ]:
        with pytest.raises(Misconfigured) as raised:
            load(path, Known(KNOWN))
        assert said in raised.value.message
        assert "\n" not in raised.value.message
        assert raised.value.field == "ROTATION_POLICY"


# the files that come with the app


def test_the_sample_policy_is_sound_and_shows_every_key() -> None:
    text = SAMPLE.read_text("utf-8")
    assert len(sound(text).rules) == 5
    assert [key for key in KEYS if not re.search(rf"^{key} = ", text, re.MULTILINE)] == []


def test_the_sample_policy_states_the_defaults_as_they_are() -> None:
    text = SAMPLE.read_text("utf-8")
    defaults = RuleTerms(rule=1)
    assert f"Default: {defaults.max_validity_days}." in text
    assert f"Default: {defaults.min_interval // timedelta(hours=1)}." in text
    assert defaults.verify_every is not None
    assert f"0: never. Default: {defaults.verify_every // timedelta(hours=1)}." in text
    assert f"0 to 20. Default: {defaults.jitter_percent}." in text
    assert f"0 to 8760. Default: {defaults.min_grace_hours}." in text
    assert f"`min-grace-hours`. Default: {MAX_GRACE_HOURS}." in text
    first = sound(text).rules[0].terms
    assert (first.password, first.tls) == (defaults.password, defaults.tls)


def spec(rotator: str) -> Spec:
    return Spec(rotator, 90, 30, 72, None, (), None, None)


@pytest.mark.parametrize("vault", ["kv-demo", "kv-orders", "kv-shared", "kv-test"])
@pytest.mark.parametrize("name", ["orders-db", "pg-admin2", "x"])
def test_the_local_policy_permits_every_rotator_against_this_machine(vault: str, name: str) -> None:
    policy = sound(LOCAL.read_text("utf-8"))
    ref = SecretRef(vault, name)
    arm = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-local/providers/X/y/z"
    for host in ("localhost", "127.0.0.1", "[::1]"):
        for rotator in ("postgres", "postgres-alternating"):
            terms = policy.terms_for(ref, spec(rotator), RequestedAccess((f"{host}:50123",), ("anyone", "else"), None))
            assert (terms.tls, terms.min_interval, terms.admin) == (Tls.DISABLE, timedelta(0), None)
    assert policy.terms_for(ref, spec("storage-key"), RequestedAccess((arm,), ("key1", "key2"), None))
    app = RequestedAccess(("00000000-0000-0000-0000-0000000000a1",), (), None)
    assert policy.terms_for(ref, spec("entra-app-secret"), app).slots == ()
    assert policy.terms_for(ref, spec("generated"), RequestedAccess((), (), None)).slots == ()


def test_the_local_policy_names_an_administrator_for_secrets_made_for_trying_that() -> None:
    policy = sound(LOCAL.read_text("utf-8"))
    access = RequestedAccess(("localhost:5432",), ("anyone",), None)
    terms = policy.terms_for(SecretRef("kv-demo", "orders-by-admin"), spec("postgres"), access)
    assert terms.admin == Admin("secret", "pg-admin", ADMIN)


@pytest.mark.parametrize("name", ["orders-by-admin", "orders-db"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_the_local_policy_gives_nobody_the_administrators_password(name: str, host: str) -> None:
    policy = sound(LOCAL.read_text("utf-8"))
    with pytest.raises(Denied, match=f"slot '{ADMIN}' is the administrator"):
        policy.terms_for(
            SecretRef("kv-demo", name), spec("postgres"), RequestedAccess((f"{host}:5432",), (ADMIN,), None)
        )


def test_the_local_policy_reaches_no_other_machine_and_not_the_administrator() -> None:
    policy = sound(LOCAL.read_text("utf-8"))
    assert not policy.covers(SecretRef("kv-demo", "pg-admin"))
    assert not policy.covers(SecretRef("kv-prod", "orders-db"))
    hosts = [target for rule in policy.rules for target in rule.targets if target.permits("db.example.com:5432")]
    assert hosts == []


# whatever the file holds

pieces = st.sampled_from(
    [
        *(f"{key} = " for key in KEYS),
        "[[rule]]\n",
        "[rule]\n",
        "[rule.password]\n",
        "rule = ",
        "\n",
        '"',
        '"""',
        "'''",
        "[",
        "]",
        "{",
        "}",
        ",",
        "#",
        ".",
        " = ",
        "0",
        "-1",
        "40",
        "1e400",
        "nan",
        "true",
        "1979-05-27",
        '"*"',
        '["*"]',
        '["a"]',
        '"secret:a"',
        '["localhost"]',
        '["[::1]"]',
        '["postgres"]',
        '["generated"]',
        '"Sat 01:00-05:00 UTC"',
        '"Sat 01:00-05:00 Europe"',
        "\0",
        "\r\n",
        "\u2028",
        "\ufeff",
    ]
)


def mends_or_tells(text: str) -> None:
    _, wrong = check(text, NAMES)
    last = text.count("\n") + 1
    for finding in wrong:
        assert 1 <= finding.line <= last
        assert finding.message.isprintable()


@relaxed
@given(st.lists(pieces | st.text(max_size=5), max_size=30).map("".join))
def test_a_file_of_any_pieces_is_read_or_told_what_is_wrong(text: str) -> None:
    mends_or_tells(text)


@relaxed
@given(st.data())
def test_a_sound_file_with_any_damage_is_read_or_told_what_is_wrong(data: st.DataObject) -> None:
    text = SAMPLE.read_text("utf-8")
    text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 30)))
        text = text[:start] + data.draw(pieces | st.text(max_size=5)) + text[end:]
    mends_or_tells(text)


values: st.SearchStrategy[object] = st.recursive(
    st.sampled_from(['"a"', '"*"', '""', '"!a"', '"secret:b"', "1", "-1", "true", "1.5", "07:32:00", '"identity"']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(inner, max_size=2).map(
            lambda items: "{" + ", ".join(f"k{i} = {v}" for i, v in enumerate(items)) + "}"
        )
    ),
    max_leaves=5,
)


@relaxed
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), values, max_size=8), max_size=3))
def test_keys_of_any_type_are_read_or_told_what_is_wrong(rules: list[dict[str, object]]) -> None:
    text = "".join("[[rule]]\n" + "".join(f"{key} = {value}\n" for key, value in rule.items()) for rule in rules)
    mends_or_tells(text)


@relaxed
@given(st.binary(max_size=60))
def test_a_file_of_any_bytes_raises_nothing_but_misconfigured(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    try:
        load(path, Known(KNOWN))
    except Misconfigured as error:
        assert error.message.startswith(str(path))
