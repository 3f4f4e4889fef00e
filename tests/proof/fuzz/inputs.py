"""What is fed in: near enough to what is right that it gets far, and wrong in every way."""

import base64
import json
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from rotation.formats import FORMATS
from rotation.ledger.records import Step
from rotation.model import Force
from rotation.rotators import ROTATORS
from rotation.spec import OURS, SAMPLE_NAMES
from tests.proof.fuzz.said import PLANTED

VAULT, SECRET = "kv", "orders-db"  # which are there, and must stay as they are
LATEST = "{the latest}"  # in a message, the version that is the latest when it is read
STRANGE = (
    "", " ", "\0", "\n", "a\nb", "'", '"', "; DROP ROLE app; --", "../..", "%2e%2e", "${ENV}", "{{7*7}}",
    "\ud800", "\udfff", "\u202e", "é" * 300, "NaN", "1e999", "-1", "0", "9" * 30, "true", "null", "[]", "{}",
    "kv.evil.example", "https://evil.example/", "[::1]:5432", "/var/run/postgresql", "a,b", ",", "*", "!", "-" * 128,
)  # fmt: skip
WORDS = (*STRANGE, VAULT, SECRET, *sorted(OURS), *SAMPLE_NAMES.values(), *ROTATORS, *Step)

words = st.sampled_from(WORDS)
texts = st.one_of(words, st.text(max_size=60), st.lists(words, max_size=4).map("".join))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.one_of(scalars, scalars, st.lists(scalars, max_size=3), st.dictionaries(texts, scalars, max_size=3))


def objects(*keys: str) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects, most of them with keys that mean something."""
    return st.dictionaries(st.one_of(st.sampled_from(keys), texts), st.one_of(texts, values), max_size=len(keys) + 2)


def written(what: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    """As JSON, and sometimes cut off or with something strange in it."""
    whole = what.map(json.dumps)
    cut = st.tuples(whole, st.integers(0, 400)).map(lambda both: both[0][: both[1]])
    mixed = st.tuples(whole, words, st.integers(0, 400)).map(
        lambda all_: all_[0][: all_[2]] + all_[1] + all_[0][all_[2] :]
    )
    return st.one_of(whole, whole, cut, mixed, texts)


MESSAGE_KEYS = ("vault", "secret", "version", "reason", "actor", "actor_id", "force", "early", "demanded")
messages = written(
    st.fixed_dictionaries(
        {"vault": st.one_of(st.just(VAULT), texts), "secret": st.one_of(st.just(SECRET), texts), "version": texts},
        optional={key: st.one_of(texts, values) for key in MESSAGE_KEYS[3:]},
    )
    | st.fixed_dictionaries(
        {"vault": st.just(VAULT), "secret": st.just(SECRET), "version": st.sampled_from((LATEST, "0" * 32, None))},
        optional={
            "reason": st.sampled_from(("near-expiry", "expired", "sweep", "operator")) | texts,
            "actor": texts,
            "actor_id": texts,
            "force": st.sampled_from(tuple(Force)) | texts,
            "early": st.booleans(),
            "demanded": st.booleans(),
        },
    )
    | objects(*MESSAGE_KEYS)
)

EVENT_KEYS = ("VaultName", "ObjectType", "ObjectName", "Version", "NBF", "EXP", "Id")
NEAR, EXPIRED = "Microsoft.KeyVault.SecretNearExpiry", "Microsoft.KeyVault.SecretExpired"
kinds = st.one_of(st.just(NEAR), st.just(EXPIRED), st.just(NEAR), scalars)
usual_data = {"VaultName": VAULT, "ObjectType": "Secret", "ObjectName": SECRET, "Version": "0" * 32}
event_data = st.one_of(
    st.dictionaries(st.sampled_from(EVENT_KEYS), texts, max_size=1).map(lambda other: usual_data | other),
    st.fixed_dictionaries(
        {
            "VaultName": st.one_of(st.just(VAULT), texts),
            "ObjectName": st.one_of(st.just(SECRET), texts),
            "Version": texts,
        },
        optional={"ObjectType": st.one_of(st.just("Secret"), texts), "EXP": values},
    ),
    objects(*EVENT_KEYS, *(f" {key} " for key in EVENT_KEYS)),
    values,
)
events = st.tuples(kinds, event_data)

tags = st.dictionaries(
    st.one_of(st.sampled_from((*sorted(OURS), *SAMPLE_NAMES.values())), texts),
    st.one_of(st.integers(-5, 5000).map(str), st.sampled_from(tuple(ROTATORS)), texts),
    max_size=18,
)
HOST = "db.example"
APPLICATION = "00000000-0000-0000-0000-0000000000a1"
ACCOUNT = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourcegroups/rg"
    "/providers/microsoft.storage/storageaccounts/storders"
)
PERMITTED = (HOST, ACCOUNT, APPLICATION)
PERMITTED_SLOTS = ("app", "a", "b", "key1", "key2")
NEARLY = (
    ".", ".evil.example", ":5433", ":6432", ":*", "/orders", "/../x", "/*", "@evil.example", "%00", "#", " ", "\u212a",
)  # fmt: skip

# The server that is there, with the password that holds, in each format; whole, or with something wrong.
WRITTEN = (
    f"postgresql://app:{quote(PLANTED, safe='')}@{HOST}:5432/orders",
    f"host={HOST} user=app password='{PLANTED}' dbname=orders",
    f"Host={HOST};Username=app;Password={PLANTED};Database=orders",
    f"jdbc:postgresql://{HOST}:5432/orders?user=app&password={quote(PLANTED, safe='')}",
    f"Driver={{PostgreSQL Unicode}};Server={HOST};Uid=app;Pwd={{{PLANTED}}};Database=orders",
    json.dumps({"username": "app", "password": PLANTED, "host": HOST, "port": 5432, "dbname": "orders"}),
    f"DefaultEndpointsProtocol=https;AccountName=storders;AccountKey={base64.b64encode(PLANTED.encode()).decode()};EndpointSuffix=core.windows.net",
    PLANTED,
)
ESCAPES = (
    "\\ud800", "\\u0000", "%ED%A0%80", "%zz", "''", '\\"', ";", "&", "=", "?hostaddr=192.0.2.1", ",evil.example",
)  # fmt: skip
whole = st.sampled_from(WRITTEN)
connections = st.one_of(
    whole,
    whole.map(lambda text: text.replace("app", "a")),
    st.tuples(whole, words | st.sampled_from(ESCAPES), st.integers(0, 120), st.integers(0, 3)).map(
        lambda all_: all_[0][: all_[2]] + all_[1] + all_[0][all_[2] + all_[3] :]
    ),
    st.tuples(whole, st.sampled_from(NEARLY)).map(lambda both: both[0].replace(HOST, HOST + both[1])),
    texts,
)
DATABASES = ("postgres", "postgres+admin", "postgres-alternating", "postgres-alternating+admin")
no_tags: st.SearchStrategy[dict[str, str]] = st.just({})
few_tags = st.dictionaries(
    st.sampled_from(sorted({*OURS, "team"} - {"rotator"})), st.integers(-5, 400).map(str) | texts, max_size=3
)
values_and_tags = st.tuples(st.sampled_from(DATABASES), connections, no_tags | few_tags | tags)
nearly_permitted = st.tuples(st.sampled_from(PERMITTED), st.sampled_from(NEARLY)).map("".join)
claims = st.tuples(
    # A kind with a file of its own as often as one of the many that are rows of a table.
    st.sampled_from([name for name, kind in ROTATORS.items() if not kind.row]) | st.sampled_from(tuple(ROTATORS)),
    connections,
    st.tuples(
        no_tags | few_tags,
        st.fixed_dictionaries(
            {},
            optional={
                "target": st.sampled_from((*PERMITTED, *map(str.upper, PERMITTED))) | nearly_permitted,
                "slots": st.sampled_from(("a,b", "app,a", "key1,key2", "app", "postgres", "A,b", "app,postgres")),
                "format": st.sampled_from(FORMATS),
            },
        ),
    ).map(lambda both: both[0] | both[1]),
)

RULE_KEYS = (
    "vaults", "secrets", "rotators", "targets", "slots", "pairs", "admin", "admin-user", "max-validity-days", "window",
    "min-grace-hours", "min-interval-hours", "verify-hours", "expiry-jitter-percent", "tls", "password",
    "retire", "max-grace-hours",
    "refresh",
)  # fmt: skip
GOOD_RULE = (
    'vaults = ["kv-a"]', 'secrets = ["orders-*", "!orders-x"]', 'rotators = ["postgres"]',
    'targets = ["db.example.com"]', 'slots = ["a", "b"]', 'admin = "secret:pg-admin"', 'tls = "verify-full"',
    'window = "Sat,Sun 01:00-05:00 Europe/Berlin"', "max-validity-days = 90",
)  # fmt: skip
toml_values = st.one_of(
    st.integers().map(str), st.floats(allow_nan=False).map(repr), st.booleans().map(lambda one: str(one).lower()),
    texts.map(json.dumps), st.lists(texts, max_size=4).map(json.dumps), texts,
)  # fmt: skip
lines = st.one_of(st.tuples(st.sampled_from(RULE_KEYS), toml_values).map(" = ".join), texts)
# A rule as it should be, with a line or two too many or in the wrong place.
policies = st.tuples(
    st.lists(st.sampled_from(GOOD_RULE), min_size=5, unique=True), st.lists(lines, max_size=2), st.integers(0, 9)
).map(lambda all_: "\n".join(("[[rule]]", *all_[0][: all_[2]], *all_[1], *all_[0][all_[2] :])))

FILTER_KEYS = ("vaults", "names", "rotators", "force")
filters = written(objects(*FILTER_KEYS))
