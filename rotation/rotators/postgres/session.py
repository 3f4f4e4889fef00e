"""What is done over a connection to PostgreSQL: look where it leads, look at a role, change its password."""

from __future__ import annotations

from rotation.errors import Refused, Unreachable
from rotation.model import SecretValue
from rotation.rotators.databases.database import NoSuchLogin, OnStandby, Primary
from rotation.rotators.postgres.connection import Connection
from rotation.rotators.postgres.neutral import neutral, quieted
from rotation.rotators.postgres.refusals import StatementRefused

PRIVILEGE, NO_SUCH_OBJECT, READ_ONLY, _NO_FUNCTION = "42501", "42704", "25006", "42883"
_LOOK = "SELECT pg_is_in_recovery(), pg_backend_pid(), session_user, "
# Whole microseconds: a date's text is the business of the role's DateStyle and TimeZone.
_STARTED = "(EXTRACT(EPOCH FROM pg_postmaster_start_time()) * 1000000)::bigint"
_IDENTIFIER = "(SELECT system_identifier FROM pg_control_system())"


class PostgresSession:
    """See `rotation.rotators.databases.database.Session`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._at = connection.endpoint

    def close(self) -> None:
        self._connection.close()

    async def is_standby(self) -> bool:
        """PgBouncer logs in at its server only now. From version 14 on a standby says at login that it is one."""
        # Takes no snapshot: a role whose transactions wait for those of others by default does not wait here.
        await self._connection.query("SHOW server_version")
        return self._connection.is_standby

    async def look(self, *, pooler_meant: bool) -> Primary:
        """The identifier is the cluster's, which any role may ask for unless the owner took `pg_control_system` away.

        A server that was restored from another's backup, and one that runs on a copy of its folder, have the same one.
        """
        recovering, pid, role, started, identifier = await self._asked()
        if recovering == "t":
            # During a failover that is so for a while, hence not for good.
            raise OnStandby(f"{self._at} is a read-only standby: point at the primary")
        if pid != str(self._connection.backend_pid) and not pooler_meant:
            raise Refused(
                f"{self._at} is a pooler such as PgBouncer, which may keep passwords of its own: set "
                "the tag target to the server itself; or to the pooler, if it asks the server for them (auth_query)",
                field="target",
            )
        return Primary(self._at, role or "", identifier, started or "")

    async def check_lasts(self, user: str, days: int) -> None:
        """By LOGIN and VALID UNTIL, which a change of the password leaves as they are."""
        from psycopg.sql import SQL, Literal  # noqa: PLC0415  imported when used

        asked = SQL(
            "SELECT rolcanlogin, coalesce(rolvaliduntil <= now(), false), "
            "coalesce(rolvaliduntil < now() + make_interval(days => {}), false) FROM pg_roles WHERE rolname = {}"
        ).format(Literal(days), Literal(user))
        found = await self._connection.query(neutral(asked.as_string(), self._connection.server_version))
        if not found:
            raise self._no_such_role(user)
        [[can_log_in, expired, expires_early]] = found
        if can_log_in != "t":
            raise Refused(f"role {user!a} at {self._at} may not log in: ALTER ROLE ... LOGIN lets it")
        if expired == "t":
            raise Refused(
                f"role {user!a} at {self._at} has ended (VALID UNTIL), and no password changes that: "
                "ALTER ROLE ... VALID UNTIL 'infinity' or a later day"
            )
        if expires_early == "t":
            raise Refused(
                f"role {user!a} at {self._at} ends (VALID UNTIL) before its new password would: "
                "ALTER ROLE ... VALID UNTIL a later day, or make the tag validity-days smaller"
            )

    async def set_password(self, user: str, password: SecretValue | None) -> None:
        """The server gets a SCRAM verifier (`Connection.verifier`), and never the password."""
        from psycopg.sql import NULL, SQL, Identifier, Literal  # noqa: PLC0415  imported when used

        kept = NULL if password is None else Literal(self._connection.verifier(password, user))
        statement = SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(user), kept)
        try:
            await self._connection.query(neutral(statement.as_string(), self._connection.server_version, to_write=True))
        except StatementRefused as refused:
            raise self._refusal(user, refused) from None

    async def _asked(self) -> tuple[str | None, ...]:
        """One message, unless this server lets nobody but its owner ask for its identifier."""
        begun, version = f"{quieted(self._connection.backend_pid)}; {_LOOK}{_STARTED}", self._connection.server_version
        try:
            [answer] = await self._connection.query(neutral(f"{begun}, {_IDENTIFIER}", version))
        except StatementRefused as refused:
            if refused.sqlstate not in {PRIVILEGE, _NO_FUNCTION}:
                raise
            [answer] = await self._connection.query(neutral(f"{begun}, NULL", version))
        return answer

    def _refusal(self, role: str, refused: StatementRefused) -> Refused | Unreachable:
        if refused.sqlstate == PRIVILEGE:
            return Refused(
                f"the login at {self._at} may not change role {role!a}: "
                "give an administrator CREATEROLE and, from PostgreSQL 16 on, GRANT ... WITH ADMIN OPTION on that role"
            )
        if refused.sqlstate == NO_SUCH_OBJECT:
            return self._no_such_role(role)
        if refused.sqlstate == READ_ONLY:
            return Unreachable(f"{self._at} is read-only: point at the primary, or look at its disk")
        if refused.wants_clear_text:
            return Refused(
                f"a check of new passwords at {self._at} wants to see the one of role {role!a}, which is hashed "
                "before it is sent: let the check take hashed ones (credcheck.encrypted_password_allowed), exempt "
                "the role that changes the password from it (credcheck.whitelist), or take it out of "
                f"shared_preload_libraries ({refused.message})"
            )
        return Refused(
            f"{self._at} refused the new password of role {role!a}: a check of new passwords there may be the "
            f"reason, and its settings say whom it spares ({refused.message})"
        )

    def _no_such_role(self, role: str) -> NoSuchLogin:
        return NoSuchLogin(f"there is no role {role!a} at {self._at}: CREATE ROLE ... LOGIN makes it")
