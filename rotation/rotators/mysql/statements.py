"""How a password is set, by the ways in which an account logs in."""

from __future__ import annotations

import random
from dataclasses import dataclass

from rotation.errors import Refused
from rotation.model import Tls
from rotation.rotators.databases.database import NoSuchLogin
from rotation.rotators.mysql import hashes
from rotation.rotators.mysql.account import WITHOUT_PASSWORD, Described, Way
from rotation.rotators.mysql.connection import Connection
from rotation.rotators.mysql.refusals import (
    HISTORY,
    NO_PRIVILEGE,
    NO_SUCH_ACCOUNT,
    OPTION_PREVENTS,
    POLICY,
    WRONG_CURRENT,
    StatementRefused,
)

_OF_MARIADB = frozenset({hashes.NATIVE, hashes.ED25519})
_OF_MYSQL = frozenset({hashes.NATIVE, hashes.SHA2})


@dataclass(frozen=True, slots=True)
class Name:
    """An account: MySQL knows one of the same user for each host pattern."""

    user: str
    host: str

    @classmethod
    def of(cls, current_user: str) -> Name:
        """Of what CURRENT_USER() says; a host has no @ in it, and a user may."""
        user, _, host = current_user.rpartition("@")
        return cls(user, host)

    def __str__(self) -> str:
        return f"{quoted(self.user)}@{quoted(self.host)}"


def quoted(text: str) -> str:
    """A text in a statement, where sql_mode is empty."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


class Statements:
    """Of one session. me: its account. logs_all: the server writes statements down as they come (log_raw)."""

    def __init__(
        self, connection: Connection, randomness: random.Random, *, is_mariadb: bool, me: Name, logs_all: bool
    ) -> None:
        self._connection = connection
        self._random = randomness
        self._is_mariadb = is_mariadb
        self._me = me
        self._logs_all = logs_all

    def check_ways(self, account: Described) -> None:
        """Make sure that each way is understood, and that one of them takes a password.

        Raises:
            Refused.
        """
        ours = self._ours(account)
        for way in account.ways:
            if way not in ours and way.plugin not in WITHOUT_PASSWORD:
                raise Refused(
                    f"the account logs in by a plug-in besides {', '.join(sorted(self._known))} at "
                    f"{self._connection.endpoint}, and is left alone: leave it to people, or give it one of these"
                )
        if not ours:
            raise Refused(
                f"the account takes no password at {self._connection.endpoint}: leave it to people, or give it one"
            )
        if len(account.ways) > 1 and not self._is_mariadb:
            raise Refused("the account logs in in several ways, which is left to people")

    async def set_password(self, name: Name, account: Described, new: str) -> None:
        """In every way that takes a password, or not at all.

        Raises:
            StatementRefused, Refused: nothing changed. Unreachable: not now; or no answer, and it may have happened.
        """
        self.check_ways(account)
        if self._is_mariadb:
            await self._set_on_mariadb(name, account, new)
        else:
            await self._set_on_mysql(name, account.ways[0].plugin, new)

    @property
    def _known(self) -> frozenset[str]:
        return _OF_MARIADB if self._is_mariadb else _OF_MYSQL

    def _ours(self, account: Described) -> list[Way]:
        return [way for way in account.ways if way.plugin in self._known]

    async def _set_on_mariadb(self, name: Name, account: Described, new: str) -> None:
        ours = self._ours(account)
        if len(ours) == 1 and name == self._me:
            # Needs no right, and leaves the other ways as they are.
            await self._connection.query(f"SET PASSWORD = {quoted(self._hash(ours[0].plugin, new))}")
            return
        if len(ours) > 1:
            self._check_one_password(name, ours)
        ways = " OR ".join(self._written(way, new) for way in account.ways)
        await self._connection.query(f"ALTER USER {name} IDENTIFIED VIA {ways}")

    def _check_one_password(self, name: Name, ways: list[Way]) -> None:
        """Somebody may use the second password of two: it is changed only where it is the same one."""
        old = self._connection.account.password.reveal()
        same = {way.kept == self._hash(way.plugin, old) for way in ways} if name == self._me else {False}
        if same != {True} and len(set(ways)) > 1:
            raise Refused(
                f"account {name.user!a} at {self._connection.endpoint} takes several passwords, and one of them may be "
                "somebody else's: leave it one (ALTER USER ... IDENTIFIED VIA), or let it log in itself where they "
                "are the same"
            )

    def _written(self, way: Way, new: str) -> str:
        kept = self._hash(way.plugin, new) if way.plugin in self._known else way.kept
        return way.plugin if kept is None else f"{way.plugin} USING {quoted(kept)}"

    async def _set_on_mysql(self, name: Name, plugin: str, new: str) -> None:
        hashed = self._hash(plugin, new)
        try:
            await self._connection.query(f"ALTER USER {name} IDENTIFIED WITH {plugin} AS {quoted(hashed)}")
        except StatementRefused as refused:
            if refused.number not in NO_PRIVILEGE or name != self._me:
                raise
        else:
            return
        await self._set_own(new)

    async def _set_own(self, new: str) -> None:
        """MySQL takes a hash from an administrator only; what an account says of itself, it writes into no log."""
        if self._connection.tls is Tls.DISABLE:
            raise Refused(
                f"{self._connection.endpoint} takes the new password from its own account in clear text alone, which "
                'is not sent without TLS: take tls = "disable" out of the rule, or name an administrator (admin)'
            )
        if self._logs_all:
            raise Refused(
                f"{self._connection.endpoint} would write the new password into its log (log_raw): name an "
                "administrator (admin) in the policy's rule, or switch that off"
            )
        old = self._connection.account.password.reveal()
        await self._connection.query(f"ALTER USER USER() IDENTIFIED BY {quoted(new)} REPLACE {quoted(old)}")

    def _hash(self, plugin: str, password: str) -> str:
        if plugin == hashes.SHA2:
            return hashes.caching_sha2(password, self._random)
        return hashes.ed25519(password) if plugin == hashes.ED25519 else hashes.native(password)


def statement_refusal(refused: StatementRefused, user: str, endpoint: str) -> Refused:
    """What the refusal of a change means for whoever reads it."""
    if refused.number in NO_SUCH_ACCOUNT:
        return NoSuchLogin(f"there is no account {user!a} at {endpoint}: CREATE USER makes it")
    if refused.number in NO_PRIVILEGE:
        more = " and SYSTEM_USER, which that account has too" if "SYSTEM_USER" in refused.words else ""
        return Refused(
            f"the login at {endpoint} may not change account {user!a}: give an administrator "
            f"GRANT CREATE USER ON *.*{more}"
        )
    if refused.number in {POLICY, OPTION_PREVENTS}:
        return Refused(
            f"a check of new passwords at {endpoint} refused the one of account {user!a}: it may want a longer one or "
            "other characters (password in the policy's rule), or to see it, which is hashed before it is sent "
            "(MariaDB: strict_password_validation)"
        )
    if refused.number == HISTORY:
        return Refused(f"{endpoint} says that account {user!a} had this password before; the next one is another")
    if refused.number in WRONG_CURRENT:
        return Refused(
            f"{endpoint} wants the current password of account {user!a}, and it is not the one that let us in"
        )
    return Refused(f"{endpoint} refused the new password of account {user!a} ({refused.message})")
