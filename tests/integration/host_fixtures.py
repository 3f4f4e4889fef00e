"""The local host as a process of its own."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from local.certificates import Certificates

TOY = Path(__file__).parent / "host_app"
REPOSITORY = Path(__file__).parents[2]


class HostProcess:
    """`python -m local.host`, started again on the same data after it was ended."""

    def __init__(self, app: Path, directory: Path, settings: Mapping[str, str], options: tuple[str, ...] = ()) -> None:
        self._app = app
        self._directory = directory
        self._settings = settings
        self._options = options
        self._process: Process | None = None
        self.url = ""
        self.key = ""

    @property
    def log(self) -> str:
        return (self._directory / "host.log").read_text()

    async def start(self, **settings: str) -> None:
        """Return when it serves. settings: on top of its own.

        Raises:
            AssertionError: it ended before; the log is told.
        """
        ready = self._directory / "host-ready.json"
        ready.unlink(missing_ok=True)
        with (self._directory / "host.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "local.host", "--app", str(self._app), "--port", "0",
                "--data", str(self._directory / "host"), "--ready-file", str(ready), *self._options,
                stdout=log, stderr=log, cwd=REPOSITORY,
                env={**os.environ, **self._settings, **settings},
            )  # fmt: skip
        async with asyncio.timeout(60):
            while not ready.exists():
                assert self._process.returncode is None, self.log
                await asyncio.sleep(0.02)
        told = json.loads(ready.read_text())
        self.url, self.key = told["url"], told["function_key"]

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal -> the exit code."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self._process.wait()

    async def call(self, method: str, path: str | URL, **options: Any) -> tuple[int, str, Mapping[str, str]]:
        """path: a `URL` goes as it is encoded."""
        encoded = isinstance(path, URL)
        url = URL(f"{self.url}{path}", encoded=encoded)
        async with aiohttp.ClientSession() as session, session.request(method, url, **options) as answer:
            return answer.status, await answer.text(), answer.headers

    async def event(self, body: Any, function: str = "on_event", **headers: str) -> tuple[int, str]:
        """What Event Grid posts; a text goes as it is."""
        text = body if isinstance(body, str) else json.dumps(body)
        path = f"/runtime/webhooks/eventgrid?functionName={function}"
        told = {"aeg-event-type": "Notification", **{name.replace("_", "-"): value for name, value in headers.items()}}
        status, answer, _ = await self.call("POST", path, data=text, headers=told)
        return status, answer

    async def count(self, queue: str) -> dict[str, int]:
        _, text, _ = await self.call("GET", f"/admin/queues/{queue}")
        return dict(json.loads(text))


@pytest.fixture
async def toy(tmp_path: Path, certificates: Certificates) -> AsyncIterator[HostProcess]:
    """The toy app, served."""
    options = ("--cert", certificates.cert, "--key", certificates.key, "--signing-key", tmp_path / "signing.key")
    settings = {"JOURNAL": str(tmp_path / "journal"), "SSL_CERT_FILE": str(certificates.ca)}
    host = HostProcess(TOY, tmp_path, settings, tuple(map(str, options)))
    await host.start()
    yield host
    await host.end(signal.SIGKILL)


@pytest.fixture
def journal(tmp_path: Path) -> "Journal":
    return Journal(tmp_path / "journal")


class Journal:
    """What the toy app noted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []

    async def has(self, line: str, times: int = 1) -> None:
        async with asyncio.timeout(30):
            while self.lines().count(line) < times:  # noqa: ASYNC110  as above
                await asyncio.sleep(0.02)
