"""For applications: a secret in Azure Key Vault that somebody rotates, read so that no login fails when that happens.

    from keyturn import RotatingSecret

    password = RotatingSecret("https://kv-orders.vault.azure.net/secrets/orders-db")
    connect(password.value)                       # the newest that is known; reads at most now and then
    connect(password.other_than(password_refused))  # after a refused login: another one, waited for

Nothing of Azure is imported before a secret is read.
"""

from keyturn.errors import KeyturnError, MissingSecrets, NoOther, NotReadable, NotUsable, VaultAway, WrongReference
from keyturn.required import require, variable_name
from keyturn.secret import RotatingSecret
from keyturn.secret_async import AsyncRotatingSecret

__all__ = [
    "AsyncRotatingSecret",
    "KeyturnError",
    "MissingSecrets",
    "NoOther",
    "NotReadable",
    "NotUsable",
    "RotatingSecret",
    "VaultAway",
    "WrongReference",
    "require",
    "variable_name",
]
