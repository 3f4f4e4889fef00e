"""What an identity was granted, as az tells it, held against what it needs: one line for each difference.

The files are the JSON of `az role assignment list`, `az role definition list --custom-role-only true`,
`az keyvault show`, and of Graph's `appRoleAssignments` and `ownedObjects` of a service principal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.rights.needed import Needed
from infra.rights.table import CustomRole, Grant, Table

OPTIONAL_PLACES = frozenset({"deploymentContainer", "outcomeTopic", "applicationInsights", "workspace"})
ESCALATES = (
    "decides by access policies: anyone who may write the vault (Contributor) can take the right to every secret, and "
    "no permission can be narrowed to one secret. Better: az keyvault update --enable-rbac-authorization true"
)


@dataclass(frozen=True, slots=True)
class Granted:
    """principal: the identity's object id. places: by kind of scope, the resource ids that were deployed.

    app_roles, owned: ids that Graph told; None: it was not asked.
    """

    principal: str
    places: Mapping[str, Sequence[str]]
    assignments: Sequence[Mapping[str, Any]]
    definitions: Sequence[Mapping[str, Any]]
    vaults: Sequence[Mapping[str, Any]] = ()
    app_roles: frozenset[str] | None = None
    owned: frozenset[str] | None = None


@dataclass(slots=True)
class Findings:
    """missing, excess: what makes a check fail. warnings: what does not."""

    missing: list[str] = field(default_factory=list)
    excess: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """idle: of no effect before its vault decides by roles; until then it may be there or not."""

    grant: Grant
    scope: str
    idle: bool = False


def compare(needed: Needed, granted: Granted, table: Table) -> Findings:
    """Every difference. Where nothing is found, the identity has what the policy needs, and nothing else."""
    found = Findings(warnings=list(needed.warnings))
    by_policy = access_policy_vaults(granted.vaults)
    wanted = list(_wanted(needed, granted, table, by_policy, found))
    # A definition's id begins with the subscription that was asked: only its last part is the same everywhere.
    roles = {_name(str(one["id"])): one for one in granted.definitions}
    used: set[int] = set()
    for want in wanted:
        holding = [n for n, one in enumerate(granted.assignments) if _same_role(one, want.grant, roles, table)]
        exact = [n for n in holding if _scope(granted.assignments[n]) == want.scope]
        wider = [n for n in holding if want.scope.startswith(_scope(granted.assignments[n]).rstrip("/") + "/")]
        used.update(exact)
        if not exact and not wider and not want.idle:
            found.missing.append(f"{want.grant.role_name} on {want.scope}: {want.grant.purpose}")
        if any(granted.assignments[n].get("condition") for n in (*exact, *wider)):
            found.warnings.append(f"{want.grant.role_name} on {want.scope} has a condition, which is not read here")
    for n, one in enumerate(granted.assignments):
        if n not in used:
            found.excess.append(_too_much(one, wanted, roles, table))
    _check_definitions(granted, roles, table, found)
    _check_access_policies(by_policy, granted.principal, table, found)
    _check_graph(needed, granted, table, found)
    return found


def _wanted(
    needed: Needed, granted: Granted, table: Table, by_policy: Collection[str], found: Findings
) -> Iterator[_Wanted]:
    for grant in table.grants:
        if grant.scope == "target":
            yield from (_Wanted(grant, need.scope) for need in needed.targets if need.grant == grant.key)
        elif grant.scope == "vault":
            ids = {_name(one): one.lower() for one in granted.places.get("vault", ())}
            for vault in needed.vaults:
                if vault not in ids:
                    found.missing.append(f"the resource id of vault {vault} among the places")
                else:
                    yield _Wanted(grant, ids[vault], idle=vault in by_policy)
        else:
            places = granted.places.get(grant.scope, ())
            needs_log = grant.scope == "workspace" and needed.audit_log
            if not places and (needs_log or grant.scope not in OPTIONAL_PLACES):
                found.missing.append(f"the resource id of the {grant.scope} among the places")
            yield from (_Wanted(grant, one.lower()) for one in places)


def _same_role(
    assignment: Mapping[str, Any], grant: Grant, roles: Mapping[str, Mapping[str, Any]], table: Table
) -> bool:
    definition = _name(str(assignment["roleDefinitionId"]))
    if grant.role_id is not None:
        return definition == grant.role_id
    return definition in roles and _is_ours(roles[definition], table.roles[str(grant.custom)])


def _is_ours(definition: Mapping[str, Any], role: CustomRole) -> bool:
    """A deployment adds to a role's name, which is unique in a tenant: "Keyturn ledger (keyturn-prod)"."""
    name = str(definition["roleName"])
    return name == role.name or name.startswith(f"{role.name} (")


def _too_much(
    assignment: Mapping[str, Any],
    wanted: Sequence[_Wanted],
    roles: Mapping[str, Mapping[str, Any]],
    table: Table,
) -> str:
    scope, name = _scope(assignment), assignment.get("roleDefinitionName") or assignment["roleDefinitionId"]
    below = [
        want.scope
        for want in wanted
        if _same_role(assignment, want.grant, roles, table) and want.scope.startswith(scope.rstrip("/") + "/")
    ]
    if below:
        return f"{name} on {scope or '/'}: needed on {', '.join(sorted(below))} alone"
    return f"{name} on {scope or '/'}: nothing needs it"


def _check_definitions(granted: Granted, roles: Mapping[str, Mapping[str, Any]], table: Table, found: Findings) -> None:
    """A role of our own may have been edited: what it permits counts, not its name."""
    assigned = {_name(str(one["roleDefinitionId"])) for one in granted.assignments}
    for definition_id in sorted(assigned & set(roles)):
        definition = roles[definition_id]
        for role in table.roles.values():
            if _is_ours(definition, role):
                _check_actions(definition, role, found)


def _check_actions(definition: Mapping[str, Any], role: CustomRole, found: Findings) -> None:
    where = f"in the role {definition['roleName']}"
    for kind, not_kind, should in (
        ("actions", "notActions", role.actions),
        ("dataActions", "notDataActions", role.data_actions),
    ):
        stands = {action.lower(): action for one in definition["permissions"] for action in one.get(kind) or ()}
        taken = {action.lower() for one in definition["permissions"] for action in one.get(not_kind) or ()}
        wanted = {action.lower(): action for action in should}
        found.excess += [f"{stands[one]} {where}" for one in sorted(set(stands) - set(wanted))]
        found.missing += [f"{wanted[one]} {where}" for one in sorted(set(wanted) - (set(stands) - taken))]


def access_policy_vaults(vaults: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Those of `az keyvault show` that don't decide by roles, by name."""
    return {str(one["name"]).lower(): one for one in vaults if not one["properties"].get("enableRbacAuthorization")}


def _check_access_policies(
    by_policy: Mapping[str, Mapping[str, Any]], principal: str, table: Table, found: Findings
) -> None:
    for name, vault in sorted(by_policy.items()):
        found.warnings.append(f"vault {name} {ESCALATES}")
        mine = [
            one["permissions"]
            for one in vault["properties"].get("accessPolicies") or ()
            if str(one["objectId"]).lower() == principal.lower()
        ]
        for kind in ("secrets", "keys", "certificates", "storage"):
            wanted = table.access_policy if kind == "secrets" else frozenset()
            has = {str(right).lower() for one in mine for right in one.get(kind) or ()}
            where = f"on {kind} in the access policy of vault {name}"
            found.missing += [f"{right} {where}" for right in sorted(wanted - has)]
            found.excess += [f"{right} {where}" for right in sorted(has - wanted)]


def _check_graph(needed: Needed, granted: Granted, table: Table, found: Findings) -> None:
    [permission] = table.graph
    if granted.app_roles is None or granted.owned is None:
        if needed.applications:
            found.missing.append(
                f"what Graph says of {permission.name} and of owned applications: give --app-roles and --owned"
            )
        return
    wanted = {permission.app_role_id} if needed.applications else set()
    found.missing += [f"{permission.name} at Microsoft Graph"] if wanted - granted.app_roles else []
    found.excess += [
        f"application permission {permission.name if one == permission.app_role_id else one}: nothing needs it"
        for one in sorted(granted.app_roles - wanted)
    ]
    applications = set(needed.applications)
    found.missing += [f"ownership of application {one}" for one in sorted(applications - granted.owned)]
    found.excess += [
        f"ownership of application {one}: no rule names it" for one in sorted(granted.owned - applications)
    ]


def _scope(assignment: Mapping[str, Any]) -> str:
    return str(assignment["scope"]).lower().rstrip("/")


def _name(resource_id: str) -> str:
    return resource_id.lower().rstrip("/").rsplit("/", 1)[-1]
