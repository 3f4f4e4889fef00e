"""A real RabbitMQ with its management plugin, and users that were made for one test. No service of the machine's."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import aiormq
import pytest

from local.certificates import Certificates
from rotation.model import Login, LoginSource, SecretValue
from tests.integration.redis_fixtures import free_port

STARTS_WITHIN_S = 240  # Erlang, on a machine that does much else
_PLACES = ("/usr/lib/rabbitmq/bin/rabbitmq-server",)


def binary() -> str:
    """Not the one on PATH, which wants to be root or RabbitMQ's own user."""
    found = os.environ.get("RABBITMQ_SERVER") or next((place for place in _PLACES if Path(place).exists()), None)
    if found is None:
        pytest.skip("no RabbitMQ on this machine: apt-get install --no-install-recommends rabbitmq-server")
    return found


class Broker:
    """One node with an epmd of its own, all on free ports of loopback."""

    def __init__(self, program: str, folder: Path, certificates: Certificates | None = None) -> None:
        self.folder = folder
        self.tls = certificates
        self.port, self.management_port = free_port(), free_port()
        self.admin, self.admin_password = "keyturn", f"adm-{secrets.token_urlsafe(18)}"
        self._program = program
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._epmd_port = free_port()
        lines = [
            "loopback_users = none", f"default_user = {self.admin}", f"default_pass = {self.admin_password}",
            "log.console = false", "log.file = node.log", "log.file.level = debug",
        ]  # fmt: skip
        if certificates is None:
            lines += [
                f"listeners.tcp.1 = 127.0.0.1:{self.port}", f"management.tcp.port = {self.management_port}",
                "management.tcp.ip = 127.0.0.1",
            ]  # fmt: skip
        else:
            lines += ["listeners.tcp = none", f"listeners.ssl.1 = 127.0.0.1:{self.port}"]
            lines += [f"management.ssl.port = {self.management_port}", "management.ssl.ip = 127.0.0.1"]
            for prefix in ("ssl_options", "management.ssl"):
                lines += [
                    f"{prefix}.cacertfile = {certificates.ca}", f"{prefix}.certfile = {certificates.cert}",
                    f"{prefix}.keyfile = {certificates.key}", f"{prefix}.verify = verify_none",
                ]  # fmt: skip
        (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (folder / "plugins").write_text("[rabbitmq_management].\n")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def management(self) -> str:
        return f"127.0.0.1:{self.management_port}"

    @property
    def log(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted((self.folder / "log").glob("*")))

    def start(self) -> Self:
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"keyturn{self.port}@localhost", "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"), "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"), "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "ERL_EPMD_PORT": str(self._epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
        }  # fmt: skip
        if self._epmd is None:  # else the node would leave one behind that nobody stops
            epmd = shutil.which("epmd")
            assert epmd is not None
            self._epmd = subprocess.Popen([epmd], env=environment, stderr=subprocess.DEVNULL)
        self._process = subprocess.Popen(
            [self._program], env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        until = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                self.ask("GET", "/overview")
            except OSError:
                assert self._process.poll() is None, self.log
                assert time.monotonic() < until, "RabbitMQ does not start"
                time.sleep(0.25)
            else:
                return self

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGTERM)  # the group that was started here
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(10)
            self._process = None

    def stop_all(self) -> None:
        self.stop()
        if self._epmd is not None:
            self._epmd.terminate()
            self._epmd.wait(10)
            self._epmd = None

    def ask(self, method: str, path: str, body: Any = None, user: str | None = None, password: str = "") -> Any:
        """As the administrator, or another user. urllib.error.HTTPError: the status is no success."""
        import ssl  # noqa: PLC0415

        login = f"{user or self.admin}:{password if user else self.admin_password}"
        headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        scheme = "http" if self.tls is None else "https"
        context = None if self.tls is None else ssl.create_default_context(cafile=str(self.tls.ca))
        request = urllib.request.Request(  # noqa: S310  of loopback
            f"{scheme}://{self.management}/api{path}", method=method, headers=headers,
            data=None if body is None else json.dumps(body).encode(),
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:  # noqa: S310
            raw = answer.read()
        return json.loads(raw) if raw else None

    def new_user(self, tags: str = "", **more: Any) -> tuple[str, str]:
        """A user who may do all in the virtual host "/", and its password."""
        name, password = f"user{next(self._numbers)}-{secrets.token_hex(3)}", f"pw-{secrets.token_urlsafe(15)}"
        self.ask("PUT", f"/users/{name}", {"password": password, "tags": tags, **more})
        self.ask("PUT", f"/permissions/%2F/{name}", {"configure": ".*", "write": ".*", "read": ".*"})
        return name, password

    def user(self, name: str) -> Any:
        return self.ask("GET", f"/users/{name}")

    async def lets_in(self, name: str, password: str) -> bool:
        """Over AMQP, as a consumer."""
        import ssl  # noqa: PLC0415

        scheme = "amqp" if self.tls is None else "amqps"
        context = None if self.tls is None else ssl.create_default_context(cafile=str(self.tls.ca))
        try:
            connection = await aiormq.connect(
                f"{scheme}://{quote(name)}:{quote(password, safe='')}@{self.address}/", context=context
            )
        except aiormq.exceptions.ProbableAuthenticationError:
            return False
        await connection.close()
        return True

    def by_admin(self) -> Login:
        return Login(LoginSource.ADMIN_SECRET, SecretValue(self.admin_password), self.admin)

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """The node's listeners are closed, and opened again: a whole start takes half a minute."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)
            await asyncio.sleep(0.2)


@contextlib.contextmanager
def running(folder: Path, certificates: Certificates | None = None) -> Iterator[Broker]:
    broker = Broker(binary(), folder, certificates)
    try:
        yield broker.start()
    finally:
        broker.stop_all()
