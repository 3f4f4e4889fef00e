"""`infra/roles.json`: which role each purpose takes, and at what scope.

Built-in roles by the ids of "Azure built-in roles"; the custom ones hold nothing but the actions that the app's calls
ask for: "Azure permissions for Security" (Key Vault), "for Storage" and "for Databases", "Permissions for calling data
operations" of the Storage REST reference, and "Manage access to Log Analytics workspaces" (a right on one table).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "roles.json"


@dataclass(frozen=True, slots=True)
class CustomRole:
    """A role of our own, by what it permits; nothing is taken out of it again."""

    key: str
    name: str
    actions: frozenset[str]
    data_actions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Grant:
    """A role for a purpose. scope: the kind of place, such as "vault", "ledgerContainer", "target".

    role_id: of a built-in role; None where `custom` is the key of a role of our own. resource_types: of targets alone,
    in lower case, as ids are compared. outermost: the role is given on what a target is within, such as its namespace.
    rotators: the kinds that need it on their targets; empty where the app as such does, whatever it rotates.
    refreshes: the kinds of the policy's `refresh` that need it on their targets.
    """

    key: str
    purpose: str
    scope: str
    role_name: str
    role_id: str | None
    custom: str | None
    resource_types: frozenset[str]
    rotators: frozenset[str]
    refreshes: frozenset[str] = frozenset()
    outermost: bool = False


@dataclass(frozen=True, slots=True)
class Permission:
    """An application permission of Microsoft Graph."""

    name: str
    app_role_id: str
    resource_app_id: str
    purpose: str
    rotators: frozenset[str]


@dataclass(frozen=True, slots=True)
class Administration:
    """Servers at which this app's identity may be the administrator: `steps` prints the SQL for one."""

    resource_type: str
    rotators: frozenset[str]


@dataclass(frozen=True, slots=True)
class Table:
    """access_policy: the permissions on secrets in a vault that does not decide by roles."""

    roles: Mapping[str, CustomRole]
    grants: tuple[Grant, ...]
    graph: tuple[Permission, ...]
    sql: tuple[Administration, ...]
    access_policy: frozenset[str]

    def grant(self, key: str) -> Grant:
        """The grant of that key."""
        return next(grant for grant in self.grants if grant.key == key)


def load(path: Path = FILE) -> Table:
    """The table, as it is deployed."""
    raw = json.loads(path.read_text())
    return Table(
        roles={key: _role(key, role) for key, role in raw["customRoles"].items()},
        grants=tuple(_grant(grant) for grant in raw["grants"]),
        graph=tuple(
            Permission(
                one["permission"], one["appRoleId"], one["resourceAppId"], one["purpose"], frozenset(one["rotators"])
            )
            for one in raw["graph"]
        ),
        sql=tuple(Administration(one["resourceType"].lower(), frozenset(one["rotators"])) for one in raw["sql"]),
        access_policy=frozenset(raw["accessPolicy"]["secrets"]),
    )


def _role(key: str, raw: Mapping[str, Any]) -> CustomRole:
    return CustomRole(key, raw["roleName"], frozenset(raw["actions"]), frozenset(raw["dataActions"]))


def _grant(raw: Mapping[str, Any]) -> Grant:
    return Grant(
        raw["key"], raw["purpose"], raw["scope"], raw["roleName"], raw["roleId"], raw["customRole"],
        _types(raw["resourceType"]), frozenset(raw["rotators"]), frozenset(raw.get("refreshes", ())),
        raw.get("outermost", False),
    )  # fmt: skip


def _types(written: str | list[str] | None) -> frozenset[str]:
    """One type of resource, or a list of them; none where it is no target's."""
    types = [written] if isinstance(written, str) else written or []
    return frozenset(one.lower() for one in types)
