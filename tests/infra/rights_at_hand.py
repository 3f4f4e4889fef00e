"""A policy, and what az prints of its deployment."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.rights.__main__ import main
from infra.rights.needed import Needed, derive
from infra.rights.table import load
from rotation.policy.file import check
from rotation.policy.known import known_names

SUBSCRIPTION = "00000000-0000-0000-0000-00000000000a"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-Orders"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/storders"
SERVER = f"{GROUP}/providers/Microsoft.DBforPostgreSQL/flexibleServers/orders"
APPLICATION = "00000000-0000-0000-0000-0000000000a1"
PRINCIPAL = "00000000-0000-0000-0000-00000000000b"
VAULT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-vaults/providers/Microsoft.KeyVault/vaults/kv-a"
PLACES = {
    "principalId": PRINCIPAL,
    "vault": [VAULT],
    "ledgerContainer": [
        f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stledger/blobServices/default/containers/l"
    ],
    "hostStorage": [f"{GROUP}/providers/Microsoft.Storage/storageAccounts/sthost"],
    "deploymentContainer": [],
    "applicationInsights": [f"{GROUP}/providers/Microsoft.Insights/components/ai"],
}
TABLE = load()


def rule(rotators: list[str], targets: list[str] | None = None, **more: object) -> str:
    lines = {"vaults": ["kv-a"], "secrets": ["a-*"], "rotators": rotators, **({"targets": targets} if targets else {})}
    return "[[rule]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in {**lines, **more}.items())


def _toml(value: object) -> str:
    """Of texts, numbers and lists JSON is TOML as well; of tables it is not."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return f"[{', '.join(map(_toml, value))}]" if isinstance(value, list) else json.dumps(value)


def needed(text: str, vaults: tuple[str, ...] | None = None) -> Needed:
    policy, findings = check(text, known_names())
    assert findings == []
    return derive(policy, TABLE, vaults)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(one) for one in arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


class Azure:
    """What az prints of a deployment, as it should be after `policy`; a test takes away and adds."""

    def __init__(self, folder: Path, policy: str) -> None:
        self.folder = folder
        self.policy = folder / "policy.toml"
        self.policy.write_text(policy)
        self.places: dict[str, Any] = json.loads(json.dumps(PLACES))
        self.definitions = [
            {
                "id": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role.key}",
                "roleName": f"{role.name} (keyturn-prod)",
                "permissions": [{"actions": sorted(role.actions), "dataActions": sorted(role.data_actions)}],
            }
            for role in TABLE.roles.values()
        ]
        self.assignments: list[dict[str, Any]] = []
        for grant in TABLE.grants:
            for scope in self.places.get(grant.scope, []):
                self.assign(grant.role_id or str(grant.custom), scope, grant.role_name)
        for need in needed(policy).targets:
            grant = TABLE.grant(need.grant)
            self.assign(str(grant.custom), need.scope, grant.role_name)
        self.more: list[object] = []

    def assign(self, definition: str, scope: str, name: str = "a role", **more: object) -> None:
        base = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
        one = {"roleDefinitionId": f"{base}/{definition}", "roleDefinitionName": name, "scope": scope}
        self.assignments.append({**one, "principalId": PRINCIPAL, "principalType": "ServicePrincipal", **more})

    def revoke(self, name: str) -> None:
        self.assignments = [one for one in self.assignments if one["roleDefinitionName"] != name]

    def option(self, name: str, body: object) -> None:
        path = self.folder / f"{len(self.more)}.json"
        path.write_text(json.dumps(body))
        self.more += [f"--{name}", path]

    def checked(self, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
        files: Mapping[str, object] = {
            "places": self.places, "granted": self.assignments, "definitions": self.definitions
        }  # fmt: skip
        options: list[object] = []
        for name, body in files.items():
            (self.folder / f"{name}.json").write_text(json.dumps(body))
            options += [f"--{name}", self.folder / f"{name}.json"]
        code, out, err = run(capsys, "check", self.policy, *options, *self.more)
        assert (code == 2) is bool(err)
        return code, [line for line in (out + err).splitlines() if not line.startswith("the identity has")]


def of_policies(permissions: Mapping[str, list[str]] | None) -> dict[str, Any]:
    mine = [] if permissions is None else [{"objectId": PRINCIPAL.upper(), "permissions": permissions}]
    others = {"objectId": "somebody", "permissions": {"secrets": ["all"], "keys": ["all"]}}
    return {"name": "kv-A", "properties": {"enableRbacAuthorization": False, "accessPolicies": [*mine, others]}}
