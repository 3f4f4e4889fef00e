"""A role's password, changed by whoever is logged in."""

from __future__ import annotations

from typing import Final

from rotation.errors import Refused, Unreachable
from rotation.model import SecretValue
from rotation.rotators.postgres_session import Session, StatementRefused

PRIVILEGE, NO_SUCH_OBJECT, READ_ONLY = "42501", "42704", "25006"

# A role's or database's own settings must not decide over this session: a reporting role may be read-only by default,
# and what a search path names first would stand for the catalog's. The server gives up before the client does.
SETTINGS: Final = (
    "SET search_path = pg_catalog; SET default_transaction_read_only = off; "
    "SET statement_timeout = '8s'; SET lock_timeout = '5s'"
)


class NoSuchRole(Refused):
    """The server has no such role."""


async def prepare(session: Session, *, pooler_meant: bool) -> None:
    """Make sure that this is a server on which a role can be changed.

    Raises:
        Unreachable: it is a standby. Refused: it is a pooler, and was not asked for by name.
    """
    await session.query(SETTINGS)
    [[recovering, pid]] = await session.query("SELECT pg_is_in_recovery(), pg_backend_pid()")
    if recovering == "t":
        # During a failover that is so for a while, hence not for good.
        raise Unreachable(f"{session.endpoint} is a read-only standby: point at the primary")
    if pid != str(session.backend_pid) and not pooler_meant:
        raise Refused(
            f"{session.endpoint} is a pooler such as PgBouncer, which may keep passwords of its own: "
            "set the tag target to the server itself; or to the pooler, if it asks the server for them (auth_query)",
            field="target",
        )


async def check_lasts(session: Session, role: str, days: int) -> None:
    """Make sure that a new password would be of use for so many days.

    Raises:
        NoSuchRole. Refused: it may not log in, or its VALID UNTIL comes first.
    """
    found = await session.query(
        "SELECT rolcanlogin, coalesce(rolvaliduntil <= now(), false), "
        "coalesce(rolvaliduntil < now() + make_interval(days => $2::int), false) FROM pg_roles WHERE rolname = $1",
        role, str(days),
    )  # fmt: skip
    if not found:
        raise _no_such_role(session, role)
    [[can_log_in, expired, expires_early]] = found
    if can_log_in != "t":
        raise Refused(f"role {role!a} at {session.endpoint} may not log in: ALTER ROLE ... LOGIN lets it")
    if expired == "t":
        raise Refused(
            f"role {role!a} at {session.endpoint} has ended (VALID UNTIL), and no password changes that: "
            "ALTER ROLE ... VALID UNTIL 'infinity' or a later day"
        )
    if expires_early == "t":
        raise Refused(
            f"role {role!a} at {session.endpoint} ends (VALID UNTIL) before its new password would: "
            "ALTER ROLE ... VALID UNTIL a later day, or make the tag validity-days smaller"
        )


async def set_password(session: Session, role: str, password: SecretValue | None) -> None:
    """One statement, which the server carries out whole or not at all; its verifier is made here. None: no password.

    Raises:
        NoSuchRole, Refused: nothing changed. Unreachable: not now; or no answer, and it may have happened.
    """
    from psycopg.sql import NULL, SQL, Identifier, Literal  # noqa: PLC0415  imported when used

    kept = NULL if password is None else Literal(session.verifier(password, role))
    statement = SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(role), kept)
    try:
        await session.query(statement.as_string())
    except StatementRefused as refused:
        if refused.sqlstate == PRIVILEGE:
            raise Refused(
                f"whoever logged in at {session.endpoint} may not change role {role!a}: "
                "give an administrator CREATEROLE and, from PostgreSQL 16 on, GRANT ... WITH ADMIN OPTION on that role"
            ) from None
        if refused.sqlstate == NO_SUCH_OBJECT:
            raise _no_such_role(session, role) from None
        if refused.sqlstate == READ_ONLY:
            raise Unreachable(f"{session.endpoint} is read-only: point at the primary, or look at its disk") from None
        raise Refused(f"{session.endpoint} refused the new password of role {role!a} ({refused.message})") from None


def _no_such_role(session: Session, role: str) -> NoSuchRole:
    return NoSuchRole(f"there is no role {role!a} at {session.endpoint}: CREATE ROLE ... LOGIN makes it")
