"""A real server on loopback for the length of a test run, with TLS, which writes every log that it has."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pymysql

from local.certificates import Certificates, ensure
from tests.mysql.installed import HOW, Installed, installed

OWNER, OWNER_PASSWORD = "owner", "Zq7w-owner-Kx1"
STARTS_WITHIN_S, STOPS_WITHIN_S = 90, 60
_SCRIPTS = (
    ("mysql_system_tables.sql", "mariadb_system_tables.sql"),
    ("mysql_performance_tables.sql", "mariadb_performance_tables.sql"),
    ("mysql_system_tables_data.sql", "mariadb_system_tables_data.sql"),
)


class Missing(Exception):
    """The server is not on this machine; the message says how to have it."""


class Server:
    """host, port: of the running server. folder: its data, and all of its logs in `logs`."""

    host = "127.0.0.1"

    def __init__(self, program: Installed, folder: Path, certificates: Certificates, *options: str) -> None:
        self.program = program
        self.folder = folder
        self.certificates = certificates
        self.port = _free_port()
        self.logs = folder / "logs"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make its data if there is none, run it, and wait until it takes logins."""
        fresh = not self.logs.exists()
        if fresh:
            self.logs.mkdir()
            self._make()
        with (self.logs / "server.log").open("ab") as log:
            self._process = subprocess.Popen((*self.program.command, *self._arguments()), stdout=log, stderr=log)
        until = time.monotonic() + STARTS_WITHIN_S
        while not (self._takes_root() if fresh else self.lets_in(OWNER, OWNER_PASSWORD)):
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError((self.logs / "server.log").read_text("utf-8", "replace")[-2000:])
            time.sleep(0.05)
        if fresh:
            self._make_owner()

    def stop(self) -> None:
        """By its process id; SIGTERM is an orderly end."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def connect(self, user: str, password: str, **more: Any) -> pymysql.Connection[Any]:
        """As a client with nothing to do with the rotators; over TLS that is not verified."""
        place: dict[str, Any] = {"host": self.host, "port": self.port, "autocommit": True, "connect_timeout": 20}
        return pymysql.connect(**{**place, "ssl_verify_cert": False, "ssl_ca": str(self.certificates.ca), **more},
                               user=user, password=password)  # fmt: skip

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """By the server's owner -> the last one's rows."""
        return self.sql_as(OWNER, OWNER_PASSWORD, *statements)

    def sql_as(self, user: str, password: str, *statements: str) -> list[tuple[Any, ...]]:
        """As `sql`, by another login."""
        connection = self.connect(user, password)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def lets_in(self, user: str, password: str) -> bool:
        """Whether a login is accepted."""
        try:
            self.connect(user, password).close()
        except pymysql.OperationalError:
            return False
        return True

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Every log of the server, after it was told to write down all that it has: name and contents."""
        self.sql("FLUSH LOGS")
        for path in sorted(path for path in self.logs.iterdir() if path.is_file()):
            yield path.name, path.read_bytes()

    def _takes_root(self) -> bool:
        """Over its socket, the only way in before there is an owner."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:  # PyMySQL leaves one open where nobody answers
                probe.connect(str(self.folder / "s"))
            self._as_root("SELECT 1")
        except (pymysql.OperationalError, OSError):
            return False
        return True

    def _as_root(self, *statements: str) -> None:
        with pymysql.connect(unix_socket=str(self.folder / "s"), user="root", password="", autocommit=True) as root:
            for statement in statements:
                root.cursor().execute(statement)

    def _arguments(self) -> list[str]:
        tls = self.certificates
        arguments = [
            "--no-defaults", *_user(), f"--datadir={self.folder / 'data'}", f"--port={self.port}",
            f"--bind-address={self.host}", f"--socket={self.folder / 's'}", f"--pid-file={self.folder / 'pid'}",
            f"--plugin-dir={self.program.plugins}", f"--lc-messages-dir={self.program.share}",
            f"--ssl-ca={tls.ca}", f"--ssl-cert={tls.cert}", f"--ssl-key={tls.key}", "--skip-name-resolve",
            "--general-log=ON", f"--general-log-file={self.logs / 'general.log'}", "--slow-query-log=ON",
            f"--slow-query-log-file={self.logs / 'slow.log'}", "--long-query-time=0", "--server-id=1",
            f"--log-bin={self.logs / 'binlog'}", "--innodb-buffer-pool-size=16M", "--sync-binlog=0",
            "--innodb-flush-log-at-trx-commit=2",
        ]  # fmt: skip
        if self.program.is_mariadb:
            arguments += ["--plugin-load-add=auth_ed25519", "--log-slow-admin-statements=ON"]
        else:
            arguments += ["--mysqlx=OFF", "--secure-file-priv=NULL", "--log-slow-admin-statements=ON"]
        return [*arguments, *self._options]

    def _make(self) -> None:
        data = self.folder / "data"
        common = ("--no-defaults", *_user(), f"--datadir={data}", f"--lc-messages-dir={self.program.share}")
        if not self.program.is_mariadb:
            self._run((*common, "--secure-file-priv=NULL", "--initialize-insecure"))
            return
        (data / "mysql").mkdir(parents=True)
        scripts = [next(path for name in names if (path := self.program.share / name).exists()) for names in _SCRIPTS]
        root = "SET @auth_root_socket=NULL, @skip_auth_anonymous=1;\n"
        text = "use mysql;\n" + root + "\n".join(script.read_text("utf-8") for script in scripts)
        self._run((*common, "--bootstrap", "--skip-networking", "--log-warnings=0"), text.encode())

    def _run(self, arguments: tuple[str, ...], said: bytes = b"") -> None:
        done = subprocess.run((*self.program.command, *arguments), input=said, capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{self.program.name} makes no data: {done.stderr[-2000:].decode(errors='replace')}")

    def _make_owner(self) -> None:
        self._as_root(
            f"CREATE USER '{OWNER}'@'%' IDENTIFIED BY '{OWNER_PASSWORD}'",
            f"GRANT ALL ON *.* TO '{OWNER}'@'%' WITH GRANT OPTION",
        )


@contextmanager
def running(name: str, *options: str, certificates: Certificates | None = None) -> Iterator[Server]:
    """A server by a name that `HOW` has. certificates: its own, of an authority of its own, where none are given.

    Raises:
        Missing: it is not on this machine.
    """
    program = installed().get(name)
    if program is None:
        raise Missing(HOW[name])
    with tempfile.TemporaryDirectory(prefix="keyturn-mysql-test-") as place:  # a socket's path has to be short
        folder = Path(place)
        with Server(program, folder, certificates or ensure(folder / "tls"), *options) as server:
            yield server


def _user() -> tuple[str, ...]:
    return ("--user=root",) if os.geteuid() == 0 else ()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
