"""policy.toml x the table of roles -> what the deployment needs, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from infra.rights.table import Grant, Table
from rotation.addresses import group_of, may_hold, outermost, type_of
from rotation.policy import Policy, Rule
from rotation.policy.targets import Application, HostTarget, Resource, Scope
from rotation.rotators import APPLICATION, HOST, ROTATORS

NO_SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000/"  # as examples have it


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """A grant of the table on a target. scope: a resource's id, or its resource group's, in lower case."""

    grant: str
    scope: str


@dataclass(frozen=True, slots=True, order=True)
class SqlNeed:
    """An Entra administrator of a server: whose passwords he sets. user: his role's name, where the policy says it."""

    server: str
    user: str | None
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Needed:
    """vaults: short names. applications: object ids. warnings: what of the policy is of no use, in one line each.

    audit_log: a rule waits until nobody reads an old value, so the app asks the workspace.
    """

    vaults: tuple[str, ...]
    targets: tuple[Need, ...]
    custom_roles: tuple[str, ...]
    applications: tuple[str, ...]
    sql: tuple[SqlNeed, ...]
    warnings: tuple[str, ...]
    audit_log: bool = False


def derive(policy: Policy, table: Table, vaults: Collection[str] | None = None) -> Needed:
    """What the identity needs. vaults: those of ROTATION_VAULTS; None: those that the policy names.

    The app lists every vault of that setting and reads what it is asked for before it looks at the policy, so it
    needs all its rights on each; where no rule covers one, that is said, for the remedy is to take the vault out.
    """
    named = {vault for rule in policy.rules for vault in rule.vaults}
    named |= {name.partition("/")[0] for rule in policy.rules for name in rule.terms.followers}
    looked_after = named if vaults is None else {vault.lower() for vault in vaults}
    targets = _without_covered({need for rule in policy.rules for need in _targets(rule, table)})
    keys = {table.grant(need.grant).custom for need in targets}
    audit_log = any(rule.terms.max_grace_hours is not None for rule in policy.rules)
    elsewhere = {"target", "vault"} if audit_log else {"target", "vault", "workspace"}
    fixed = {grant.custom for grant in table.grants if grant.scope not in elsewhere}
    on_vaults = {grant.custom for grant in table.grants if grant.scope == "vault" and looked_after}
    return Needed(
        vaults=tuple(sorted(looked_after)),
        targets=tuple(sorted(targets)),
        custom_roles=tuple(sorted(key for key in keys | fixed | on_vaults if key is not None)),
        applications=tuple(sorted({app for rule in policy.rules for app in _applications(rule)})),
        sql=tuple(sorted({need for rule in policy.rules for need in _sql(rule, table)}, key=lambda need: need.server)),
        warnings=(*_mismatches(named, looked_after), *(line for rule in policy.rules for line in _idle(rule))),
        audit_log=audit_log,
    )


def as_json(needed: Needed, table: Table) -> dict[str, Any]:
    """For Bicep (`vaults`, `grants`, `auditReaders`) and for people; ids in lower case."""
    return {
        "vaults": list(needed.vaults),
        "grants": [asdict(need) for need in needed.targets],  # no other field: the type in Bicep has none
        "customRoles": list(needed.custom_roles),
        "auditReaders": needed.audit_log,
        "graph": [
            {"permission": one.name, "appRoleId": one.app_role_id, "applications": list(needed.applications)}
            for one in table.graph
            if needed.applications
        ],
        "sql": [{"server": one.server, "user": one.user, "roles": list(one.roles)} for one in needed.sql],
        "warnings": list(needed.warnings),
    }


def _targets(rule: Rule, table: Table) -> Iterator[Need]:
    for grant in _target_grants(rule, table):
        for target in rule.targets:
            if isinstance(target, Resource) and type_of(target.id) in grant.resource_types:
                yield Need(grant.key, outermost(target.id) if grant.outermost else target.id)
            if isinstance(target, Scope) and any(may_hold(target.id, one) for one in grant.resource_types):
                # Roles are given on groups and resources, not on what stands between ("/providers/...").
                yield Need(grant.key, group_of(target.id))
    for grant in table.grants:
        for one in rule.terms.refresh:
            if one.kind in grant.refreshes and type_of(one.target) in grant.resource_types:
                yield Need(grant.key, one.target)


def _target_grants(rule: Rule, table: Table) -> Iterator[Grant]:
    yield from (grant for grant in table.grants if grant.scope == "target" and grant.rotators & set(rule.rotators))


def _kinds_of_targets(rule: Rule) -> set[str]:
    """What its rotators can make use of; see `rotation.rotators.Kind`."""
    return {target for name in rule.rotators if name in ROTATORS for target in ROTATORS[name].targets}


def _without_covered(needs: Collection[Need]) -> set[Need]:
    """Leave out what a grant on the whole resource group holds already."""
    held = set(needs)
    return {one for one in held if one.scope == (group := group_of(one.scope)) or Need(one.grant, group) not in held}


def _applications(rule: Rule) -> Iterator[str]:
    if APPLICATION in _kinds_of_targets(rule):
        yield from (target.id for target in rule.targets if isinstance(target, Application))


def _sql(rule: Rule, table: Table) -> Iterator[SqlNeed]:
    """Where this app's own identity is the administrator."""
    admin = rule.terms.admin
    types = [row.resource_type for row in table.sql if row.rotators & set(rule.rotators)]
    if admin is None or admin.kind != "identity" or not types:
        return
    for target in rule.targets:
        match target:
            case HostTarget(name):
                server = name
            case Resource(resource) if type_of(resource) in types:
                server = resource.rsplit("/", 1)[1]
            case Scope(scope) if any(may_hold(scope, one) for one in types):
                server = f"each server in {scope}"
            case _:
                continue
        yield SqlNeed(server, admin.user, rule.terms.slots)


def _mismatches(named: Collection[str], looked_after: Collection[str]) -> Iterator[str]:
    for vault in sorted(set(looked_after) - set(named)):
        yield f"no rule of the policy covers vault {vault}: take it out of ROTATION_VAULTS, and it needs no right"
    for vault in sorted(set(named) - set(looked_after)):
        yield f"the policy names vault {vault}, which is not in ROTATION_VAULTS: nothing in it is rotated"


def _idle(rule: Rule) -> Iterator[str]:
    """Targets that no rotator of the rule can make use of, and those that were never anybody's."""
    for one in rule.terms.refresh:
        if one.target.startswith(NO_SUBSCRIPTION):
            yield f"rule {rule.terms.rule}: {one.name} is an example's: put your own in, or take it out"
    kinds = _kinds_of_targets(rule)
    for target in rule.targets:
        match target:
            case HostTarget(shown):
                useful = HOST in kinds
            case Application(shown):
                useful = APPLICATION in kinds
            case Resource(shown):
                useful = type_of(shown) in kinds
            case Scope(shown):
                useful = any(may_hold(shown, one) for one in kinds if "/" in one)
        if isinstance(target, Resource | Scope) and shown.startswith(NO_SUBSCRIPTION):
            yield f"rule {rule.terms.rule}: target {shown} is an example's: put your own in, or take the rule out"
        elif not useful:
            yield f"rule {rule.terms.rule}: target {shown} is of no use to its rotators, and no right is given for it"
