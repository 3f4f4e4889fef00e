"""The app never rotates what it lives on: a rotation in the middle of which the app loses its own footing can't end."""

from collections.abc import Iterator

from rotation.errors import Misconfigured
from rotation.frozen import Frozen
from rotation.policy import Policy, Rule
from rotation.targets import Resource, Scope

STORAGE_ROTATOR = "storage-key"


class OwnResources(Frozen):
    """What the app itself lives on.

    storage_accounts: the Functions host's, each by its Azure resource id or its bare name. ledger_account: the one
    that holds the ledger, likewise; None where the ledger is a directory.
    """

    storage_accounts: tuple[str, ...] = ()
    ledger_account: str | None = None


def protect(policy: Policy, own: OwnResources) -> None:
    """Refuse a policy of which a rule covers a credential that the app itself lives on.

    Account names are unique in the world, so a rule that names an account is told by its name. A scope is told by the
    account's resource id only: an account known by its bare name may stand in any scope, and no scope is refused
    for it. So hand in resource ids where they are known.

    Raises:
        Misconfigured: field "ROTATION_POLICY"; names the rule and the remedy.
    """
    for rule, vault, secret in covered_administrators(policy):
        raise Misconfigured(
            f"rule {rule.permit.rule} of the policy covers {vault}/{secret}, by which this app is administrator: "
            f'add "!{secret}" to its `secrets`',
            field="ROTATION_POLICY",
        )
    owned = [(account, "its own storage") for account in own.storage_accounts]
    if own.ledger_account is not None:
        owned.append((own.ledger_account, "its ledger"))
    for rule in policy.rules:
        for account, use in owned:
            if STORAGE_ROTATOR in rule.rotators and _covers_account(rule, account.strip().lower()):
                raise Misconfigured(
                    f"rule {rule.permit.rule} of the policy covers the keys of the storage account "
                    f"{account!a:.200}, which this app needs for {use}: take it out of the rule's `targets`",
                    field="ROTATION_POLICY",
                )


def covered_administrators(policy: Policy) -> Iterator[tuple[Rule, str, str]]:
    """Each rule that covers an administrator's secret of any rule, with its vault and name."""
    secrets = {
        (vault, rule.permit.admin.secret): None
        for rule in policy.rules
        if rule.permit.admin is not None and rule.permit.admin.secret is not None
        for vault in rule.vaults
    }
    for rule in policy.rules:
        for vault, secret in secrets:
            if rule.names(vault, secret):
                yield rule, vault, secret


def _covers_account(rule: Rule, account: str) -> bool:
    name = account.rstrip("/").rpartition("/")[2]
    for target in rule.targets:
        if isinstance(target, Resource) and target.id.rpartition("/")[2] == name:
            return True
        if isinstance(target, Scope) and account.startswith(target.id + "/"):
            return True
    return False
