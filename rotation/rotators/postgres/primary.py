"""What a server says of itself before a role is changed there: which it is, and that it is the one that is meant."""

from __future__ import annotations

from dataclasses import dataclass

from rotation.errors import MovedElsewhere, Refused, Unreachable
from rotation.rotators.postgres.neutral import neutral, quieted
from rotation.rotators.postgres.refusals import StatementRefused
from rotation.rotators.postgres.session import Endpoint, Session

REALM = "postgresql:"
_NO_RIGHT, _NO_FUNCTION = "42501", "42883"
_LOOK = "SELECT pg_is_in_recovery(), pg_backend_pid(), session_user, "
# Whole microseconds: a date's text is the business of the role's DateStyle and TimeZone.
_STARTED = "(EXTRACT(EPOCH FROM pg_postmaster_start_time()) * 1000000)::bigint"
_IDENTIFIER = "(SELECT system_identifier FROM pg_control_system())"


class OnStandby(Unreachable):
    """A standby let us in, and nothing can be changed there."""


@dataclass(frozen=True, slots=True)
class Primary:
    """role: who is logged in. identifier: the cluster's own, which a copy of it has too; None: the server won't say.

    started: when the running server was started, in microseconds, as it says.
    """

    endpoint: Endpoint
    role: str
    identifier: str | None
    started: str

    @property
    def realm(self) -> str:
        """See `rotation.model.Proof`. Where the server won't say who it is, its address stands for it."""
        return f"{REALM}{self.identifier or self.endpoint}"


async def look(session: Session, *, pooler_meant: bool, realm: str | None) -> Primary:
    """Make sure that this is a server on which a role can be changed, and the one that was proven to be ours.

    realm: of the proof; None: any server.

    Raises:
        MovedElsewhere: it is another. OnStandby: it is a standby. Refused: a pooler that was not asked for by name.
    """
    recovering, pid, role, started, identifier = await _told(session)
    if recovering == "t":
        # During a failover that is so for a while, hence not for good.
        raise OnStandby(f"{session.endpoint} is a read-only standby: point at the primary")
    if pid != str(session.backend_pid) and not pooler_meant:
        raise Refused(
            f"{session.endpoint} is a pooler such as PgBouncer, which may keep passwords of its own: "
            "set the tag target to the server itself; or to the pooler, if it asks the server for them (auth_query)",
            field="target",
        )
    primary = Primary(session.endpoint, role or "", identifier, started or "")
    # Who may log in to change it may be told who the server is, where the value's own role was not.
    ours = {primary.realm, f"{REALM}{primary.endpoint}"}
    if realm is not None and realm.startswith(REALM) and realm not in ours:
        raise MovedElsewhere(
            f"{session.endpoint} is another PostgreSQL server than the one where this credential was proven; "
            "nothing was changed, and it is proven anew"
        )
    return primary


async def _told(session: Session) -> tuple[str | None, ...]:
    """One message, unless this server lets nobody but its owner ask for its identifier."""
    quiet = quieted(session.backend_pid)
    try:
        [told] = await session.query(neutral(f"{quiet}; {_LOOK}{_STARTED}, {_IDENTIFIER}", session.server_version))
    except StatementRefused as refused:
        if refused.sqlstate not in {_NO_RIGHT, _NO_FUNCTION}:
            raise
        [told] = await session.query(neutral(f"{quiet}; {_LOOK}{_STARTED}, NULL", session.server_version))
    return told
