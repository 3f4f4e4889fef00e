"""What is fed in: near enough to what is right that it gets far, and wrong in every way."""

import json
from typing import Any

from hypothesis import strategies as st

from rotation.records import Step
from rotation.rotators import ROTATORS
from rotation.spec import OURS, SAMPLE_NAMES

VAULT, SECRET = "kv", "orders-db"  # which are there, and must stay as they are
STRANGE = (
    "", " ", "\0", "\n", "'", '"', "; DROP ROLE app; --", "../..", "%2e%2e", "${ENV}", "{{7*7}}", "\ud7ff", "\u202e",
    "é" * 300, "NaN", "1e999", "-1", "0", "9" * 30, "true", "null", "[]", "{}", "kv.evil.example",
    "https://evil.example/", "[::1]:5432", "/var/run/postgresql", "a,b", ",", "*", "!", "-" * 128,
)  # fmt: skip
WORDS = (*STRANGE, VAULT, SECRET, *OURS, *SAMPLE_NAMES.values(), *ROTATORS, *Step)

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


MESSAGE_KEYS = ("vault", "secret", "version", "reason", "actor", "force", "early", "demanded")
messages = written(
    st.fixed_dictionaries(
        {"vault": st.one_of(st.just(VAULT), texts), "secret": st.one_of(st.just(SECRET), texts), "version": texts},
        optional={key: st.one_of(texts, values) for key in MESSAGE_KEYS[3:]},
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
    st.one_of(st.sampled_from((*OURS, *SAMPLE_NAMES.values())), texts),
    st.one_of(st.integers(-5, 5000).map(str), st.sampled_from(tuple(ROTATORS)), texts),
    max_size=18,
)
# Connection strings of the server that is there, with the password that holds, or with another; some are broken.
connections = st.one_of(
    st.just("postgresql://app:firstapp@db.example:5432/orders"),
    st.tuples(texts, texts).map(lambda both: f"postgresql://app:firstapp@db.example:5432/{both[0]}?{both[1]}"),
    st.tuples(texts, words).map(lambda both: f"postgresql://{both[0]}:firstapp@{both[1]}:5432/orders"),
    texts,
)

RULE_KEYS = (
    "vaults", "secrets", "rotators", "targets", "slots", "admin", "admin-user", "max-validity-days", "window",
    "min-interval-hours", "verify-hours", "expiry-jitter-percent", "tls", "password",
)  # fmt: skip
GOOD_RULE = (
    'vaults = ["kv-a"]', 'secrets = ["orders-*", "!orders-x"]', 'rotators = ["postgres"]',
    'targets = ["db.example.com"]', 'slots = ["a", "b"]', 'admin = "identity"', 'tls = "verify-full"',
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
