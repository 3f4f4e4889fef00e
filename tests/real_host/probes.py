"""The app in `probe`, served by the real host and by ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueClient

from local.azurite import ACCOUNT, LocalAzurite, free_port
from local.children import ROOT
from tests.real_host.host import Keys, RealHost, app_folder
from tests.real_host.player import PROBE, QUEUE

STARTS_WITHIN_S = 60.0
INHERITED = ("PATH", "HOME", "LANG", "SSL_CERT_FILE")


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


class OnTheRealHost:
    """With its queue in Azurite."""

    def __init__(self, data: Path, executable: Path) -> None:
        self._azurite = LocalAzurite(data / "azurite", whole=True)
        self._azurite.start()
        self.journal = data / "journal"
        services = ";".join(
            f"{name.title()}Endpoint={self._azurite.service(name)}" for name in ("blob", "queue", "table")
        )
        storage = f"AccountName={ACCOUNT};AccountKey={self._azurite.key};{services}"
        settings = {"JOURNAL": str(self.journal), "AzureWebJobsStorage": storage}
        self._host = RealHost(
            executable, app_folder(PROBE, data / "app"), data / "host", _environment() | settings, ready="/api/open/x"
        )
        self.keys, self.url = self._host.keys, self._host.url
        self.start()

    async def queued(self) -> tuple[int, int]:
        return await self._count(QUEUE), await self._count(f"{QUEUE}-poison")

    async def _count(self, queue: str) -> int:
        key = AzureNamedKeyCredential(ACCOUNT, self._azurite.key)
        async with QueueClient(self._azurite.service("queue"), queue, credential=key) as client:
            try:
                return (await client.get_queue_properties()).approximate_message_count or 0
            except ResourceNotFoundError:
                return 0

    def start(self) -> None:
        self._host.start()

    def kill(self) -> None:
        self._host.kill()

    def stop(self) -> None:
        self._host.stop()

    def close(self) -> None:
        """End all of it."""
        self._host.kill()
        self._azurite.stop()


class OnOurs:
    """`python -m local.host`."""

    def __init__(self, data: Path) -> None:
        self._data = data
        data.mkdir(parents=True, exist_ok=True)
        self.journal = data / "journal"
        self.keys: Keys
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        ready = self._data / "ready.json"
        ready.unlink(missing_ok=True)
        with (self._data / "host.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.host", "--app", str(PROBE), "--port", str(self._port),
                 "--data", str(self._data / "host"), "--ready-file", str(ready)],
                cwd=ROOT, env=_environment() | {"JOURNAL": str(self.journal)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        until = time.monotonic() + STARTS_WITHIN_S
        while not ready.exists():
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError(f"the host does not start; its log is {self._data / 'host.log'}")
            time.sleep(0.05)
        told = json.loads(ready.read_text())
        self.keys = Keys(told["master_key"], told["function_key"], told["system_key"])

    async def queued(self) -> tuple[int, int]:
        with urllib.request.urlopen(f"{self.url}/admin/queues/{QUEUE}", timeout=5) as answer:  # noqa: S310, ASYNC210  as above
            told = json.load(answer)
        return int(told["count"]), int(told["poison"])

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def close(self) -> None:
        """End it."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait()
