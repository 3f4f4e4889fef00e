"""What a server's refusal means, by its number. Its words are looked at, and never passed on.

Numbers: "Server Error Message Reference" and "Client Error Message Reference" of MySQL 8.4; "MariaDB Error Code
Reference". A database's name comes from the value and no policy permits it, so no message shows one.
"""

from __future__ import annotations

import ssl
from typing import Any

from rotation.errors import Refused, Rejected, RotationError, Unreachable
from rotation.rotators.databases.database import AsksOtherwise

ACCESS_DENIED, DENIED_WITHOUT_PASSWORD = 1045, 1698
NO_PRIVILEGE = frozenset({1044, 1142, 1227})
NO_SUCH_ACCOUNT = frozenset({1133, 1396})
OPTION_PREVENTS, POLICY, HISTORY, WRONG_CURRENT = 1290, 1819, 3638, frozenset({3891, 3892})
UNKNOWN_VARIABLE = 1193
_EXPIRED, _LOCKED, _BLOCKED = frozenset({1820, 1862}), frozenset({3118, 4151}), frozenset({3955, 4150})
_UNKNOWN_DATABASE, _NO_DATABASE_FOR_IT, _HOST_NOT_PERMITTED = 1049, 1044, 1130
_NEEDS_TLS, _NO_TLS = 3159, 2026
_ASKS_OTHERWISE = frozenset({1251, 2059, 2061})
# Full, shutting down, blocked, in another mode, waiting too long, or the connection is lost.
_NOT_NOW = frozenset({
    1040, 1041, 1047, 1053, 1077, 1129, 1152, 1154, 1156, 1158, 1159, 1160, 1161, 1180, 1184, 1203, 1205, 1213, 1226,
    1317, 1836, 1927, 2003, 2006, 2013, 2014, 3024, 3032, 3100, 3101, 3168, 3572, 1969,
})  # fmt: skip


_LOST = frozenset({0, 2006, 2013, 2014})


class Expired(Rejected):
    """The password was right, and has ended: only a new one lets this account in."""


class MayNotLogIn(Rejected):
    """The password was right, and the account is locked."""


class StatementRefused(Refused):
    """The server refused a statement, so that nothing changed.

    number: the server's own. words: what it says, to be looked at and never shown.
    """

    number = 0
    words = ""


def login_error(error: Any, endpoint: str, user: str) -> RotationError:
    """What a failed login means, of PyMySQL's error."""
    number = _number(error)
    account = f"account {user!a} at {endpoint}"
    found: RotationError | None = _of_account(number, account)
    if isinstance(getattr(error, "original_exception", None), ssl.SSLCertVerificationError):
        found = Refused(
            f"the certificate of {endpoint} is not valid for this name, or its authority is not trusted: "
            "see SSL_CERT_FILE for an authority of your own"
        )
    elif number in {ACCESS_DENIED, DENIED_WITHOUT_PASSWORD}:
        found = Rejected(f"the password of {account} was refused")
    elif number in _ASKS_OTHERWISE:
        found = AsksOtherwise(
            f"{endpoint} asks for the password of {user!a} in a way that is not answered: let the account use "
            "caching_sha2_password, mysql_native_password or MariaDB's ed25519"
        )
    elif number in _NOT_NOW:
        found = Unreachable(f"{endpoint} takes no login now (error {number}): look whether it runs and lets us in")
    return found or _refused_login(number, endpoint, user)


def _refused_login(number: int, endpoint: str, user: str) -> Refused:
    """The password was not looked at, or is not what is wrong."""
    if number in {_UNKNOWN_DATABASE, _NO_DATABASE_FOR_IT}:
        # Looked for once the password is proven, so that it is no rejection: another password would not help.
        return Refused(
            f"{endpoint} has no such database as the value leads {user!a} to, or does not let it in there: name one "
            "that it has in the value, or GRANT it",
            field="target",
        )
    if number == _NO_TLS:
        return Refused(f"{endpoint} has no TLS, and the password is not sent without")
    if number == _NEEDS_TLS:
        return Refused(f'{endpoint} asks for TLS: take tls = "disable" out of the policy\'s rule')
    if number == _HOST_NOT_PERMITTED:
        return Refused(
            f"account {user!a} at {endpoint} is not let in from here, whatever its password: no account there names a "
            "host that this app is"
        )
    return Refused(f"{endpoint} refused the login of {user!a} (error {number})")


def statement_error(error: Any, endpoint: str, user: str) -> RotationError:
    """What a refused statement of that login means."""
    number = _number(error)
    words = str(error.args[1]) if len(error.args) > 1 else ""
    found = _of_account(number, f"account {user!a} at {endpoint}")
    if found is not None:
        return found
    if number in _LOST:
        return Unreachable(f"{endpoint} did not answer; what was asked may have happened")
    if number in _NOT_NOW or (number == OPTION_PREVENTS and "read-only" in words.lower()):
        return Unreachable(f"{endpoint} could not do it now (error {number})")
    refused = StatementRefused(f"{endpoint} refused it (error {number})")
    refused.number, refused.words = number, words
    return refused


def _of_account(number: int, account: str) -> RotationError | None:
    if number in _EXPIRED:
        return Expired(
            f"the password of {account} has ended (PASSWORD EXPIRE): an administrator (admin) in the policy's rule "
            "sets a new one, or ALTER USER does by hand"
        )
    if number in _LOCKED:
        return MayNotLogIn(f"{account} is locked: ALTER USER ... ACCOUNT UNLOCK lets it in")
    if number in _BLOCKED:
        return Refused(
            f"{account} is blocked after too many failed logins, whatever its password: ALTER USER ... ACCOUNT UNLOCK "
            "ends that, on MariaDB FLUSH PRIVILEGES"
        )
    return None


def _number(error: Any) -> int:
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0
