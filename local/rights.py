"""What the app's identity may do at the stand-ins: what a deployment of the same policy would grant it, and no more.

So a right that is missing from `infra/roles.json` turns tests red here, before anybody meets it on Azure. Everybody
else, the owner in a shell or a test, may do everything.

Where KEYTURN_RIGHTS_LOG names a folder, each right that was granted, called for and refused is written there, once a
process: a whole test run so tells which rights the app really uses.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from infra.rights.needed import derive
from infra.rights.table import load
from local.identity import APP_CLIENT_ID, object_id
from local.resources import vault_resource, workspace_resource
from rotation.policy import Policy

APP_OID = object_id(APP_CLIENT_ID)
LOG_SETTING = "KEYTURN_RIGHTS_LOG"
GRAPH = "/applications"  # below it an application's object id, where Azure would have a resource's


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """An action (of Azure's, or a permission of Graph's) on a scope and everything below it, in lower case."""

    action: str
    scope: str

    def covers(self, action: str, scope: str) -> bool:
        """Whether a call for `action` on `scope` is let through by it."""
        return action.lower() == self.action.lower() and f"{scope}/".startswith(f"{self.scope}/")


class Rights:
    """Of one identity. granted: None, and nothing is refused to it either."""

    def __init__(self, granted: Iterable[Right] | None = None, *, oid: str = APP_OID) -> None:
        self._oid = oid
        self._granted = None if granted is None else frozenset(granted)
        self._log = _Log()
        for right in sorted(self._granted or ()):
            self._log.add("granted", right)

    def permit(self, claims: Mapping[str, Any], action: str, scope: str) -> bool:
        """Whether the caller may do this; noted where it is the app."""
        if claims.get("oid") != self._oid:
            return True
        asked = Right(action, scope.lower())
        self._log.add("called", asked)
        permitted = self._granted is None or any(right.covers(asked.action, asked.scope) for right in self._granted)
        if not permitted:
            self._log.add("refused", asked)
        return permitted

    def to_json(self) -> str:
        """For another process."""
        granted = None if self._granted is None else [[one.action, one.scope] for one in sorted(self._granted)]
        return json.dumps({"oid": self._oid, "granted": granted})

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """What `to_json` wrote."""
        read = json.loads(path.read_text())
        granted = read["granted"]
        return cls(None if granted is None else [Right(*one) for one in granted], oid=read["oid"])


def deployed(policy: Policy, vaults: Sequence[str]) -> Rights:
    """The rights that `python -m infra.rights` derives for an app with these vaults."""
    table = load()
    needed = derive(policy, table, vaults)
    on_vaults = table.roles[str(next(grant for grant in table.grants if grant.scope == "vault").custom)]
    rights = [
        Right(action, vault_resource(vault).lower()) for vault in needed.vaults for action in on_vaults.data_actions
    ]
    for need in needed.targets:
        role = table.roles[str(table.grant(need.grant).custom)]
        rights += [Right(action, need.scope) for action in role.actions]
    if needed.audit_log:
        actions = table.roles[str(table.grant("audit-log").custom)].actions
        rights += [Right(action, workspace_resource().lower()) for action in actions]
    [permission] = table.graph
    rights += [Right(permission.name, f"{GRAPH}/{one}") for one in needed.applications]
    return Rights(rights)


class _Log:
    """One file a process and stand-in; each line once."""

    def __init__(self) -> None:
        folder = os.environ.get(LOG_SETTING)
        self._path = Path(folder) / f"{uuid.uuid4().hex}.jsonl" if folder else None
        self._written: set[tuple[str, Right]] = set()

    def add(self, what: str, right: Right) -> None:
        if self._path is None or (what, right) in self._written:
            return
        self._written.add((what, right))
        with self._path.open("a") as file:
            file.write(json.dumps({"what": what, "action": right.action, "scope": right.scope}) + "\n")
