from __future__ import annotations

import pytest

from rotation.errors import Denied, Misconfigured
from rotation.model import Admin, RequestedAccess, SecretRef, Spec
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.self_protection import OwnResources, protect
from rotation.policy.targets import parse_target

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-app"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/StApp"
OTHER_GROUP = "/subscriptions/99999999-2222-3333-4444-555555555555/resourceGroups/rg-app"


def storage_rule(*targets: str, rotators: tuple[str, ...] = ("storage-key",), number: int = 1) -> Rule:
    return Rule(("kv-a",), ("*",), rotators, RuleTerms(rule=number), tuple(parse_target(target) for target in targets))


def with_admin(vaults: tuple[str, ...], secrets: tuple[str, ...], admin: Admin | None, number: int = 1) -> Rule:
    return Rule(vaults, secrets, ("postgres",), RuleTerms(rule=number, admin=admin))


def refusal(policy: Policy, own: OwnResources) -> str:
    with pytest.raises(Misconfigured) as raised:
        protect(policy, own)
    assert raised.value.field == "ROTATION_POLICY"
    return raised.value.message


@pytest.mark.parametrize(
    ("target", "own"),
    [
        (ACCOUNT, ACCOUNT),
        (ACCOUNT, ACCOUNT.upper()),
        (ACCOUNT, "stapp"),
        (ACCOUNT, " StApp "),
        (ACCOUNT, f"{ACCOUNT}/"),
        (f"{OTHER_GROUP}/providers/Microsoft.Storage/storageAccounts/stapp", ACCOUNT),
        (f"{GROUP}/*", ACCOUNT),
        (f"{GROUP}/*", ACCOUNT.upper()),
        (f"{GROUP}/providers/Microsoft.Storage/*", ACCOUNT),
    ],
)
def test_a_rule_over_the_keys_of_the_apps_own_storage_is_refused(target: str, own: str) -> None:
    policy = Policy((storage_rule("db.example.com"), storage_rule(target, number=2)))
    message = refusal(policy, OwnResources(storage_accounts=("stother", own)))
    assert "rule 2" in message
    assert "its own storage" in message
    assert "`targets`" in message
    assert "its ledger" in refusal(policy, OwnResources(ledger_account=own))


@pytest.mark.parametrize(
    ("target", "own"),
    [
        (ACCOUNT, "stapp2"),
        (ACCOUNT, f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stother"),
        (f"{OTHER_GROUP}/*", ACCOUNT),
        (f"{GROUP}2/*", ACCOUNT),
        (f"{ACCOUNT}/*", ACCOUNT),  # what is below the account, not the account
        (f"{GROUP}/*", "stapp"),  # where it stands is not known
        ("db.example.com", "db.example.com"),
    ],
)
def test_a_rule_over_other_accounts_is_accepted(target: str, own: str) -> None:
    protect(Policy((storage_rule(target),)), OwnResources((own,), own))


def test_a_rule_of_another_rotator_changes_no_storage_keys() -> None:
    protect(Policy((storage_rule(ACCOUNT, rotators=("generated",)),)), OwnResources((ACCOUNT,)))


def test_an_app_that_owns_nothing_is_in_nobodys_way() -> None:
    protect(Policy((storage_rule(ACCOUNT),)), OwnResources())


def test_a_rule_that_covers_its_own_administrators_secret_is_refused() -> None:
    rules = (with_admin(("kv-a",), ("orders-*",), Admin("secret", "orders-admin")),)
    message = refusal(Policy(rules), OwnResources())
    assert "rule 1" in message
    assert "kv-a/orders-admin" in message
    assert 'add "!orders-admin"' in message


def test_a_rule_that_covers_another_rules_administrator_is_refused() -> None:
    rules = (
        with_admin(("kv-a", "kv-b"), ("orders-*",), Admin("secret", "pg-admin"), 1),
        with_admin(("kv-b",), ("pg-*",), None, 2),
    )
    message = refusal(Policy(rules), OwnResources())
    assert "rule 2" in message
    assert "kv-b/pg-admin" in message


def test_an_administrators_secret_that_no_rule_covers_is_accepted() -> None:
    rules = (
        with_admin(("kv-a",), ("*", "!pg-admin"), Admin("secret", "pg-admin"), 1),
        with_admin(("kv-b",), ("*",), Admin("identity"), 2),  # the same name in another vault is another secret
    )
    protect(Policy(rules), OwnResources())


# what no start can tell is denied at each run


@pytest.mark.parametrize(
    "own",
    [
        OwnResources(storage_accounts=("StApp",)),
        OwnResources(ledger_account="stapp"),
        OwnResources(storage_accounts=(f"{OTHER_GROUP}/providers/Microsoft.Storage/storageAccounts/stapp",)),
        OwnResources(("x", " STAPP/ "), "y"),
    ],
)
@pytest.mark.parametrize("target", [f"{GROUP}/*", f"{GROUP}/providers/Microsoft.Storage/*"])
def test_an_account_known_by_its_name_alone_is_denied_at_each_run(own: OwnResources, target: str) -> None:
    policy = Policy((storage_rule(target),))
    spec = Spec("storage-key", 90, 30, 72, None, (), None, None)
    keys = RequestedAccess((ACCOUNT.lower(),), ("key1", "key2"), None)
    assert policy.terms_for(SecretRef("kv-a", "x"), spec, keys)
    with pytest.raises(Denied, match="this app lives on the storage account 'stapp'"):
        protect(policy, own).terms_for(SecretRef("kv-a", "x"), spec, keys)


def test_what_is_protected_is_the_same_policy_with_the_names_of_its_own() -> None:
    policy = Policy((storage_rule(f"{OTHER_GROUP}/*"),))
    assert protect(policy, OwnResources()) == policy
    assert protect(policy, OwnResources((ACCOUNT, "StHost"), "stledger")) == Policy(
        policy.rules, frozenset({"stapp", "sthost", "stledger"})
    )


def test_an_account_of_which_the_id_is_known_too_is_told_for_what_it_is_needed() -> None:
    policy = Policy((storage_rule(f"{GROUP}/*"),))
    assert "its ledger" in refusal(policy, OwnResources((ACCOUNT,), "stapp"))
    assert "its own storage" in refusal(policy, OwnResources((ACCOUNT,), "stledger"))
