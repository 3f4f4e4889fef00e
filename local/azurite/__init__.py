"""Azure Storage on this machine, by Microsoft's own emulator: real append blobs, real leases, real queues.

It comes from npm and is set up below `.cache` the first time; `package-lock.json` beside this file pins it and all that
it needs. Source: Microsoft Learn, "Use the Azurite emulator for local Azure Storage development".
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path

from local import npm
from local.certificates import Certificates
from local.npm import Missing

__all__ = ["ACCOUNT", "LocalAzurite", "Missing", "set_up"]

HERE = Path(__file__).parent
ACCOUNT = "stkeyturnlocal"
STARTS_WITHIN_S = 60.0
LOOKS_EVERY_S = 0.05


def set_up() -> Path:
    """The emulator's start file; fetched where it is not there yet.

    Raises:
        Missing: no node or npm, or npm can't fetch it.
    """
    place = npm.set_up("blob storage on this machine", HERE, "azurite")
    return place / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


class LocalAzurite:
    """One emulator with one account, whose key is made at random.

    tls: serve TLS with this certificate, and take bearer tokens too, whose claims are looked at and not their
    signature; "OAuth configuration" in Azurite's README. whole: queues and tables beside the blobs.
    """

    def __init__(self, data: Path, tls: Certificates | None = None, *, whole: bool = False) -> None:
        self.data = data
        self._tls = tls
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.ports = dict.fromkeys(("blob", "queue", "table") if whole else ("blob",), 0)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.service("blob")

    @property
    def ca(self) -> str | bool:
        """What its clients trust: `connection_verify` of the SDK."""
        return True if self._tls is None else str(self._tls.ca)

    def service(self, name: str) -> str:
        """The URL of "blob", "queue" or "table"."""
        port = self.ports[name]
        place = f"http://127.0.0.1:{port}" if self._tls is None else f"https://127.0.0.1:{port}"
        return f"{place}/{ACCOUNT}"

    def start(self) -> None:
        """Return when it serves; on the same port as before.

        Raises:
            Missing: see `set_up`. RuntimeError: it does not start; names its log.
        """
        start = set_up()
        self.data.mkdir(parents=True, exist_ok=True)
        if len(self.ports) > 1:
            start = start.parents[1] / "azurite.js"
        options = ["--location", str(self.data), "--disableTelemetry", "--skipApiVersionCheck"]
        for name, port in self.ports.items():
            self.ports[name] = port or free_port()
            options += [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(self.ports[name])]
        if self._tls is not None:
            options += ["--oauth", "basic", "--cert", str(self._tls.cert), "--key", str(self._tls.key)]
        log_path = self.data / "azurite.log"
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                ["node", str(start), *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.data,
                env={"PATH": os.environ["PATH"], "HOME": str(self.data), "AZURITE_ACCOUNTS": f"{ACCOUNT}:{self.key}"},
            )  # fmt: skip
        until = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < until and self._process.poll() is None:
            if all(map(_listened_to, self.ports.values())):
                return
            time.sleep(LOOKS_EVERY_S)
        self.stop()
        raise RuntimeError(f"Azurite does not start; its log is {log_path}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it. Not running: nothing happens."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait()


def free_port() -> int:
    """A port of this machine that nobody listens to now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listened_to(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
