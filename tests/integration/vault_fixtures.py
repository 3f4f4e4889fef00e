"""The local vaults for tests: in this process, or as a process that can be killed. Fixtures come in by conftest."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from local.certificates import Certificates, ensure
from local.rights import deployed
from local.tokens import TokenAuthority
from local.vault import LocalVaults
from rotation.policy import Policy

API = {"api-version": "7.5"}
VAULT = "kv-demo"
OTHER_VAULT = "kv-orders"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def authority() -> TokenAuthority:
    return TokenAuthority(os.urandom(32))


NewVaults = Callable[..., LocalVaults]


@pytest.fixture
def new_vaults(tmp_path: Path, certificates: Certificates, authority: TokenAuthority) -> NewVaults:
    """Makes vaults that are not started; all made in one test share a data directory. The app has its usual rights."""

    def make(**options: Any) -> LocalVaults:
        return LocalVaults(
            {VAULT: 0, OTHER_VAULT: 0},
            data=tmp_path / "vault",
            cert=certificates.cert,
            key=certificates.key,
            authority=authority,
            **{"rights": deployed(Policy(), (VAULT, OTHER_VAULT)), "settling_s": 0.2, **options},
        )

    return make


@pytest.fixture
async def vaults(new_vaults: NewVaults) -> AsyncIterator[LocalVaults]:
    async with new_vaults() as running:
        yield running


@pytest.fixture
def identity(vaults: LocalVaults, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment in which an unmodified ManagedIdentityCredential() finds the local endpoint."""
    for name, value in vaults.env.items():
        monkeypatch.setenv(name, value)


async def sent_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keeps aiohttp from sending a PUT again by itself when the connection breaks before the answer."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise aiohttp.ClientConnectionError("the connection broke before the answer") from None


@pytest.fixture
async def session(certificates: Certificates) -> AsyncIterator[aiohttp.ClientSession]:
    """Trusts the local authority, as a process with SSL_CERT_FILE does."""
    tls = ssl.create_default_context(cafile=certificates.ca)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), middlewares=(sent_once,)) as opened:
        yield opened


@contextlib.asynccontextmanager
async def aio_client(url: str, session: aiohttp.ClientSession, **options: Any) -> AsyncIterator[SecretClient]:
    """The SDK's client over one session of our own; it does not try again unless told to."""
    transport = AioHttpTransport(session=session, session_owner=False)
    async with (
        ManagedIdentityCredential() as credential,
        SecretClient(
            url,
            credential,
            transport=transport,
            verify_challenge_resource=False,
            **{"retry_total": 0, **options},
        ) as client,
    ):
        yield client


@pytest.fixture
async def client(vaults: LocalVaults, identity: None, session: aiohttp.ClientSession) -> AsyncIterator[SecretClient]:
    async with aio_client(vaults.urls[VAULT], session) as opened:
        yield opened


class Rest:
    """Plain calls to one vault, for what the SDK would not send."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self.session = session
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}

    async def __call__(self, method: str, path: str, **options: Any) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON and headers of the answer; `params` and `headers` replace the usual ones."""
        options = {"params": API, "headers": self.headers, **options}
        async with self.session.request(method, self.url + path, **options) as answer:
            body = await answer.json() if answer.content_type == "application/json" else None
            return answer.status, body, dict(answer.headers)


NewRest = Callable[..., Rest]


@pytest.fixture
def new_rest(session: aiohttp.ClientSession, authority: TokenAuthority) -> NewRest:
    """Makes plain clients: of a vault's URL and, where it has another than the test's, its authority."""

    def make(url: str, trusted: TokenAuthority = authority) -> Rest:
        return Rest(session, url, trusted.issue("https://vault.azure.net"))

    return make


@pytest.fixture
def rest(vaults: LocalVaults, new_rest: NewRest) -> Rest:
    return new_rest(vaults.urls[VAULT])


@pytest.fixture
def control(vaults: LocalVaults, new_rest: NewRest) -> Rest:
    calls = new_rest(vaults.control_url)
    calls.headers = {"X-Control-Key": vaults.control_key}
    return calls


class VaultProcess:
    """`python -m local.vault` as a process of its own; killed and started again it works on the same data."""

    def __init__(self, directory: Path, certificates: Certificates) -> None:
        self._directory = directory
        self._certificates = certificates
        self._process: Process | None = None
        self.ready: dict[str, Any] = {}

    async def start(self, *options: str) -> None:
        tls, files = self._certificates, self._directory
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "local.vault", "--vault", f"{VAULT}=0", "--data", str(files / "data")),
            *("--cert", str(tls.cert), "--key", str(tls.key), "--signing-key", str(files / "signing.key")),
            *("--ready-file", str(files / "ready.json"), *options),
            stdout=PIPE,
            stderr=PIPE,
        )
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.startswith(b"vault: ready"):
            pytest.fail((await self._process.communicate())[1].decode())
        self.ready = json.loads((files / "ready.json").read_text())

    @property
    def authority(self) -> TokenAuthority:
        """The authority whose tokens this process accepts."""
        return TokenAuthority.from_file(self._directory / "signing.key")

    async def end(self, number: signal.Signals) -> tuple[int, str, str]:
        """Send the signal and wait; answers the exit code and what was printed after the ready line."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        out, err = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, out.decode(), err.decode()


@pytest.fixture
async def vault_process(tmp_path: Path, certificates: Certificates) -> AsyncIterator[VaultProcess]:
    process = VaultProcess(tmp_path, certificates)
    yield process
    if process.ready:
        await process.end(signal.SIGKILL)


class Receiver:
    """An event endpoint. `answers` are the next statuses, then 200; `received` holds events and headers."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[int] = []
        self.received: list[dict[str, Any]] = []
        self.headers: list[str] = []
        self.acknowledges = True  # False: events are taken in and never answered
        self._arrived = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.Response:
        events = await request.json()
        async with self._arrived:
            self.received.extend(events)
            self.headers.append(request.headers["aeg-event-type"])
            self._arrived.notify_all()
        if not self.acknowledges:
            await asyncio.sleep(3600)
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(20), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)
        return self.received


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/runtime/webhooks/eventgrid", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    made.url = f"http://127.0.0.1:{port}/runtime/webhooks/eventgrid?functionName=near_expiry"
    yield made
    await runner.cleanup()


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds that no one announces."""
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110  it is seen from outside only
            await asyncio.sleep(0.02)
