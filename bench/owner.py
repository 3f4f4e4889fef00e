"""What the owner of vault and database does before a rotation is measured."""

from __future__ import annotations

import secrets
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql

# As the stack's policy has them: the follower's vault and name. They are in two vaults.
LED = "led"
FOLLOWERS = (("kv-demo", "led-follows"), ("kv-orders", "led-follows"))
VAULTS = ("kv-demo", "kv-orders")


def url(server: dict[str, Any], user: str, password: str) -> str:
    """A connection string to the stack's server."""
    return f"postgresql://{user}:{quote(password, safe='')}@{server['host']}:{server['port']}/{server['dbname']}"


def role(server: dict[str, Any], name: str) -> str:
    """Make a role that can log in -> its connection string."""
    password = secrets.token_urlsafe(24)
    with psycopg.connect(url(server, server["admin_user"], server["admin_password"]), autocommit=True) as connection:
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Literal(password)))
    return url(server, name, password)


def admin(server: dict[str, Any], statement: LiteralString) -> None:
    """Run a statement as the server's administrator."""
    with psycopg.connect(url(server, server["admin_user"], server["admin_password"]), autocommit=True) as connection:
        connection.execute(statement)
