"""Blob storage on this machine, by Microsoft's own emulator: real append blobs, real leases.

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

from local.certificates import Certificates
from local.npm import Missing, fetch

__all__ = ["LocalAzurite", "Missing", "set_up"]

HERE = Path(__file__).parent
PLACE = HERE.parents[1] / ".cache" / "azurite"
ACCOUNT = "stkeyturnlocal"
STARTS_WITHIN_S = 60.0
LOOKS_EVERY_S = 0.05


def set_up() -> Path:
    """The emulator's start file; fetched where it is not there yet.

    Raises:
        Missing: no node or npm, or npm can't fetch it.
    """
    fetch(HERE, PLACE, "blob storage on this machine (Azurite)")
    return PLACE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


class LocalAzurite:
    """One emulator with one account, whose key is made at random.

    tls: serve TLS with this certificate, and take bearer tokens too, whose claims are looked at and not their
    signature; "OAuth configuration" in Azurite's README.
    """

    def __init__(self, data: Path, tls: Certificates | None = None) -> None:
        self.data = data
        self._tls = tls
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        place = f"http://127.0.0.1:{self.port}" if self._tls is None else f"https://localhost:{self.port}"
        return f"{place}/{ACCOUNT}"

    def start(self) -> None:
        """Return when it serves; on the same port as before.

        Raises:
            Missing: see `set_up`. RuntimeError: it does not start; names its log.
        """
        start = set_up()
        self.data.mkdir(parents=True, exist_ok=True)
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        command = ["node", str(start), "--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        options = ["--location", str(self.data), "--disableTelemetry", "--skipApiVersionCheck"]
        if self._tls is not None:
            options += ["--oauth", "basic", "--cert", str(self._tls.cert), "--key", str(self._tls.key)]
        log_path = self.data / "azurite.log"
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.data,
                env={"PATH": os.environ["PATH"], "HOME": str(self.data), "AZURITE_ACCOUNTS": f"{ACCOUNT}:{self.key}"},
            )  # fmt: skip
        until = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < until and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
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
