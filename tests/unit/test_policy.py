from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotation.errors import Denied
from rotation.model import Admin, PasswordRules, RequestedAccess, SecretRef, Spec, Tls
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.targets import parse_target

ORDERS = SecretRef("kv-orders", "orders-db-web")
SERVER = "db.example.com"


def rule(
    number: int = 1,
    *,
    vaults: tuple[str, ...] = ("kv-orders",),
    secrets: tuple[str, ...] = ("orders-db-*",),
    rotators: tuple[str, ...] = ("postgres",),
    targets: tuple[str, ...] = (SERVER,),
    slots: tuple[str, ...] = ("orders_a", "orders_b"),
    pairs: tuple[tuple[str, str], ...] = (),
    max_validity_days: int | None = 90,
    admin: Admin | None = None,
) -> Rule:
    return Rule(
        vaults=vaults,
        secrets=secrets,
        rotators=rotators,
        targets=tuple(parse_target(target) for target in targets),
        terms=RuleTerms(rule=number, slots=slots, pairs=pairs, max_validity_days=max_validity_days, admin=admin),
    )


def spec(rotator: str = "postgres", validity_days: int = 90) -> Spec:
    return Spec(rotator, validity_days, 30, 72, None, (), None, None)


def access(*targets: str, slots: tuple[str, ...] = ("orders_a", "orders_b")) -> RequestedAccess:
    return RequestedAccess(targets or (f"{SERVER}:5432",), slots, None)


def denial(policy: Policy, asked: Spec, claimed: RequestedAccess, ref: SecretRef = ORDERS) -> Denied:
    with pytest.raises(Denied) as raised:
        policy.terms_for(ref, asked, claimed)
    assert raised.value.message.isprintable()
    return raised.value


def test_what_one_rule_permits_in_every_respect_is_permitted_on_its_terms() -> None:
    only = rule()
    assert Policy((only,)).terms_for(ORDERS, spec(), access()) is only.terms


def test_without_rules_everything_is_denied() -> None:
    denied = denial(Policy(), spec(), access())
    assert "no rule of the policy covers 'kv-orders/orders-db-web'" in denied.message


def test_a_permit_starts_from_the_defaults_that_a_rule_has() -> None:
    terms = RuleTerms(rule=1)
    assert terms == RuleTerms(
        rule=1,
        slots=(),
        admin=None,
        max_validity_days=365,
        min_interval=timedelta(hours=24),
        window=None,
        verify_every=timedelta(hours=24),
        jitter_percent=5,
        password=PasswordRules(40, "url-safe"),
        tls=Tls.VERIFY_FULL,
        pairs=(),
        min_grace_hours=0,
        max_grace_hours=None,
    )


@pytest.mark.parametrize(
    ("vault", "name", "covered"),
    [
        ("kv-orders", "orders-db-web", True),
        ("KV-Orders", "ORDERS-DB-web", True),
        ("kv-orders", "orders-db-", True),
        ("kv-orders", "orders-db", False),
        ("kv-orders", "x-orders-db-web", False),
        ("kv-orders2", "orders-db-web", False),
        ("kv-order", "orders-db-web", False),
        ("kv-orders", "orders-db-secret", False),
        ("kv-orders", "orders-db-secret2", True),
        ("kv-orders", "orders-db-\u212a", False),
    ],
)
def test_a_rule_covers_the_secrets_that_it_names_and_not_those_it_takes_out(
    vault: str, name: str, covered: bool
) -> None:
    policy = Policy((rule(secrets=("orders-db-*", "!orders-db-secret")),))
    assert policy.covers(SecretRef(vault, name)) is covered


def test_what_is_taken_out_stays_out_whatever_the_order() -> None:
    policy = Policy((rule(secrets=("!orders-db-secret", "orders-db-*")),))
    assert not policy.covers(SecretRef("kv-orders", "orders-db-secret"))


def test_another_rule_may_cover_what_one_takes_out() -> None:
    policy = Policy((rule(secrets=("*", "!orders-db-web")), rule(2)))
    assert policy.terms_for(ORDERS, spec(), access()).rule == 2


def test_a_rotator_that_the_rule_does_not_name_is_denied_by_name() -> None:
    denied = denial(Policy((rule(3),)), spec("storage-key"), access())
    assert denied.message == "rotator 'storage-key' is not among the `rotators` of the policy's rule 3"
    assert denied.field == "rotator"


def test_of_several_rules_the_one_that_came_closest_is_named_whatever_their_order() -> None:
    far = {
        "rotator": rule(1, rotators=("storage-key",)),
        "target": rule(2, targets=("other.example.com",)),
        "slots": rule(3, slots=("other",)),
        "pair": rule(4, slots=("orders_a", "orders_b", "c"), pairs=(("orders_a", "c"),)),
        "life": rule(5, max_validity_days=1),
    }
    nearer = list(far.values())
    for place, one in enumerate(nearer):
        for other in nearer[place + 1 :]:
            for order in ((one, other), (other, one)):
                assert f"rule {other.terms.rule}" in denial(Policy(order), spec(), access()).message


def test_a_target_that_would_not_be_shown_in_one_word_is_hidden_though_its_tag_names_it() -> None:
    asked = replace(spec(), target="db example; drop")
    assert HIDDEN in denial(Policy((rule(),)), asked, access("db example; drop")).message
    shown = replace(spec(), target="other.example.com")
    assert "other.example.com" in denial(Policy((rule(),)), shown, access("other.example.com")).message


HIDDEN = "(not shown: no rule lists it)"


@pytest.mark.parametrize(
    "target",
    [
        "evil.example:5432", "hunter2:5432", f"{SERVER}:1", "user:hunter2@db.example.com:5432", "db\n.example:5432",
        "p\u212a.example:1", "x" * 300,
    ],
)  # fmt: skip
def test_every_target_must_be_permitted_and_one_that_the_value_alone_names_is_not_shown(target: str) -> None:
    denied = denial(Policy((rule(),)), spec(), access(f"{SERVER}:5432", target))
    assert denied.message == f"target {HIDDEN} is not among the `targets` of the policy's rule 1"
    assert denied.field == "target"


def test_a_target_is_shown_where_another_rule_lists_it() -> None:
    other = rule(2, secrets=("billing-*",), targets=("billing.example",))
    denied = denial(Policy((rule(), other)), spec(), access("billing.example:5432"))
    assert denied.message == "target billing.example:5432 is not among the `targets` of the policy's rule 1"


@pytest.mark.parametrize(("told", "shown"), [("Evil.example", True), ("evil.example:5432", True), ("evil", False)])
def test_a_target_is_shown_where_the_tag_says_it(told: str, shown: bool) -> None:
    denied = denial(Policy((rule(),)), replace(spec(), target=told), access("evil.example:5432"))
    assert f"target {'evil.example:5432' if shown else HIDDEN} is not among" in denied.message


def test_a_claim_without_targets_needs_none_listed() -> None:
    policy = Policy((rule(targets=()),))
    assert policy.terms_for(ORDERS, spec(), RequestedAccess((), ("orders_a",), None)).rule == 1
    assert denial(policy, spec(), access()).field == "target"


def test_every_slot_must_be_listed_exactly() -> None:
    for slots in [("orders_a", "postgres"), ("Orders_a",), ("orders_a\0",), ("*",)]:
        denied = denial(Policy((rule(),)), spec(), access(slots=slots))
        assert denied.field == "slots"
        assert "is not among the `slots` of the policy's rule 1" in denied.message


def test_a_slot_is_shown_where_a_rule_lists_it_or_the_tag_says_it() -> None:
    asked = access(slots=("orders_a", "postgres"))
    other = rule(2, secrets=("billing-*",), slots=("postgres",))
    assert f"slot {HIDDEN} is not" in denial(Policy((rule(),)), spec(), asked).message
    assert "slot 'postgres' is not" in denial(Policy((rule(), other)), spec(), asked).message
    told = replace(spec(), slots=("orders_a", "postgres"))
    assert "slot 'postgres' is not" in denial(Policy((rule(),)), told, asked).message


def test_a_rule_without_slots_permits_those_that_the_provider_has() -> None:
    policy = Policy((rule(slots=()),))
    assert policy.terms_for(ORDERS, spec(), access(slots=("key1",))).slots == ()
    assert policy.terms_for(ORDERS, spec(), access(slots=()))


def test_a_rule_with_slots_permits_a_claim_without_any() -> None:
    assert Policy((rule(),)).terms_for(ORDERS, spec(), access(slots=())).rule == 1


def test_any_slot_is_permitted_where_the_rule_says_so() -> None:
    assert Policy((rule(slots=("*",)),)).terms_for(ORDERS, spec(), access(slots=("whoever",))).slots == ("*",)


def test_a_longer_life_than_the_rule_grants_is_denied_with_both_numbers() -> None:
    denied = denial(Policy((rule(),)), spec(validity_days=91), access())
    assert denied.message == "validity-days 91 is above the `max-validity-days` 90 of the policy's rule 1"
    assert denied.field == "validity-days"
    assert Policy((rule(max_validity_days=None),)).terms_for(ORDERS, spec(validity_days=3650), access())


def test_the_first_rule_that_permits_everything_wins() -> None:
    rules = (rule(1, vaults=("kv-other",)), rule(2, slots=("orders_a",)), rule(3), rule(4))
    assert Policy(rules).terms_for(ORDERS, spec(), access()).rule == 3


def test_permissions_are_never_put_together_from_two_rules() -> None:
    rules = (rule(1, targets=("other.example",)), rule(2, slots=("other",)))
    denial(Policy(rules), spec(), access())


def test_a_denial_names_what_is_missing_from_the_rule_that_came_closest() -> None:
    far, near, nearest = rule(1, rotators=("generated",)), rule(2, targets=("x.example",)), rule(3, slots=("x",))
    too_short = rule(4, max_validity_days=7)
    unpaired = rule(5, slots=("orders_a", "orders_b", "c"), pairs=(("orders_a", "c"),))
    assert "rule 2" in denial(Policy((far, near)), spec(), access()).message
    assert "rule 3" in denial(Policy((far, nearest, near)), spec(), access()).message
    assert "rule 4" in denial(Policy((nearest, too_short, far)), spec(), access()).message
    assert "rule 5" in denial(Policy((nearest, unpaired, far)), spec(), access()).message
    assert "rule 4" in denial(Policy((unpaired, too_short)), spec(), access()).message


def test_of_two_rules_equally_close_the_first_is_named() -> None:
    rules = (rule(1, targets=("x.example",)), rule(2, targets=("y.example",)))
    assert "rule 1" in denial(Policy(rules), spec(), access()).message


def test_a_name_that_is_none_is_shown_without_its_control_characters() -> None:
    denied = denial(Policy((rule(),)), spec(), access(), SecretRef("kv-orders", "x\n\u202eevil"))
    assert "\\n\\u202eevil" in denied.message


# which slots take turns

FOUR = ("a", "b", "c", "d")
PAIRS = (("a", "b"), ("c", "d"))


@pytest.mark.parametrize(
    ("slots", "pairs", "asked"),
    [
        (FOUR, PAIRS, ("a", "b")),
        (FOUR, PAIRS, ("d", "c")),
        (FOUR, PAIRS, ("b",)),
        (FOUR, PAIRS, ()),
        ((*FOUR, "e"), PAIRS, ("e",)),
        (FOUR, (), ("c",)),
        (("a", "b"), (), ("b", "a")),
        (("a", "b", "a"), (), ("b", "a")),
        (("a", "b"), (("a", "b"),), ("b", "a")),
        (("a",), (), ("a",)),
        ((), (), ("key1", "key2")),
        (("*",), (), ("whoever", "else")),
    ],
)
def test_two_slots_that_take_turns_are_permitted(
    slots: tuple[str, ...], pairs: tuple[tuple[str, str], ...], asked: tuple[str, ...]
) -> None:
    assert Policy((rule(slots=slots, pairs=pairs),)).terms_for(ORDERS, spec(), access(slots=asked)).pairs == pairs


@pytest.mark.parametrize(
    ("slots", "pairs", "asked"),
    [
        (FOUR, PAIRS, ("a", "c")),
        (FOUR, PAIRS, ("b", "c")),
        (FOUR, PAIRS, ("a", "a")),
        ((*FOUR, "e"), PAIRS, ("a", "e")),
        (FOUR, (), ("a", "b")),  # which two is not said
        (("a", "b"), (), ("a", "a")),
        (("a",), (), ("a", "a")),
    ],
)
def test_two_slots_of_different_pairs_are_denied(
    slots: tuple[str, ...], pairs: tuple[tuple[str, str], ...], asked: tuple[str, str]
) -> None:
    denied = denial(Policy((rule(slots=slots, pairs=pairs),)), replace(spec(), slots=asked), access(slots=asked))
    assert denied.field == "slots"
    assert denied.message == (
        f"slots {asked[0]!r} and {asked[1]!r} do not take turns: they are none of the `pairs` of the policy's rule 1"
    )


def test_a_slot_that_is_not_listed_is_named_before_any_pair_is_looked_at() -> None:
    told = replace(spec(), slots=("a", "x"))
    denied = denial(Policy((rule(slots=FOUR, pairs=PAIRS),)), told, access(slots=("a", "x")))
    assert "slot 'x' is not among" in denied.message


# places of a user's passwords


def places(user: str) -> RequestedAccess:
    """Of a user's passwords, as the rotator of Redis' users asks for them."""
    return RequestedAccess((f"{SERVER}:5432",), (f"{user}:a", f"{user}:b"), f"{user}:a", listed=(user,))


def test_a_rule_that_lists_a_user_permits_the_places_of_its_passwords() -> None:
    many = rule(slots=("orders", "billing", "mail"))
    terms = Policy((many,)).terms_for(ORDERS, spec(), places("orders"))
    assert [slot for slot in ("orders", "orders:a", "orders:b", "billing:a") if terms.allows(slot)] == [
        "orders", "orders:a", "orders:b",
    ]  # fmt: skip
    assert (terms.rule, terms.max_validity_days) == (many.terms.rule, many.terms.max_validity_days)


def test_the_places_of_a_user_that_is_not_listed_are_denied_though_they_are_listed_themselves() -> None:
    denied = denial(Policy((rule(slots=("orders:a", "orders:b")),)), spec(), places("orders"))
    assert denied.field == "slots"


def test_the_administrators_own_passwords_are_no_places_that_a_rule_can_permit() -> None:
    guarded = rule(slots=("orders", "keyturn"), admin=Admin("secret", "cache-admin", "keyturn"))
    assert "administrator" in denial(Policy((guarded,)), spec(), places("keyturn")).message


# an administrator's own role

ADMIN = Admin("secret", "pg-admin", "boss")


@pytest.mark.parametrize("slots", [("*",), ("orders_a", "boss")])
@pytest.mark.parametrize("asked", [("boss",), ("orders_a", "boss")])
def test_the_administrator_of_a_rule_is_no_slot_whatever_the_rule_lists(
    slots: tuple[str, ...], asked: tuple[str, ...]
) -> None:
    denied = denial(Policy((rule(slots=slots, admin=ADMIN),)), spec(), access(slots=asked))
    assert denied.field == "slots"
    assert denied.message == (
        "slot 'boss' is the administrator of the policy's rule 1, so no rule can permit its password"
    )


def test_no_other_rule_permits_the_administrator_of_a_rule_with_the_same_target() -> None:
    policy = Policy((rule(1, slots=("*",)), rule(2, vaults=("kv-other",), admin=ADMIN)))
    assert "rule 2" in denial(policy, spec(), access(slots=("boss",))).message
    assert policy.terms_for(ORDERS, spec(), access(slots=("bos",)))
    wide = Policy((rule(1, slots=("*",), targets=(SERVER, "other.example.com")), rule(2, admin=ADMIN)))
    assert "rule 2" in denial(wide, spec(), access(f"{SERVER}:5432", "other.example.com:5432", slots=("boss",))).message


def test_a_role_of_the_administrator_s_name_on_another_server_is_another_role() -> None:
    policy = Policy((rule(1, slots=("*",)), rule(2, targets=("other.example.com",), admin=ADMIN)))
    assert policy.terms_for(ORDERS, spec(), access(slots=("boss",))).rule == 1


def test_an_administrator_whose_role_is_not_named_stands_in_nobody_s_way() -> None:
    policy = Policy((rule(slots=("*",), admin=Admin("secret", "pg-admin")),))
    assert policy.terms_for(ORDERS, spec(), access(slots=("boss",))).admin == Admin("secret", "pg-admin")


# the app's own accounts

ACCOUNT = "/subscriptions/s/resourceGroups/rg-a/providers/Microsoft.Storage/storageAccounts/StApp"


@pytest.mark.parametrize("target", [ACCOUNT, ACCOUNT.replace("rg-a", "RG-B/x")])
@pytest.mark.parametrize("asked", [ACCOUNT, ACCOUNT.lower(), ACCOUNT.upper()])
def test_no_rule_permits_the_keys_of_an_account_that_the_app_lives_on(target: str, asked: str) -> None:
    scope = "/subscriptions/s/resourceGroups/rg-a/*"
    rules = (rule(rotators=("storage-key", "postgres"), targets=(scope, target), slots=()),)
    claimed = access(asked, slots=("key1", "key2"))
    denied = denial(Policy(rules, frozenset({"stapp"})), spec("storage-key"), claimed)
    assert denied.field == "target"
    assert denied.message.startswith("this app lives on the storage account 'stapp', so no rule can permit its keys: ")
    assert Policy(rules, frozenset({"stapp2", "tapp"})).terms_for(ORDERS, spec("storage-key"), claimed)
    assert denial(Policy(rules, frozenset({"stapp"})), spec("postgres"), claimed) is not None  # whatever the rotator
    other = access(asked.lower().replace("storageaccounts", "vaults"), slots=())
    assert Policy(rules, frozenset({"stapp"})).terms_for(ORDERS, spec("postgres"), other)


# where nothing is staged


@pytest.mark.parametrize(
    ("secrets", "name", "excluded"),
    [
        (("orders-*",), "orders-db--staged", False),
        (("orders-*", "!orders-db--staged"), "orders-db--staged", True),
        (("orders-*", "!orders-db--staged"), "ORDERS-db--STAGED", True),
        (("orders-*", "!orders-db--staged"), "orders-db2--staged", False),
        (("orders-*", "!*--staged"), "orders-db--staged", True),
        (("xorders-db--staged", "!x"), "orders-db--staged", False),
        (("x", "!orders-db--staged"), "orders-db--staged", True),  # whatever else the rule is about
        (("*", "!orders-*"), "orders-db--staged", False),  # about the secret, which another rule may cover
        (("*", "!orders-license"), "orders-license", True),
        (("*", "!orders-license"), "orders-license2", False),
        (("*", "!--staged"), "--staged", True),
    ],
)
def test_a_name_that_a_rule_takes_out_is_excluded(secrets: tuple[str, ...], name: str, excluded: bool) -> None:
    policy = Policy((rule(1, secrets=("*",)), rule(2, secrets=secrets)))
    assert policy.excludes(SecretRef("KV-Orders", name)) is excluded
    assert not policy.excludes(SecretRef("kv-other", name))
