"""Accounts of a real server that were made for one test, and values that consumers read."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pymysql
import pytest

from local.certificates import Certificates
from rotation.model import Login, LoginSource, SecretValue
from tests.mysql.server import OWNER, OWNER_PASSWORD, Missing, Server, running

NAMES = ("mariadb", "mariadb-newest", "mysql")


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    password: SecretValue


class Owner:
    """Who owns a server: makes accounts and looks at what no account may see."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._numbers = itertools.count()

    @property
    def is_mariadb(self) -> bool:
        return self.server.program.is_mariadb

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.sql(*statements)

    def account(self, identified: str | None = None, more: str = "", name: str | None = None) -> Account:
        """identified: how it logs in, with {} for the password; None: by the server's usual way."""
        made = Account(
            name or f"acc_{next(self._numbers)}_{secrets.token_hex(3)}", SecretValue(secrets.token_urlsafe(15))
        )
        by = (identified or "IDENTIFIED BY '{}'").format(made.password.reveal())
        self.sql(f"CREATE USER '{made.name}'@'%' {by} {more}")
        return made

    def kept(self, account: Account) -> str:
        """How it logs in, as the server describes it; it changes with each change of its password."""
        [[statement, *_]] = self.sql(f"SHOW CREATE USER '{account.name}'@'%'")
        return str(statement)

    def value(self, account: Account, *, port: int | None = None) -> str:
        login = f"{account.name}:{quote(account.password.reveal(), safe='')}"
        return f"mysql://{login}@{self.server.host}:{port or self.server.port}/"

    def works(self, user: str, password: SecretValue, **more: Any) -> bool:
        """Found out without the rotators."""
        try:
            connection = self.server.connect(user, password.reveal(), **more)
        except pymysql.OperationalError:
            return False
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER()")
            [who] = cursor.fetchone()
            return bool(who.rpartition("@")[0] == user)


def by_owner(owner: Owner) -> Login:
    """The administrator, by a secret that leads nowhere: only user and password of it are used."""
    assert owner.server.host == Server.host
    return Login(LoginSource.ADMIN_SECRET, SecretValue(f"mysql://{OWNER}:{OWNER_PASSWORD}@elsewhere.invalid:1/"), None)


@contextlib.contextmanager
def owned(name: str, certificates: Certificates, *options: str) -> Iterator[Owner]:
    """A server by a name of `NAMES`; skips where it is not on this machine."""
    try:
        with running(name, *options, certificates=certificates) as server:
            yield Owner(server)
    except Missing as missing:
        pytest.skip(str(missing))


@contextlib.contextmanager
def trusted(owner: Owner) -> Iterator[None]:
    """This process trusts the server's authority for as long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(owner.server.certificates.ca))
        yield
