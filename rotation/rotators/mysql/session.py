"""What is done over a connection: look where it leads, look at an account, change its password."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from rotation.errors import Refused, Unreachable
from rotation.model import SecretValue
from rotation.ports import RotatorDependencies
from rotation.rotators.databases.database import NoSuchLogin, OnStandby, Primary
from rotation.rotators.mysql.account import Described, Unclear, described
from rotation.rotators.mysql.connection import Connection
from rotation.rotators.mysql.refusals import NO_PRIVILEGE, NO_SUCH_ACCOUNT, UNKNOWN_VARIABLE, StatementRefused
from rotation.rotators.mysql.statements import Name, Statements, quoted, statement_refusal

FEW_LOGINS = 20  # in an hour: a rotation with its proofs takes some, and the account's consumers the rest
_CONNECTION_BITS = 0xFFFFFFFF
# What a server's own defaults must not decide: how texts are quoted, whether a change waits to be committed, and for
# how long it waits for others.
_NEUTRAL = "SET SESSION sql_mode = '', autocommit = 1, lock_wait_timeout = 5"
_AS_HEX = "SET SESSION print_identified_with_as_hex = ON"
_ASKED = (
    "read_only", "super_read_only", "server_uuid", "hostname", "port", "wsrep_on", "log_raw",
    "group_replication_group_name", "default_password_lifetime",
)  # fmt: skip
# In one statement, since both count the seconds from the statement's own begin.
_STARTED = "SELECT UNIX_TIMESTAMP() - VARIABLE_VALUE FROM {}.global_status WHERE VARIABLE_NAME = 'UPTIME'"


@dataclass(frozen=True, slots=True)
class About:
    """What the server said. me: the account that let us in. settings: those of `_ASKED` that it has."""

    is_mariadb: bool
    me: Name
    number: int
    settings: Mapping[str, str]

    @property
    def is_standby(self) -> bool:
        """MariaDB has more words than ON for it."""
        return any(
            self.settings.get(name, "OFF").upper() not in {"OFF", "0"} for name in ("read_only", "super_read_only")
        )


class MySQLSession:
    """See `rotation.rotators.databases.database.Session`."""

    def __init__(self, connection: Connection, services: RotatorDependencies) -> None:
        self._connection = connection
        self._services = services
        self._at = connection.endpoint
        self._known: About | None = None

    def close(self) -> None:
        self._connection.close()

    async def is_standby(self) -> bool:
        return (await self._about()).is_standby

    async def look(self, *, pooler_meant: bool) -> Primary:
        """The identifier is the cluster's where there is one (Galera, group replication), else the server's own."""
        about = await self._about()
        if about.is_standby:
            # During a failover that is so for a while, hence not for good.
            raise OnStandby(f"{self._at} is read-only, as a replica is: point at the primary")
        if about.number & _CONNECTION_BITS != self._connection.greeted_as and not pooler_meant:
            raise Refused(
                f"{self._at} is a pooler such as ProxySQL or MaxScale, which keeps passwords of its own: set the tag "
                "target to the server itself; or to the pooler, if it asks the server for them",
                field="target",
            )
        if (cluster := await self._cluster(about)) is not None:
            # Each node started at a time of its own, and any may answer next.
            return Primary(self._at, about.me.user, cluster, f"cluster {cluster}")
        schema = "information_schema" if about.is_mariadb else "performance_schema"
        [[started]] = await self._connection.query(_STARTED.format(schema))
        settings = about.settings
        place = f"{int(started)} {settings.get('hostname', '')} {settings.get('port', '')}"
        # MariaDB's `server_uid` is made of a network card's address and the port: a container started anew has another.
        return Primary(self._at, about.me.user, settings.get("server_uuid") or None, place)

    async def check_lasts(self, user: str, days: int) -> None:
        """By its lock, by how long a password lasts, and by the limits that failed logins or many logins reach."""
        name = await self._account(user)
        account = await self._described(name)
        about = await self._about()
        who = f"account {user!a} at {self._at}"
        (await self._statements()).check_ways(account)
        if account.locked:
            raise Refused(f"{who} is locked: ALTER USER ... ACCOUNT UNLOCK lets it in")
        lasts = account.expires_days
        if lasts is None:
            lasts = int(about.settings.get("default_password_lifetime", "0"))
        if 0 < lasts < days:
            raise Refused(
                f"a password of {who} ends after {lasts} days, before the new one would: ALTER USER ... PASSWORD "
                "EXPIRE NEVER or a longer INTERVAL, or make the tag validity-days smaller"
            )
        if account.failures_lock:
            raise Refused(
                f"{who} is locked by {account.failures_lock} failed logins, which its consumers make with the old "
                "password: ALTER USER ... FAILED_LOGIN_ATTEMPTS 0"
            )
        if any(limit < FEW_LOGINS for limit in account.per_hour):
            raise Refused(
                f"{who} may do less than {FEW_LOGINS} things in an hour, and a rotation takes some of them: "
                "ALTER USER ... WITH MAX_CONNECTIONS_PER_HOUR 0 MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0"
            )

    async def set_password(self, user: str, password: SecretValue | None) -> None:
        """The server gets a hash (`hashes`). Of a login that changes itself MySQL takes none, and gets the password."""
        name = await self._account(user)
        statements = await self._statements()
        account = await self._described(name)
        # A password that nobody knows is the same as none, in every way that takes passwords.
        new = secrets.token_urlsafe(48) if password is None else password.reveal()
        try:
            await statements.set_password(name, account, new)
        except StatementRefused as refused:
            raise statement_refusal(refused, user, str(self._at)) from None

    async def _statements(self) -> Statements:
        about = await self._about()
        return Statements(
            self._connection,
            self._services.random,
            is_mariadb=about.is_mariadb,
            me=about.me,
            logs_all=about.settings.get("log_raw", "OFF").upper() not in {"OFF", "0"},
        )

    async def _about(self) -> About:
        if self._known is not None:
            return self._known
        await self._connection.query(_NEUTRAL)
        [[version, me, number]] = await self._connection.query("SELECT VERSION(), CURRENT_USER(), CONNECTION_ID()")
        names = ", ".join(f"'{name}'" for name in _ASKED)
        found = await self._connection.query(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
        is_mariadb = "mariadb" in str(version).lower()
        if "tidb" in str(version).lower():
            raise Refused(f"{self._at} is TiDB, which no rotator reads: leave its accounts to people")
        self._known = About(is_mariadb, Name.of(str(me)), int(number), {str(key): str(value) for key, value in found})
        return self._known

    async def _cluster(self, about: About) -> str | None:
        settings = about.settings
        if settings.get("wsrep_on", "OFF").upper() in {"ON", "1"}:
            found = await self._connection.query("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_state_uuid'")
            return str(found[0][1]) or None if found else None
        return settings.get("group_replication_group_name") or None

    async def _account(self, user: str) -> Name:
        """The account of that name: the one that let us in, or the only one that there is."""
        me = (await self._about()).me
        if me.user == user:
            return me
        try:
            found = await self._connection.query(f"SELECT Host FROM mysql.user WHERE User = {quoted(user)}")  # noqa: S608
        except StatementRefused as refused:
            raise self._not_shown(refused, user) from None
        hosts = [_text(host) for [host] in found if host]  # a role of MariaDB has none
        if not hosts:
            raise NoSuchLogin(f"there is no account {user!a} at {self._at}: CREATE USER makes it")
        if len(hosts) > 1:
            raise Refused(
                f"{self._at} has {len(hosts)} accounts {user!a}, for different hosts, and an administrator can't tell "
                "which of them is meant: let the account log in itself, or leave one"
            )
        return Name(user, hosts[0])

    async def _described(self, name: Name) -> Described:
        about = await self._about()
        if not about.is_mariadb:
            try:
                await self._connection.query(_AS_HEX)  # salts are bytes, and no text
            except StatementRefused as refused:
                if refused.number != UNKNOWN_VARIABLE:
                    raise
        shown = "CURRENT_USER()" if name == about.me else str(name)
        try:
            [[statement, *_]] = await self._connection.query(f"SHOW CREATE USER {shown}")
            return described(_text(statement))
        except StatementRefused as refused:
            raise self._not_shown(refused, name.user) from None
        except (Unclear, IndexError, ValueError):
            pass
        raise Refused(
            f"how account {name.user!a} at {self._at} logs in is not understood, and it is left alone: leave it to "
            "people, or give it one password"
        )

    def _not_shown(self, refused: StatementRefused, user: str) -> Refused | Unreachable:
        if refused.number in NO_SUCH_ACCOUNT:
            return NoSuchLogin(f"there is no account {user!a} at {self._at}: CREATE USER makes it")
        if refused.number in NO_PRIVILEGE:
            return Refused(
                f"the login at {self._at} may not look at account {user!a}: give an administrator "
                "GRANT CREATE USER ON *.* and GRANT SELECT ON mysql.*"
            )
        return refused


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
