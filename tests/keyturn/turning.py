"""A role of a real PostgreSQL whose password is changed in place, and the secret that shows it a moment later."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from psycopg import sql

from keyturn import AsyncRotatingSecret, RotatingSecret
from rotation.model import SecretValue
from tests.integration.postgres_fixtures import Owner, Role
from tests.keyturn.played import AsyncPlayedVault, PlayedVault, Time

ADDRESS = "https://kv-orders.vault.azure.net/secrets/orders-db"


class Turning:
    """shape: the secret's value, of the role. `secret` and `async_secret` read the same vault, as two applications."""

    def __init__(self, owner: Owner, shape: Callable[[Role], str] | None = None) -> None:
        self.owner = owner
        self.role = owner.role()
        self._shape = shape or owner.value
        self._numbers = itertools.count()
        self.vault = PlayedVault(Time(), self._shape(self.role))
        self.secret = RotatingSecret(ADDRESS, reader=lambda: self.vault)
        self.async_secret = AsyncRotatingSecret(ADDRESS, reader=lambda: AsyncPlayedVault(self.vault))

    def rotate(self, gap_s: float = 0.08) -> None:
        """The old password is dead when this returns; the new one is there `gap_s` later."""
        password = SecretValue(f"{self.role.password.reveal()}{next(self._numbers)}")
        self.role = Role(self.role.name, password)
        self.owner.sql(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(self.role.name), sql.Literal(password.reveal()))
        )
        value = self._shape(self.role)
        threading.Timer(gap_s, lambda: self.vault.write(value)).start()
