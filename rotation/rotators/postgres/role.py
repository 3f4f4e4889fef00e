"""A role's password, changed by whoever is logged in."""

from __future__ import annotations

from rotation.errors import Refused, Unreachable
from rotation.model import SecretValue
from rotation.rotators.postgres.neutral import neutral
from rotation.rotators.postgres.refusals import StatementRefused
from rotation.rotators.postgres.session import Session

PRIVILEGE, NO_SUCH_OBJECT, READ_ONLY = "42501", "42704", "25006"


class NoSuchRole(Refused):
    """The server has no such role."""


async def check_lasts(session: Session, role: str, days: int) -> None:
    """Make sure that a new password would be of use for so many days.

    Raises:
        NoSuchRole. Refused: it may not log in, or its VALID UNTIL comes first.
    """
    from psycopg.sql import SQL, Literal  # noqa: PLC0415  imported when used

    asked = SQL(
        "SELECT rolcanlogin, coalesce(rolvaliduntil <= now(), false), "
        "coalesce(rolvaliduntil < now() + make_interval(days => {}), false) FROM pg_roles WHERE rolname = {}"
    ).format(Literal(days), Literal(role))
    found = await session.query(neutral(asked.as_string(), session.server_version))
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
        await session.query(neutral(statement.as_string(), session.server_version, to_write=True))
    except StatementRefused as refused:
        raise _refusal(session, role, refused) from None


def _refusal(session: Session, role: str, refused: StatementRefused) -> Refused | Unreachable:
    if refused.sqlstate == PRIVILEGE:
        return Refused(
            f"whoever logged in at {session.endpoint} may not change role {role!a}: "
            "give an administrator CREATEROLE and, from PostgreSQL 16 on, GRANT ... WITH ADMIN OPTION on that role"
        )
    if refused.sqlstate == NO_SUCH_OBJECT:
        return _no_such_role(session, role)
    if refused.sqlstate == READ_ONLY:
        return Unreachable(f"{session.endpoint} is read-only: point at the primary, or look at its disk")
    if refused.wants_clear_text:
        return Refused(
            f"a check of new passwords at {session.endpoint} wants to see the one of role {role!a}, which is hashed "
            "before it is sent: let the check take hashed ones (credcheck.encrypted_password_allowed), exempt whoever "
            "changes the password from it (credcheck.whitelist), or take it out of shared_preload_libraries "
            f"({refused.message})"
        )
    return Refused(
        f"{session.endpoint} refused the new password of role {role!a}: a check of new passwords there may be the "
        f"reason, and its settings say whom it spares ({refused.message})"
    )


def _no_such_role(session: Session, role: str) -> NoSuchRole:
    return NoSuchRole(f"there is no role {role!a} at {session.endpoint}: CREATE ROLE ... LOGIN makes it")
