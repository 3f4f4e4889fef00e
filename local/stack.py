"""The whole of Keyturn on one machine: PostgreSQL, vaults with their identity endpoint, ARM and Graph, the app's host.

Everything that is kept stands below one folder, so that a stack that was killed goes on where it stood.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.certificates import ensure
from local.children import LOOKS_EVERY_S, ROOT, Child, DoesNotStart
from local.identity import APP_CLIENT_ID
from local.postgres import LocalPostgres
from local.rights import Rights, deployed
from rotation.errors import Misconfigured
from rotation.policy import Policy
from rotation.policy.file import check, read_text
from rotation.policy.known import known_names

WAITS_FOR_PREDECESSOR_S = 20.0
# A shell's own settings for Azure or PostgreSQL must not reach a stack that is meant for this machine alone.
NOT_INHERITED = ("AZURE", "ROTATION_", "IDENTITY_", "MSI_", "WEBSITE_", "FUNCTIONS_", "PG", "SSL_CERT_")


@dataclass(frozen=True, slots=True)
class Control:
    """A stand-in's own interface for tests and the demo: faults, clock, contents."""

    url: str
    key: str
    ca: Path

    def get(self, path: str) -> Any:
        """As `post`, to read."""
        return self._ask(path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON answer; None where it has none.

        Raises:
            urllib.error.URLError: refused, or nobody answers.
        """
        return self._ask(path, json.dumps(body).encode())

    def delete(self, path: str) -> Any:
        """As `post`, to take back."""
        return self._ask(path, None, "DELETE")

    def _ask(self, path: str, data: bytes | None, method: str | None = None) -> Any:
        headers = {"X-Control-Key": self.key, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/{path}", data=data, headers=headers, method=method)  # noqa: S310  our own child's
        tls = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(request, timeout=10, context=tls) as answer:  # noqa: S310  as above
            text = answer.read()
        return json.loads(text) if text else None


class Stack:
    """Start with `start` or `with`; `ready` is what the ready file holds."""

    def __init__(
        self,
        data: Path,
        *,
        policy: Path = ROOT / "local" / "policy.toml",
        vaults: Sequence[str] = ("kv-demo",),
        port: int = 0,
        settings: Mapping[str, str] | None = None,
        log_statement: str = "none",
        azure: Sequence[str] = (),
        durable: bool = True,
        popen: Callable[..., Any] = subprocess.Popen,
    ) -> None:
        """port: of the host; 0: a free one. settings: app settings on top. log_statement: of PostgreSQL.

        azure: further options of `local.azure`. durable: of PostgreSQL. popen: starts the other parts, as
        `subprocess.Popen` does.
        """
        self.data = data.resolve()
        self._policy = policy.resolve()
        self._vaults = tuple(vaults)
        self._port = port
        self._settings = dict(settings or {})
        self._azure = tuple(azure)
        self.postgres = LocalPostgres(self.data / "postgres", log_statement=log_statement, durable=durable)
        self._popen = popen
        self._children: dict[str, Child] = {}
        self._inherited: dict[str, str] = {}
        self._lock: int | None = None
        self.ready: dict[str, Any] = {}
        self.planes: dict[str, str] = {}  # URLs of ARM, Graph and the login
        self.events_url = ""  # where the vault's events go
        self.vault_control: Control
        self.azure_control: Control

    def start(self) -> None:
        """Return once everything serves.

        Raises:
            DoesNotStart: one line that says what is wrong; what was started is stopped.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _locked(self.data / ".lock")
        self._inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
        self._fill()

    def _fill(self) -> None:
        """Start what does not run."""
        tls = ensure(self.data / "tls")
        served = ("--cert", str(tls.cert), "--key", str(tls.key), "--signing-key", str(self.data / "signing.key"))

        rights = self.data / "rights.json"
        rights.write_text(_rights(self._policy, self._vaults).to_json())
        limited = (*served, "--rights", str(rights))
        named = [part for name in self._vaults for part in ("--vault", f"{name}=0")]
        vault = self._child("vault", (*named, "--data", str(self.data / "vault"), *limited), {})
        azure = self._child("azure", ("--data", str(self.data / "azure"), *limited, *self._azure), {})
        if not self.postgres.runs:
            try:
                self.postgres.start()
            except RuntimeError as error:
                raise DoesNotStart(str(error)) from None
        told, planes = vault.ready(), azure.ready()
        self.vault_control = Control(**told["control"], ca=tls.ca)
        self.azure_control = Control(**planes["control"], ca=tls.ca)

        self.planes = planes["endpoints"]
        # Python's TLS, requests (the SDK's synchronous clients) and node, each by its own name.
        trust = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), str(tls.ca))
        env = {**trust, **told["env"]}
        settings = {
            "ROTATION_VAULTS": ",".join(f"{name}={url}" for name, url in told["vaults"].items()),
            "ROTATION_POLICY": str(self._policy),
            "ROTATION_LEDGER": f"file:{self.data / 'ledger'}",
            "ROTATION_HTTP_AUTH": "key",
            "AZURE_CLIENT_ID": APP_CLIENT_ID,
            "ROTATION_ARM_ENDPOINT": self.planes["arm"],
            "ROTATION_GRAPH_ENDPOINT": self.planes["graph"],
            "ROTATION_DEVOPS_ENDPOINT": self.planes["devops"],
            "ROTATION_GITHUB_ENDPOINT": self.planes["github"],
            "AZURE_AUTHORITY_HOST": self.planes["login"],
        }
        url, key, events_key, pid = self._app(env | settings | self._settings, served)
        self.events_url = f"{url}/runtime/webhooks/eventgrid?functionName=near_expiry&code={events_key}"
        self.vault_control.post("event-endpoint", {"url": self.events_url})
        self.ready = {
            "functions": url,
            "function_key": key,
            "vaults": told["vaults"],
            "postgres": {
                "host": self.postgres.host,
                "port": self.postgres.port,
                "dbname": "postgres",
                "admin_user": self.postgres.admin_user,
                "admin_password": self.postgres.admin_password.reveal(),
            },
            "env": env,
            "pids": {"host": pid, "vault": vault.pid, "postgres": self.postgres.pid},
        }

    def _app(self, settings: Mapping[str, str], served: tuple[str, ...]) -> tuple[str, str, str, int]:
        """Start the app's host -> its URL, its function key, the webhook's key, the process id."""
        key_file = self.data / "function.key"
        key = _kept(key_file)
        options = ("--app", str(ROOT), "--port", str(self._port), "--data", str(self.data / "host"))
        host = self._child("host", (*options, "--function-key-file", str(key_file), *served), settings)
        told = host.ready()
        return told["url"], key, told["system_key"], host.pid

    def kill(self, *parts: str) -> None:
        """SIGKILL, all of them in one moment: "host", "vault", "azure", "postgres"; they are gone when it returns."""
        running = {**{name: child.pid for name, child in self._children.items()}, "postgres": self.postgres.pid}
        for part in parts:
            os.kill(running[part], signal.SIGKILL)
        for part in parts:
            if part == "postgres":
                self.postgres.kill()
            else:
                self._children[part].stop(signal.SIGKILL)

    def stop_host(self) -> None:
        """SIGTERM to the app's host alone, as a deployment does; it is gone when it returns."""
        self._children["host"].stop()

    def revive(self) -> None:
        """Start again what was killed, at the place where it was; the rest works on meanwhile.

        Raises:
            DoesNotStart: as `start`; nothing is stopped.
        """
        self._fill()

    def ended(self) -> str | None:
        """A line about a part that ended by itself; None while all run."""
        for name, child in self._children.items():
            if child.ended is not None:
                return f"the {name} ended with {child.ended} (log: {child.log_path})"
        return None if self.postgres.runs else f"PostgreSQL ended (log: {self.postgres.log_path})"

    def stop(self) -> None:
        """End everything, the app first, so that nobody reports the others as gone."""
        for child in reversed(self._children.values()):
            child.stop()
        self._children.clear()
        self.postgres.stop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _child(self, name: str, options: Sequence[str], settings: Mapping[str, str]) -> Child:
        """The one that runs, where it was started just so; else a new one."""
        assert self._lock is not None  # noqa: S101  `_start` took it
        environment = {**self._inherited, **settings}
        known = self._children.get(name)
        if known is not None and known.ended is None:
            if known.was_started_by(options, environment):
                return known
            known.stop()
        child = Child(f"local.{name}", options, self.data, environment=environment, lock=self._lock, popen=self._popen)
        self._children[name] = child
        return child

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _rights(policy: Path, vaults: Sequence[str]) -> Rights:
    """What a deployment would grant. A policy that can't be used grants nothing: the app says so and does not start."""
    try:
        read, findings = check(read_text(str(policy)), known_names())
    except Misconfigured:
        return deployed(Policy(), vaults)
    return deployed(Policy() if findings else read, vaults)


def _locked(path: Path) -> int:
    """A lock that lasts while this process or one of its children holds the descriptor."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    until = time.monotonic() + WAITS_FOR_PREDECESSOR_S
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        if time.monotonic() > until:
            os.close(descriptor)
            raise DoesNotStart(f"another stack runs on {path.parent}: stop it, or choose another folder with --data")
        time.sleep(LOOKS_EVERY_S)


def _kept(path: Path) -> str:
    """A function key that is the same after a restart."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text()
