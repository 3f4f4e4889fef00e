"""What a deployment's template can't grant: commands for whoever administers directory, vaults and databases.

Sources: Microsoft Learn, "Grant an appRoleAssignment to a service principal" and "application: add owner" (Graph);
"Manage Microsoft Entra roles in Azure Database for PostgreSQL" (`pgaadauth_create_principal`); "Assign a Key Vault
access policy"; PostgreSQL 16, "GRANT":
ADMIN without INHERIT and SET lets a role change another's password and neither use its rights nor become it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Any

from infra.rights.needed import Needed, SqlNeed
from infra.rights.table import Table

# Each cloud has a Graph of its own; az knows it by the cloud that it is set to.
GRAPH = "graph=$(az cloud show --query endpoints.microsoftGraphResourceId -o tsv)"
FALLBACK_USER = "NAME-OF-THE-IDENTITY"


def steps(
    needed: Needed, table: Table, principal: str, by_policy: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> Iterator[str]:
    """Lines for a shell, then SQL; comments say who runs what.

    principal: the identity's object id. by_policy: by name, the vaults that decide by access
    policies, as az shows them.
    """
    [permission] = table.graph
    rights = " ".join(sorted(table.access_policy))
    for vault in sorted(set(needed.vaults) & set(by_policy)):
        yield f"# Vault {vault} decides by access policies; roles are better: docs/rights.md."
        subscription = str(by_policy[vault].get("id", "")).split("/")[2:3]
        where = f"--subscription {subscription[0]} " if subscription else ""
        yield f"az keyvault set-policy {where}--name {vault} --object-id {principal} --secret-permissions {rights}"
    if needed.applications:
        yield "# As a Privileged Role Administrator: client secrets of the applications that it owns, and of no others."
        yield GRAPH
        yield f"resource=$(az ad sp show --id {permission.resource_app_id} --query id -o tsv)"
        yield (
            f'az rest --method POST --url "${{graph%/}}/v1.0/servicePrincipals/{principal}/appRoleAssignments" --body '
            f'"{{\\"principalId\\": \\"{principal}\\", \\"resourceId\\": \\"$resource\\", '
            f'\\"appRoleId\\": \\"{permission.app_role_id}\\"}}"'
        )
        yield from (f"az ad app owner add --id {one} --owner-object-id {principal}" for one in needed.applications)
    for server, needs in groupby(needed.sql, key=lambda need: need.server):
        yield from sql(server, list(needs))


def sql(server: str, needs: list[SqlNeed]) -> Iterator[str]:
    """For an Entra administrator of a server, in its database postgres."""
    yield f"-- On {server}, as its Entra administrator, in the database postgres (PostgreSQL 16 or newer):"
    for user in dict.fromkeys(need.user for need in needs):
        name = user or FALLBACK_USER
        yield f"SELECT * FROM pgaadauth_create_principal({literal(name)}, false, false);"  # noqa: S608  quoted; and printed
        yield from may_change(name, sorted({role for need in needs if need.user == user for role in need.roles}))


def may_change(user: str, roles: list[str]) -> Iterator[str]:
    """What lets a role change the passwords of others, and no more."""
    yield f"ALTER ROLE {identifier(user)} CREATEROLE;"
    for role in roles:
        yield f"GRANT {identifier(role)} TO {identifier(user)} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;"


def identifier(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
