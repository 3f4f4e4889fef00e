"""Logins that are tried again: how often, and what is said when that was in vain. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from keyturn.errors import KeyturnError, NotUsable
from keyturn.held import Held

LOGINS, MOST_LOGINS = 3, 20  # in a row, each with another value

# libpq hands on the server's words, in English unless the server's `lc_messages` says otherwise; PgBouncer before 1.19
# had words of its own. A role that may not log in is one that was retired.
_PASSWORD_REFUSED = re.compile(
    r"password authentication failed|SASL authentication failed|:\s+auth failed|no such user|is not permitted to log in"
)


class Tries:
    """Whether a refused login is tried once more, with another value; of one `log_in`.

    The next rotation may come while the last one is waited for, or while a slow machine logs in. So it is tried three
    times, however long that takes, and on as long as another value is waited for.
    """

    def __init__(self, monotonic: Callable[[], float], wait_s: float) -> None:
        self._monotonic, self._wait_s = monotonic, wait_s
        self._refused = 0
        self._until = 0.0

    def another(self) -> bool:
        """After each refused login."""
        if not self._refused:
            self._until = self._monotonic() + self._wait_s
        self._refused += 1
        return self._refused < LOGINS or (self._refused < MOST_LOGINS and self._monotonic() < self._until)


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
