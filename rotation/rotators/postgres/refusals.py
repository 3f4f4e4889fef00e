"""What a server's or libpq's refusal means. Their words are looked at, and never passed on.

A database's name comes from the value and no policy permits it, so no message shows one; a role is one of the slots,
and a server one of the targets, that a rule permits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rotation.errors import Refused, Rejected, RotationError, Unreachable
from rotation.rotators.databases.database import AsksOtherwise

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

# libpq's words, the severity (in the server's language), the code, the server's words. Without a code all is libpq's.
_FROM_SERVER = re.compile(r"failed: [^:\n]*:  (?P<code>[0-9A-Z]{5}): (?P<words>.*)")
# PgBouncer before 1.19 had one code for everything; it speaks English only.
_ANY_POOLER_ERROR, _POOLER_REJECTS = "08P01", re.compile("auth(?:entication)? failed|no such user")
# Classes of SQLSTATE that say nothing about us. An internal error (XX) is one only at login: whatever a server's own
# code raises with no code of its own, such as a check of new passwords, is XX000, and would be asked again for ever.
_NOT_NOW = ("08", "40", "53", "55P03", "57", "58")
_NO_LOGIN_NOW = (*_NOT_NOW, "XX")
# Two changes of one role at one moment, of which the server takes the first: see `simple_heap_update` in heapam.c.
_INTERNAL, _ANOTHER_WAS_FASTER = "XX000", b"simple_heap_update"
# The words of a check that wants to see a new password: its writer's, and English.
_WANTS_IT_IN_CLEAR = re.compile(r"hash|encrypt|plain|clear.?text", re.IGNORECASE)


class KeptAsMd5(Rejected):
    """The server keeps this password as MD5, so it can't be proven by the one way that is answered."""


class MayNotLogIn(Rejected):
    """The password was right, and the role has no LOGIN."""


class StatementRefused(Refused):
    """The server refused a statement, so that nothing changed.

    sqlstate says why. wants_clear_text: its words are those of a check that takes no password hashed beforehand.
    """

    sqlstate = ""
    wants_clear_text = False


def login_error(message: str, endpoint: str, user: str, *, password_asked: bool) -> RotationError:
    """What a failed login means, of libpq's message."""
    role = f"role {user!a} at {endpoint}"
    found = _FROM_SERVER.search(message)
    if found is None:
        return _client_error(message, endpoint, role)
    code = found["code"]
    if code == _ANY_POOLER_ERROR and _POOLER_REJECTS.search(found["words"]):
        code = "28P01"
    error: RotationError
    match code:
        case "28P01":
            error = Rejected(f"the password of {role} was refused")
        case "28000" if password_asked:
            # The password was proven before the role was looked at.
            error = MayNotLogIn(f"{role} may not log in: ALTER ROLE ... LOGIN lets it")
        case "28000":
            error = Refused(
                f"{role} is not let in from here, whatever its password: "
                "add a line for this app to pg_hba.conf, and look whether the server asks for TLS"
            )
        case "3D000":
            # Looked for once the password is proven, so that it is no rejection: another password would not help.
            error = Refused(
                f"{endpoint} has no such database as the value leads {user!a} to: name one that it has in the value, "
                "or, where the value names none, in the tag target as HOST:PORT/DATABASE",
                field="target",
            )
        case "42501":
            error = Refused(f"{role} may not connect to the database that the value leads to: GRANT CONNECT lets it")
        case _ if code.startswith(_NO_LOGIN_NOW):
            error = Unreachable(f"{endpoint} takes no login now (SQLSTATE {code})")
        case _:
            error = Refused(f"{endpoint} refused the login of {user!a} (SQLSTATE {code})")
    return error


def _client_error(message: str, endpoint: str, role: str) -> RotationError:
    """What libpq's own words mean; they are English always, since the wheel has no translations."""
    if "requested a hashed password" in message:
        return KeptAsMd5(
            f"the password of {role} is kept as MD5, which is not answered: an administrator (admin) in the policy's "
            "rule sets it anew as SCRAM, for a secret that was never proven after adopt=reset"
        )
    if "authentication method requirement" in message:
        return AsksOtherwise(
            f"{endpoint} does not ask for the password by SCRAM, which alone is answered: let pg_hba.conf say "
            "scram-sha-256"
        )
    if "does not support SSL" in message:
        return Refused(f"{endpoint} has no TLS, and the password is not sent without")
    if "certificate" in message:
        return Refused(
            f"the certificate of {endpoint} is not valid for this name, or its authority is not trusted: "
            "see SSL_CERT_FILE for an authority of your own"
        )
    return Unreachable(f"no connection to {endpoint}: look whether it runs and lets this app's network in")


def statement_error(result: PGresult, endpoint: str) -> RotationError:
    """What a refused statement means."""
    from psycopg.pq import DiagnosticField  # noqa: PLC0415  imported when used

    code = (result.error_field(DiagnosticField.SQLSTATE) or b"08006").decode()  # without one, the connection is lost
    overtaken = code == _INTERNAL and result.error_field(DiagnosticField.SOURCE_FUNCTION) == _ANOTHER_WAS_FASTER
    if overtaken or code.startswith(_NOT_NOW):
        return Unreachable(f"{endpoint} could not do it now (SQLSTATE {code})")
    refused = StatementRefused(f"{endpoint} refused it (SQLSTATE {code})")
    refused.sqlstate = code
    words = (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace")
    refused.wants_clear_text = _WANTS_IT_IN_CLEAR.search(words) is not None
    return refused
