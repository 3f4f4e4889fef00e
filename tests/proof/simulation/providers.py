"""Providers as the stories know them: what one holds, what a consumer gets of it, what its owner does by hand.

The rotators are the app's own. Only what they talk to is simulated: a PostgreSQL session here, Azure's planes in
`planes.py`. Each call waits in `hook` before and after it takes effect, where the scheduler decides how it ends.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import Protocol
from unittest.mock import patch
from urllib.parse import urlsplit

from rotation.errors import Rejected, Unreachable
from rotation.model import Secret, SecretValue, Tls
from rotation.ports import Rotator, RotatorDependencies
from rotation.rotators import ROTATORS
from rotation.rotators.databases.database import Account, Endpoint
from rotation.rotators.postgres import database as postgres_database
from rotation.rotators.postgres.connection import Row
from rotation.rotators.postgres.refusals import StatementRefused
from rotation.rotators.postgres.session import PRIVILEGE, READ_ONLY
from tests.fakes import Hook, no_hook

SERVER = "db.example:5432"
ADMIN = "postgres"
_ALTER = re.compile(r"""ALTER ROLE "(?P<role>\w+)" PASSWORD (?:NULL|'verifier of (?P<password>[^']+)')""")


class Weather(StrEnum):
    """What may be wrong with a provider for a while."""

    FAIR = "fair"
    DOWN = "down"
    FULL = "out of connections"
    STANDBY = "a standby"
    READ_ONLY = "read-only"


FOUL = (Weather.DOWN, Weather.FULL, Weather.STANDBY, Weather.READ_ONLY)


Watcher = Callable[[str], None]


def no_watcher(_slot: str) -> None:
    return


class Provider(Protocol):
    """acts: what its owner may do by hand. repeated: slots that got the password which they had already.

    on_change: told of a slot that a run is about to change or to take away, at that very moment. on_login: of one that
    let a run in.
    """

    hook: Hook
    on_change: Watcher
    on_login: Watcher
    weather: Weather
    repeated: list[str]
    rotator: Rotator
    acts: Sequence[str]
    tags: dict[str, str]
    targets: Sequence[str]
    slots: tuple[str, ...]

    def first(self) -> Sequence[SecretValue]:
        """What stood in the vault before the app came, the oldest first."""
        ...

    def works(self, secret: Secret) -> bool:
        """Whether a consumer who read this version gets in, were the provider there."""
        ...

    def slot(self, secret: Secret) -> str:
        """Which of the provider's credentials a version is."""
        ...

    def mistaken(self, secret: Secret) -> SecretValue:
        """A value in which somebody made a mistake."""
        ...

    def working(self) -> SecretValue:
        """What its owner finds out that works now."""
        ...

    def changed(self, secret: Secret) -> SecretValue:
        """Somebody changes the credential in use without a word to us -> the value that works now."""
        ...

    def planted(self, secret: Secret) -> SecretValue:
        """What an attacker would have us publish."""
        ...

    def add_others(self) -> None:
        """The owner makes a credential of his own, which is none of our business."""
        ...

    def others_taken(self) -> bool:
        """Whether it is gone."""
        ...

    def known_by(self, slot: str, copies: Sequence[Secret]) -> bool:
        """Whether a slot can be changed by what these copies say."""
        ...

    def simulated(self) -> AbstractContextManager[None]:
        """While this lasts, the rotators talk to it."""
        ...


class Database:
    """Roles of a PostgreSQL server, by the app's rotators `postgres` and `postgres-alternating`."""

    def __init__(self, rotator: str, services: RotatorDependencies, rng: random.Random) -> None:
        in_turn = rotator == "postgres-alternating"
        self.slots: tuple[str, ...] = ("a", "b") if in_turn else ("app",)
        self.passwords: dict[str, str | None] = {role: f"first{role}" for role in self.slots}
        self.hook: Hook = no_hook
        self.on_change: Watcher = no_watcher
        self.on_login: Watcher = no_watcher
        self.realm = "7321000000000000001"  # a system identifier, and no address
        self.weather = Weather.FAIR
        self.repeated: list[str] = []
        self.rotator: Rotator = ROTATORS[rotator].build(services)
        self.acts: Sequence[str] = (
            "mistake",
            "older",
            "password",
            "password-and-write",
            "no-tags",
            "plant",
            "credential-of-others",
        )
        self.tags = {"rotator": rotator} | ({"slots": "a,b"} if in_turn else {})
        self.targets: Sequence[str] = (SERVER,)
        self._dice = rng

    def first(self) -> Sequence[SecretValue]:
        return [value(role, f"first{role}") for role in reversed(self.slots)]

    def works(self, secret: Secret) -> bool:
        role, password = parts(secret.value)
        return self.passwords.get(role) == password

    def slot(self, secret: Secret) -> str:
        return parts(secret.value)[0]

    def mistaken(self, secret: Secret) -> SecretValue:
        return value(self.slot(secret), "typo")

    def working(self) -> SecretValue:
        return next(value(role, held) for role in self.slots if (held := self.passwords[role]) is not None)

    def changed(self, secret: Secret) -> SecretValue:
        self.passwords[self.slot(secret)] = "byhand"
        return value(self.slot(secret), "byhand")

    def planted(self, secret: Secret) -> SecretValue:
        return value(self.slot(secret), "planted")

    def add_others(self) -> None:
        self.passwords["theirs"] = "theirs"

    def others_taken(self) -> bool:
        return self.passwords["theirs"] != "theirs"

    def known_by(self, slot: str, copies: Sequence[Secret]) -> bool:
        held = self.passwords.get(slot)
        return held is not None and (slot, held) in {parts(one.value) for one in copies}

    @contextmanager
    def simulated(self) -> Iterator[None]:
        with patch.object(postgres_database, "connect", self._connect):
            yield

    async def _connect(self, endpoint: Endpoint, account: Account, _tls: Tls) -> "_Connection":
        await self.hook("before", "login", account.user)
        if self.weather in {Weather.DOWN, Weather.FULL}:
            raise Unreachable(f"the server is {self.weather}")
        held = f"{ADMIN}password" if account.user == ADMIN else self.passwords.get(account.user)
        if held is None or held != account.password.reveal():
            raise Rejected(f"{account.user} was refused")
        self.on_login(account.user)
        await self.hook("after", "login", account.user)
        return _Connection(self, endpoint, account.user)

    async def alter(self, by: str, role: str, password: str | None) -> None:
        """As the server does it: whole or not at all."""
        await self.hook("before", "change", role)
        if self.weather is Weather.READ_ONLY:
            raise _refused(READ_ONLY)
        if self.weather is not Weather.FAIR:
            raise Unreachable(f"the server is {self.weather}")
        if by not in {ADMIN, role}:
            raise _refused(PRIVILEGE)
        if password is not None and self.passwords.get(role) == password:
            self.repeated.append(role)
        self.on_change(role)
        self.passwords[role] = password
        await self.hook("after", "change", role)


class _Connection:
    """What the rotators use of `rotation.rotators.postgres.connection.Connection`."""

    backend_pid = 1
    server_version = 180000

    def __init__(self, database: Database, endpoint: Endpoint, user: str) -> None:
        self.endpoint = endpoint
        self._database = database
        self._user = user

    def close(self) -> None:
        pass

    @property
    def is_standby(self) -> bool:
        return self._database.weather is Weather.STANDBY

    def verifier(self, password: SecretValue, _user: str) -> str:
        return f"verifier of {password.reveal()}"

    async def query(self, statement: str) -> list[Row]:
        settings, _, asked = statement.rpartition("; ")
        assert not settings or settings.startswith("SET "), "settings first"
        if asked.startswith("SELECT pg_is_in_recovery()"):
            return [("t" if self.is_standby else "f", "1", self._user, "0", self._database.realm)]
        if asked.startswith("SELECT rolcanlogin"):
            role = asked.rpartition(" = ")[2].strip("'")
            return [("t", "f", "f")] if role in self._database.passwords else []
        change = _ALTER.fullmatch(asked)
        if change is not None:
            await self._database.alter(self._user, change["role"], change["password"])
        else:
            assert asked == "SHOW server_version", "a statement that the simulation does not know"
        return []


def _refused(sqlstate: str) -> StatementRefused:
    refused = StatementRefused("the server refused it")
    refused.sqlstate = sqlstate
    return refused


def value(role: str, password: str) -> SecretValue:
    """A connection string."""
    return SecretValue(f"postgresql://{role}:{password}@{SERVER}/orders")


def in_another_form(text: SecretValue) -> SecretValue:
    """The same login as libpq's keywords, which whoever reads a URI can't read."""
    role, password = parts(text)
    host, _, port = SERVER.partition(":")
    return SecretValue(f"host={host} port={port} dbname=orders user={role} password={password}")


def is_uri(text: SecretValue) -> bool:
    """Of the two forms."""
    return "://" in text.reveal()


def parts(text: SecretValue) -> tuple[str, str]:
    """-> (role, password)."""
    if text.reveal().startswith("host="):
        fields = dict(part.split("=", 1) for part in text.reveal().split(" "))
        return fields["user"].strip("'"), fields["password"].strip("'")
    found = urlsplit(text.reveal())
    return found.username or "", found.password or ""
