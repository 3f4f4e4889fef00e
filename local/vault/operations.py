"""The operations of the secrets API: their names here, the right each needs, and what RBAC calls it.

"Azure RBAC permissions for security", Microsoft.KeyVault, lists the data actions; the rights are those of access
policies, by which the SDK's documentation names what each of its methods needs.
"""

from __future__ import annotations

from enum import StrEnum


class Operation(StrEnum):
    """What a call does; the value is how faults and the record of calls name it."""

    SET = "set"
    GET = "get"
    LIST = "list"
    VERSIONS = "versions"
    UPDATE = "update"
    DELETE = "delete"
    RECOVER = "recover"
    PURGE = "purge"
    GET_DELETED = "get-deleted"
    LIST_DELETED = "list-deleted"
    BACKUP = "backup"
    RESTORE = "restore"

    @property
    def right(self) -> str:
        """The right that a caller needs."""
        return _RIGHTS.get(self, self.value)

    @property
    def data_action(self) -> str:
        """The action that a refusal names."""
        return f"Microsoft.KeyVault/vaults/secrets/{_DATA_ACTIONS[self]}"


_RIGHTS = {
    Operation.VERSIONS: "list",
    Operation.LIST_DELETED: "list",
    Operation.GET_DELETED: "get",
    Operation.UPDATE: "set",
}
RIGHTS = frozenset(operation.right for operation in Operation)

_DATA_ACTIONS = {
    Operation.SET: "setSecret/action",
    Operation.GET: "getSecret/action",
    Operation.LIST: "readMetadata/action",
    Operation.VERSIONS: "readMetadata/action",
    Operation.UPDATE: "update/action",
    Operation.DELETE: "delete",
    Operation.RECOVER: "recover/action",
    Operation.PURGE: "purge/action",
    Operation.GET_DELETED: "readMetadata/action",
    Operation.LIST_DELETED: "readMetadata/action",
    Operation.BACKUP: "backup/action",
    Operation.RESTORE: "restore/action",
}
