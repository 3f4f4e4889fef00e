"""The ARM ids of what has none on one machine."""

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-local"


def workspace_resource() -> str:
    """The Log Analytics workspace, on which the right to read the audit log is given."""
    return f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log-local"


def vault_resource(vault: str) -> str:
    """The id by which events and errors name a vault, and rights on it are given."""
    return f"{GROUP}/providers/Microsoft.KeyVault/vaults/{vault}"
