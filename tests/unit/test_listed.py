"""A rule may list what stands for several slots: a user, for the places of its passwords (`RequestedAccess.listed`)."""

from types import SimpleNamespace
from typing import Any

from rotation.engine.sweep import Sweeper
from rotation.ledger.asked import Asked
from rotation.model import RequestedAccess, SecretRef
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.targets import parse_target
from tests.contract.secrets_at_hand import make_spec

CACHE = ("cache.example:6379",)
ACCESS = RequestedAccess(CACHE, ("orders:a", "orders:b"), "orders:a", "redis", listed=("orders",))
RULE = Rule(("kv",), ("*",), ("redis-user",), RuleTerms(rule=1, slots=("orders", "billing")), (parse_target(CACHE[0]),))


def test_a_history_keeps_what_a_rule_has_to_list_and_nothing_new_where_the_slots_are_listed_themselves() -> None:
    asked = Asked.of("redis-user", ACCESS, "redis:cache.example:6379")
    assert Asked.from_record(asked.to_record()) == asked
    assert asked.is_asked_by("redis-user", ACCESS)
    plain = Asked("postgres", ("db.example:5432",), ("a",), None, None)
    assert "listed" not in plain.to_record()
    assert Asked.from_record(plain.to_record()) == plain


def test_the_sweep_which_reads_no_value_finds_the_rule_that_lists_the_user() -> None:
    asked = Asked.of("redis-user", ACCESS, "redis:cache.example:6379")
    sweeper: Any = SimpleNamespace(policy=Policy((RULE,)))
    history: Any = SimpleNamespace(asked=lambda: asked)
    terms = Sweeper._terms(sweeper, SecretRef("kv", "orders-cache"), history, make_spec("redis-user"))
    assert terms is not None
    assert terms.allows("orders:b")
    assert not terms.allows("billing:b")
