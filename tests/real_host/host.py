"""Microsoft's Functions host as a process group: started, looked at, and ended as a platform ends it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.azurite import free_port
from tests.tools_at_hand import at_hand

VERSION = "4.1037"
LANE, TOOL, SETTING = "real-host", "functions-host", "FUNCTIONS_HOST"
WORKERS = Path(__file__).parent / "workers"
OF_ITS_OWN_WORKER = (3, 12)  # the newest Python for which the host's package has Microsoft's worker
STARTS_WITHIN_S = 90.0
LOOKS_EVERY_S = 0.05
HEALTH = "/api/health"
SYSTEM_KEY = "eventgrid_extension"


class HostFailed(Exception):
    """The host did not start; the message names its log."""


def tool() -> Path | None:
    """The host's executable; None where the lane is skipped.

    Raises:
        Missing: it must be there, and is not.
    """
    return at_hand(LANE, TOOL, env=SETTING)


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens the host: everything, the functions, the webhooks."""

    master: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    function: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    system: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def write(self, folder: Path) -> None:
        """As the host reads them, unencrypted, for its owner alone."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        named = (("masterKey", "master", self.master), ("functionKeys", "default", self.function))
        told: dict[str, Any] = {}
        for place, name, value in (*named, ("systemKeys", SYSTEM_KEY, self.system)):
            key = {"name": name, "value": value, "encrypted": False}
            told[place] = key if place == "masterKey" else [key]
        (folder / "host.json").write_text(json.dumps(told))


class RealHost:
    """One host at one port. Started again it is another process on the same keys, port and storage."""

    def __init__(
        self, executable: Path, app: Path, data: Path, settings: Mapping[str, str], *, ready: str = HEALTH
    ) -> None:
        """settings: all of the environment, but for what finds the host's parts. ready: a path that answers then."""
        self._ready = ready
        self._executable = executable
        self._app = app
        self._data = data
        self._settings = dict(settings)
        self.keys = Keys()
        self.port = free_port()
        self.log_path = data / "functions-host.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.cold_start_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def start(self, *, waits: bool = True) -> None:
        """Return when the app answers; notes how long that took.

        Raises:
            HostFailed: it does not.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        keys = self._data / "keys"
        self.keys.write(keys)
        environment = {**self._settings, "KEYS": str(keys), "HOST_ID": "keyturnrealhost", "PYTHON": sys.executable}
        environment |= {name: os.environ[name] for name in ("HOME", "FUNCTIONS_HOST_HOME") if name in os.environ}
        if sys.version_info[:2] > OF_ITS_OWN_WORKER:
            environment["WORKERS"] = str(WORKERS)
        began = time.monotonic()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._executable), str(self._app), str(self.port)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip
        if waits:
            self.wait()
            self.cold_start_s = time.monotonic() - began

    def wait(self) -> None:
        """Until the app answers.

        Raises:
            HostFailed: it does not.
        """
        until = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(self.url + self._ready, timeout=10):  # noqa: S310  our own child
                    return
            except (OSError, urllib.error.URLError):
                time.sleep(LOOKS_EVERY_S)
        raise HostFailed(f"the host does not start; its log is {self.log_path}")

    def workers(self) -> list[int]:
        """Process ids of the worker processes of this host."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
                group = os.getpgid(int(entry.name))
            except (OSError, ProcessLookupError):
                continue
            if group == self._group and any(part.endswith(b"worker.py") for part in command):
                found.append(int(entry.name))
        return found

    def kill_worker(self) -> None:
        """SIGKILL to the worker process alone."""
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL to the host with its worker, as a machine that goes away."""
        self._signal(signal.SIGKILL)

    def stop(self, waits_s: float = 30.0) -> None:
        """SIGTERM to the host, as a platform asks; then what is left of the group is ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(waits_s)
        self._signal(signal.SIGKILL)

    @property
    def _group(self) -> int:
        return 0 if self._process is None else self._process.pid

    def _signal(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        process.wait()


def app_folder(source: Path, place: Path, **host_json: Any) -> Path:
    """The app's files, copied; host_json: in place of what its host.json says, at the top."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in ("function_app.py", "policy.toml"):
        if (source / name).exists():
            shutil.copyfile(source / name, place / name)
    for name in ("rotation", "handlers", "app"):
        if (source / name).exists():
            shutil.copytree(source / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    told = json.loads((source / "host.json").read_text(encoding="utf-8"))
    (place / "host.json").write_text(json.dumps(told | host_json))
    return place
