"""The seam between the rotators of databases and one kind of database: what differs from one to the next.

A new kind implements `Database` and `Session` in a folder of its own. All else is written once, beside this: which
login is next, which servers are asked in which order, what a rejection by one of them means, two logins in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rotation.errors import Refused, Unreachable
from rotation.formats import Value
from rotation.model import SecretValue, Spec, Tls
from rotation.ports import RotatorDependencies


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's address. host: a name or an IP address, in lower case, without brackets.

    for_changes: the tag `target` names it. That matters where passwords are changed over another protocol than the one
    that consumers speak.
    """

    host: str
    port: int
    for_changes: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Account:
    """Which login, and to which database. by_token: the password is an Entra token, which the server reads in clear."""

    user: str
    password: SecretValue
    dbname: str
    by_token: bool = False


@dataclass(frozen=True, slots=True)
class Primary:
    """What the server that can be written to says of itself.

    user: which login it let in. identifier: the server's own, which a copy of it has too; None: it does not say.
    started: when the running server was started, as finely as it says: this tells it from its copy.
    """

    endpoint: Endpoint
    user: str
    identifier: str | None
    started: str


class AsksOtherwise(Refused):
    """The server wants the password in another way than the one that does not show it to the server."""


class OnStandby(Unreachable):
    """A standby let us in, and nothing can be changed there."""


class NoSuchLogin(Refused):
    """The server has no such login."""


class Session(Protocol):
    """A connection that is logged in.

    What a server, a database or a login sets by default holds in our sessions too. Each method sees to it that none of
    that decides over its statements, and that no log of the server shows a password.
    """

    def close(self) -> None:
        """Without another word to the server."""
        ...

    async def is_standby(self) -> bool:
        """Ask the server something, since a pooler logs in there only then -> whether it is one that may lag behind.

        Raises:
            Unreachable, Refused.
        """
        ...

    async def look(self, *, pooler_meant: bool) -> Primary:
        """Make sure that this is a server on which a password can be changed. Changes nothing.

        pooler_meant: the tag `target` names this address, so that it may be a pooler's.

        Raises:
            OnStandby: it is a standby. Refused: a pooler that was not asked for by name. Unreachable.
        """
        ...

    async def check_lasts(self, user: str, days: int) -> None:
        """Make sure that a new password of this login would be of use for so many days.

        Raises:
            NoSuchLogin. Refused: it may not log in, or ends before. Unreachable.
        """
        ...

    async def set_password(self, user: str, password: SecretValue | None) -> None:
        """Whole or not at all. None: no password logs in to it any more.

        The server gets a hash that is made here, wherever it takes one.

        Raises:
            NoSuchLogin, Refused: nothing changed. Unreachable: not now; or no answer, and it may have happened.
        """
        ...


class Database(Protocol):
    """A kind of database. Stateless, as rotators are.

    services: what it was built of. product: its name in messages. noun: its word for a login ("role"), in messages too.
    realm_prefix: what each realm of it begins with (see `Proof.realm`), as "postgresql:".
    changes_itself: whether a login may change its own password. Else the administrator alone does, where there is one.
    default_port: of a value or a tag that names none. maintenance_database: where an administrator logs in.
    """

    services: RotatorDependencies
    product: str
    noun: str
    realm_prefix: str
    changes_itself: bool
    default_port: int
    maintenance_database: str

    def read_login(self, value: SecretValue, spec: Spec) -> Value:
        """A value that a client of this database can read.

        Raises:
            Unusable: it can't be read, leads elsewhere than it says, or is another service's.
        """
        ...

    def resource(self, target: str) -> str:
        """The id in lower case of a server in Azure, of a tag `target` that begins with "/". No I/O.

        Raises:
            Unusable: it is the id of nothing of this kind.
        """
        ...

    async def endpoint_of(self, resource: str) -> Endpoint:
        """Where that server is, by the resource manager's word.

        Raises:
            Unreachable, Throttled. Refused: there is none, we may not see it, or it is said to be outside Azure.
        """
        ...

    async def by_identity(self, user: str | None, endpoints: Sequence[Endpoint]) -> Account:
        """The administrator whose password is this app's Entra token. user: None: the token says it.

        Raises:
            Refused: such a token may not be shown to one of these servers, or it does not say whose it is. Unreachable.
        """
        ...

    async def connect(self, endpoint: Endpoint, account: Account, tls: Tls) -> Session:
        """Log in. Nothing of a vault's value decides over more than host, port, database, user and password.

        Raises:
            Rejected: the server knows no such login and password, or the login may not log in. A class of its own,
                where another password would not help: its message is then the one that is shown.
            AsksOtherwise: the server would not have the password proven without seeing it.
            Refused: the password was not looked at, or is not what is wrong. Unreachable: nobody can tell.
        """
        ...
