"""A real PostgreSQL server on loopback, from the binaries of a wheel or from those of the system.

`pg_hba.conf` and the server's settings are written anew at each start, so that a data directory made by an older
version of this file goes on working.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from local.certificates import Certificates
from local.postgres_binaries import Account, bundled, reachable
from rotation.model import SecretValue

HOST = "127.0.0.1"
KEPT_FOR = "keyturn-cluster"  # in a cluster that stands elsewhere: the path that leads to it
ADMIN = "postgres"
STARTS_WITHIN_S = 60.0
STOPS_WITHIN_S = 30.0
LOOKS_EVERY_S = 0.02
PORTS_TRIED = 5
PROCESSES = Path("/proc")  # of Linux; elsewhere a server that was left running is told by PostgreSQL itself
# Nothing of ours gets in: a PGPORT or PGOPTIONS of the caller's must not reach the server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

# Whoever connects proves a password by SCRAM; nobody is trusted.
HBA = (
    "host all all 127.0.0.1/32 scram-sha-256",
    "host all all ::1/128 scram-sha-256",
    "host replication all 127.0.0.1/32 scram-sha-256",
)


class LocalPostgres:
    """One server. Its data live below `data` and are used again when present: password, port, databases.

    binaries: a folder with `initdb` and `postgres`; None: those of the wheel, of major `version` (16 or 18).
    tls: serve TLS with this certificate. settings: of postgresql.conf. hba: lines before the ones that let everybody
    in by SCRAM; the first line that matches counts. environment: of the server's process, such as the language of its
    messages. durable: False gives up what a crash of the machine would need.

    Root can't run PostgreSQL: then the server runs as an unprivileged user of this machine, and where that user can't
    get into `data`, the cluster stands in the temporary folder and `data/cluster` is a link to it.
    """

    host = HOST
    admin_user = ADMIN

    def __init__(
        self,
        data: Path,
        *,
        version: int = 16,
        binaries: Path | None = None,
        tls: Certificates | None = None,
        settings: Mapping[str, str] | None = None,
        hba: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        log_statement: str = "none",
        durable: bool = True,
    ) -> None:
        self.data = data
        self.settings = {"log_statement": log_statement, **(settings or {})}
        self.hba = tuple(hba)
        self._environment = {**ENVIRONMENT, **(environment or {})}
        self.log_path = data / "server.log"
        self.port = 0
        self.binaries = binaries or bundled(version)
        self._tls = tls
        self._durable = durable
        self._account = Account.for_servers()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def admin_password(self) -> SecretValue:
        return SecretValue((self.data / "admin-password").read_text())

    @property
    def pid(self) -> int:
        """Of the running server.

        Raises:
            RuntimeError: it does not run.
        """
        if self._process is None:
            raise RuntimeError("PostgreSQL is not running")
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the server that was started is still there."""
        return self._process is not None and self._process.poll() is None

    @property
    def cluster(self) -> Path:
        """The server's own data directory."""
        return self.data / "cluster"

    def url(self, dbname: str, user: str, password: SecretValue) -> SecretValue:
        """A connection string, as it would stand in a vault."""
        login = f"{quote(user, safe='')}:{quote(password.reveal(), safe='')}"
        return SecretValue(f"postgresql://{login}@{self.host}:{self.port}/{quote(dbname, safe='')}")

    def start(self) -> None:
        """Return when the server accepts connections; what an earlier stack left running is stopped first.

        Raises:
            RuntimeError: it does not start; says where its log is.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        self.binaries = reachable(self.binaries, self._account)
        self._stop_leftover()
        self._prepare_cluster()
        wanted = self.port or self._last_port()
        for _ in range(PORTS_TRIED):
            self.port = wanted if wanted and _is_free(wanted) else _free_port()
            if self._try_start():
                (self.data / "port").write_text(str(self.port))
                return
            # Somebody took the port between the look and the start.
            wanted = 0
        raise RuntimeError(f"PostgreSQL does not start; its log is {self.log_path}")

    def stop(self) -> None:
        """Shut down in an orderly way, not waiting for clients: SIGINT asks for that. Not running: nothing happens."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the server as a crash would, its helper processes included; they notice and leave by themselves."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Let a running server read `hba` anew."""
        self._write_hba()
        os.kill(self.pid, signal.SIGHUP)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare_cluster(self) -> None:
        password = self.data / "admin-password"
        if (self.cluster / "PG_VERSION").exists() and password.exists():
            return
        place = self._place()
        if self.cluster.is_symlink():
            self.cluster.unlink()
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        self._account.own(place)
        text = secrets.token_urlsafe(24)
        self._init(place, text)
        if place != self.cluster:
            self.cluster.symlink_to(place)
            (place / KEPT_FOR).write_text(str(self.cluster.absolute()))
            _forget_orphans()
        # Last: that it exists says that the cluster is whole.
        _write_private(password, text)

    def _place(self) -> Path:
        """Where the cluster stands: in `data`, unless the server's user can't get there."""
        if self._account.can_enter(self.data):
            return self.cluster
        name = hashlib.sha256(str(self.data.resolve()).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"{_elsewhere()}{name}"

    def _init(self, place: Path, password: str) -> None:
        with tempfile.NamedTemporaryFile("w") as pwfile:  # private from its making on
            pwfile.write(password)
            pwfile.flush()
            self._account.own(Path(pwfile.name))
            command = [
                *(str(self.binaries / "initdb"), "-D", str(place), "-U", ADMIN, "-A", "scram-sha-256"),
                *("--pwfile", pwfile.name, "-E", "UTF8", "--locale=C"),
                *([] if self._durable else ["-N"]),
            ]
            made = subprocess.run(
                command, user=self._account.user, group=self._account.group, extra_groups=self._account.groups,
                env=ENVIRONMENT, cwd=place, capture_output=True, check=False,
            )  # fmt: skip
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {made.stderr.decode(errors='replace').strip()}")

    def _last_port(self) -> int:
        """Values in a vault name the port, so that it is the same each time where it can be."""
        port = self.data / "port"
        return int(port.read_text()) if port.exists() else 0

    def _try_start(self) -> bool:
        self._write_hba()
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            "hba_file": str(self.cluster.resolve() / "keyturn_hba.conf"),
            **({} if self._durable else {"fsync": "off", "full_page_writes": "off"}),
            **self._tls_settings(),
            **self.settings,
        }
        command = [str(self.binaries / "postgres"), "-D", str(self.cluster.resolve())]
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *options], user=self._account.user, group=self._account.group,
                extra_groups=self._account.groups, env=self._environment, cwd=self.cluster.resolve(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self._becomes_ready(self._process)

    def _becomes_ready(self, process: subprocess.Popen[bytes]) -> bool:
        # The last line of the lock file tells the state; see "postmaster.pid" in src/include/utils/pidfile.h.
        lock = self.cluster / "postmaster.pid"
        until = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < until and process.poll() is None:
            lines = lock.read_text().splitlines() if lock.exists() else []
            if lines[:1] == [str(process.pid)] and lines[7:] and lines[7].strip() in {"ready", "standby"}:
                return True
            time.sleep(LOOKS_EVERY_S)
        self._end(signal.SIGKILL)
        return False

    def _stop_leftover(self) -> None:
        """Whoever killed the stack may have left its server running, or helper processes of a server that was killed.

        A server that was killed and whose parent has not asked for its exit code still has its number, and PostgreSQL
        takes it for alive; so once no process runs in the cluster any more, its lock file is removed.

        Raises:
            RuntimeError: they do not stop.
        """
        lock = self.cluster / "postmaster.pid"
        if self._process is not None or not lock.exists() or not PROCESSES.exists():
            return
        server = int(lock.read_text().splitlines()[0])
        until = time.monotonic() + STOPS_WITHIN_S
        # A number of a process may have been given to another since: only one that runs in our cluster is ours.
        while running := _running_in(self.cluster.resolve()):
            if server in running:
                os.kill(server, signal.SIGINT)
            if time.monotonic() > until:
                raise RuntimeError(f"the PostgreSQL processes {running} of {self.data} do not stop")
            time.sleep(LOOKS_EVERY_S)
        lock.unlink(missing_ok=True)

    def _write_hba(self) -> None:
        hba = self.cluster / "keyturn_hba.conf"
        hba.write_text("\n".join((*self.hba, *HBA)) + "\n")
        self._account.own(hba)

    def _tls_settings(self) -> dict[str, str]:
        if self._tls is None:
            return {}
        # The server wants its key owned by its own user.
        copies = {}
        for name, source in (("ssl_cert_file", self._tls.cert), ("ssl_key_file", self._tls.key)):
            copy = self.cluster.resolve() / f"keyturn_{name}.pem"
            _write_private(copy, source.read_text())
            self._account.own(copy)
            copies[name] = str(copy)
        return {"ssl": "on", **copies}

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does: old connections don't count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _running_in(place: Path) -> list[int]:
    """The processes whose working directory is `place`."""
    found = []
    for process in PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            if (process / "cwd").readlink() == place:
                found.append(int(process.name))
    return found


def _elsewhere() -> str:
    """How the folders begin of clusters that can't stand in their `data`."""
    return f"keyturn-postgres-{os.geteuid()}-"


def _forget_orphans() -> None:
    """Remove the clusters of which the `data` is gone: nobody else would, and each is forty megabytes."""
    for place in Path(tempfile.gettempdir()).glob(f"{_elsewhere()}*"):
        try:
            cluster = Path((place / KEPT_FOR).read_text())
        except OSError:  # being made just now
            continue
        if not cluster.is_symlink():
            shutil.rmtree(place, ignore_errors=True)


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
