"""The app never rotates what it lives on: a rotation in the middle of which the app loses its own footing can't end.

Nor does it show to others what it signs in with. What it lives on today: the keys of two storage accounts, though it
signs in to them by its identity, since a key's holder owns queue and ledger; and administrators' passwords. Of other
kinds there is nothing: its identity is a managed one, which has no secret, and vaults, Event Grid, telemetry and the
platform's sign-in take that alone, so that no rule about applications can cover anything of the app's.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rotation.addresses import SITES, STORAGE_ACCOUNTS
from rotation.errors import Misconfigured
from rotation.frozen import Frozen
from rotation.policy import Policy, Rule
from rotation.policy.targets import HostTarget, Resource, Scope, Target
from rotation.rotators import ROTATORS
from rotation.terms import COMPANION_SUFFIX, Tls

if TYPE_CHECKING:
    from rotation.policy.toml_lines import Path

# Providers, such as "microsoft.dbforpostgresql", of whatever servers an administrator logs in to.
_OF_SERVERS = frozenset(
    target.partition("/")[0] for kind in ROTATORS.values() if kind.logs_in for target in kind.targets if "/" in target
)


class OwnResources(Frozen):
    """What the app itself lives on.

    storage_accounts: the Functions host's, each by its Azure resource id or its bare name. ledger_account: the one
    that holds the ledger, likewise; None where the ledger is a directory. site: the name of the app's own site, which
    is unique in the world; None where it runs elsewhere.
    """

    storage_accounts: tuple[str, ...] = ()
    ledger_account: str | None = None
    site: str | None = None


def protect(policy: Policy, own: OwnResources) -> Policy:
    """The policy, with what it must not permit at any run; refused where a rule covers what the app itself lives on.

    Account names are unique in the world, so a rule that names an account is known by it. A scope is known by the
    account's resource id only: an account known by its bare name may be in any scope, and no scope is refused
    for it. So hand in resource ids where they are known; what is known by its name alone is denied at each run.

    Raises:
        Misconfigured: field "ROTATION_POLICY"; names the rule and the remedy.
    """
    for rule, vault, secret in covered_administrators(policy):
        raise Misconfigured(
            f"rule {rule.terms.rule} of the policy covers {vault}/{secret}, by which this app is administrator: "
            f'add "!{secret}" to its `secrets`',
            field="ROTATION_POLICY",
        )
    for rule in policy.rules:
        if own.site is not None and any(_is_site(one.target, own.site) for one in rule.terms.refresh):
            raise Misconfigured(
                f"rule {rule.terms.rule} of the policy has this app itself, {own.site!a:.80}, among its `refresh`: its "
                "settings would be read anew, and it be stopped, while it rotates; take it out",
                field="ROTATION_POLICY",
            )
    ledger = None if own.ledger_account is None else _name_of(own.ledger_account)
    accounts = (*own.storage_accounts, *((own.ledger_account,) if own.ledger_account is not None else ()))
    for rule in policy.rules:
        for account in accounts:
            if _changes_accounts(rule) and _covers_account(rule, account.strip().lower()):
                use = "its ledger" if _name_of(account) == ledger else "its own storage"
                raise Misconfigured(
                    f"rule {rule.terms.rule} of the policy covers the keys of the storage account "
                    f"{account!a:.200}, which this app needs for {use}: take it out of the rule's `targets`",
                    field="ROTATION_POLICY",
                )
    return Policy(policy.rules, frozenset(_name_of(account) for account in accounts))


def _is_site(target: str, own: str) -> bool:
    return target.partition(f"/providers/{SITES}/")[2].partition("/")[0] == own.lower()


def exposed_administrators(policy: Policy) -> "Iterator[tuple[Path, str]]":
    """Where in the file a rule would have an administrator's login changed, or shown; and what to write."""
    for rule in policy.rules:
        place = ("rule", rule.terms.rule - 1)
        yield from ((place + key, message) for key, message in (*_changed(rule, policy), *_shown(rule)))


def _changed(rule: Rule, policy: Policy) -> "Iterator[tuple[Path, str]]":
    named: set[str] = set()
    for other in policy.rules:
        user = other.terms.admin.user if other.terms.admin is not None else None
        if user in rule.terms.slots and user not in named and (other is rule or _meet(rule, other)):
            named.add(user)
            whose = "`admin-user`" if other is rule else f"`admin-user` of rule {other.terms.rule} on the same server"
            message = f"`slots` names the administrator {user!a:.80}, {whose}; take it out of the list"
            yield ("slots", rule.terms.slots.index(user)), message


def _meet(one: Rule, other: Rule) -> bool:
    """Whether two rules name a server in common; ports aside, since the roles of a server are those of its pooler."""
    return not {_place(target) for target in one.targets}.isdisjoint(_place(target) for target in other.targets)


def _place(target: Target) -> str:
    if isinstance(target, HostTarget):
        return "localhost" if target.loopback else target.name
    return target.id


def _shown(rule: Rule) -> "Iterator[tuple[Path, str]]":
    admin = rule.terms.admin
    if admin is None:
        return
    if admin.secret is not None and admin.secret.endswith(COMPANION_SUFFIX):
        message = f"`admin` {admin.secret!a:.80}: staged values are kept under such a name"
        yield ("admin",), f'{message}; write admin = "secret:NAME", a secret of its own'
    hosts = [(index, target) for index, target in enumerate(rule.targets) if isinstance(target, HostTarget)]
    if admin.kind == "identity":
        for index, host in hosts:
            if not host.azures:
                message = f"`targets` {host.name:.200} is no server of Azure's, and would be shown this app's own token"
                yield ("targets", index), f'{message}; write admin = "secret:NAME", or take it out'
    if rule.terms.tls is Tls.DISABLE and any(not _here(target) for target in rule.targets):
        message = '`tls` "disable" would show the administrator\'s login to the network between'
        yield ("tls",), f'{message}; write tls = "verify-full"'


def _here(target: Target) -> bool:
    """Whether no login of an administrator leaves this machine for it; to accounts and applications none goes."""
    match target:
        case HostTarget():
            return target.loopback
        case Resource():
            return not any(f"/{provider}/" in target.id for provider in _OF_SERVERS)
        case Scope():
            below = target.id.partition("/providers/")[2]
            return below != "" and below.partition("/")[0] not in _OF_SERVERS
    return True


def covered_administrators(policy: Policy) -> Iterator[tuple[Rule, str, str]]:
    """Each rule that covers an administrator's secret of any rule, with its vault and name."""
    secrets = {
        (vault, rule.terms.admin.secret): None
        for rule in policy.rules
        if rule.terms.admin is not None and rule.terms.admin.secret is not None
        for vault in rule.vaults
    }
    for rule in policy.rules:
        for vault, secret in secrets:
            if rule.names(vault, secret):
                yield rule, vault, secret


def _changes_accounts(rule: Rule) -> bool:
    return any(STORAGE_ACCOUNTS in ROTATORS[name].targets for name in rule.rotators if name in ROTATORS)


def _covers_account(rule: Rule, account: str) -> bool:
    name = _name_of(account)
    for target in rule.targets:
        if isinstance(target, Resource) and target.id.rpartition("/")[2] == name:
            return True
        if isinstance(target, Scope) and account.startswith(target.id + "/"):
            return True
    return False


def _name_of(account: str) -> str:
    return account.strip().lower().rstrip("/").rpartition("/")[2]
