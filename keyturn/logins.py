"""Logins that are tried again: how often, and what is said when that was in vain. Pure."""

from __future__ import annotations

import re

from keyturn.errors import KeyturnError, NotUsable
from keyturn.held import Held

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


# As libpq has it, or with SQLAlchemy's name of a driver: postgresql+asyncpg://
_URI = re.compile(r"postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)
# A JDBC URL or another scheme, JSON, or settings with semicolons or commas, as .NET has them.
_OF_OTHERS = re.compile(r"\w://|^\s*[{\[].*[}\]]\s*$|(?:^|[;,])\s*(?:password|pwd)\s*=", re.IGNORECASE)


def uri_of(value: Held) -> Held | None:
    """A PostgreSQL URI as every driver reads it. None: the value is none."""
    found = _URI.match(value.reveal())
    return Held(f"postgresql://{value.reveal()[found.end() :]}") if found else None


def may_be_bare(value: Held) -> bool:
    """Whether the value may be a password and nothing else: it has no sign of a form that some client would read."""
    text = value.reveal()
    return bool(text) and text.isprintable() and not _OF_OTHERS.search(text)


def not_usable(secret: object, client: str, remedy: str) -> NotUsable:
    """One line, without the value."""
    return NotUsable(f"{secret}: {client} can't log in with this value: {remedy}")


def note(refused: Exception, why: KeyturnError) -> None:
    """What is raised is the driver's own error, which applications know; a note says why there was no other value."""
    refused.add_note(f"keyturn: {why}")
