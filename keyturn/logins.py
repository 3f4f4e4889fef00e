"""Logins that are tried again: how often, and what is said when that was in vain. Pure."""

from __future__ import annotations

import re

from keyturn.errors import KeyturnError

LOGINS = 3  # in a row, each with another value: a second rotation may come while the first one is waited for

# libpq hands on the server's words, in English unless the server's `lc_messages` says otherwise; PgBouncer before 1.19
# had words of its own. A role that may not log in is one that was retired.
_PASSWORD_REFUSED = re.compile(
    r"password authentication failed|SASL authentication failed|: auth failed|no such user|is not permitted to log in"
)


def refused_by_postgres(error: BaseException) -> bool:
    """Whether PostgreSQL, or PgBouncer before it, refused this role with this password.

    By the SQLSTATE (28P01, invalid_password) where the driver has it, as asyncpg does; else by the message.
    """
    state = getattr(error, "sqlstate", None)
    return state == "28P01" or _PASSWORD_REFUSED.search(str(error)) is not None


def note(refused: Exception, why: KeyturnError) -> None:
    """What is raised is the driver's own error, which applications know; a note says why there was no other value."""
    refused.add_note(f"keyturn: {why}")
