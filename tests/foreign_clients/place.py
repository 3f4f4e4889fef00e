"""The stand-ins that the clients are pointed at, in a thread of their own: a synchronous client may block."""

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from local.azure import LocalAzure
from local.certificates import ensure
from local.tokens import TokenAuthority
from local.vault import LocalVaults
from local.vault.settling import TAKES_S
from tests.foreign_clients.proxy import Proxy
from tests.local_azure import ACCOUNT, APPLICATION, CLIENT_ID

NEAR, NAMED = "kv-near", "kv-demo"  # one by its loopback address, one by its name on Azure
CLOSES_WITHIN_S = 0.1
HOST = f"{NAMED}.vault.azure.net"


@dataclass(frozen=True, slots=True)
class Place:
    """ca: what clients must trust. proxy: leads to the vault that goes by its name on Azure.

    client_secret: of the one application.
    """

    vaults: LocalVaults
    azure: LocalAzure
    proxy: Proxy
    authority: TokenAuthority
    ca: Path
    client_secret: str

    @property
    def near(self) -> str:
        """The vault whose address says that it is on this machine: no client can hold the challenge against it."""
        return self.vaults.urls[NEAR]

    @property
    def named(self) -> str:
        """The vault that clients reach through the proxy, and whose challenge they verify."""
        return self.vaults.urls[NAMED]

    @property
    def trust(self) -> dict[str, str]:
        """Environment in which a client trusts the stand-ins, and gets its identity from them."""
        ca = str(self.ca)
        return {"SSL_CERT_FILE": ca, "REQUESTS_CA_BUNDLE": ca, "NODE_EXTRA_CA_CERTS": ca, **self.vaults.env}

    @property
    def led(self) -> dict[str, str]:
        """As `trust`, and what leads a client to `named`."""
        return {**self.trust, "HTTPS_PROXY": self.proxy.url, "NO_PROXY": "localhost,127.0.0.1"}


@contextlib.asynccontextmanager
async def served(folder: Path, settling_s: float) -> AsyncIterator[Place]:
    tls = ensure(folder / "tls", also=(HOST,))
    authority = TokenAuthority.from_file(folder / "signing.key")
    async with contextlib.AsyncExitStack() as stack:
        vaults = await stack.enter_async_context(
            LocalVaults(
                {NEAR: 0, NAMED: 0}, data=folder / "vault", cert=tls.cert, key=tls.key, authority=authority,
                addresses={NAMED: f"https://{HOST}"}, settling_s=settling_s,
            )
        )  # fmt: skip
        azure = await stack.enter_async_context(
            LocalAzure(data=folder / "azure", cert=tls.cert, key=tls.key, authority=authority)
        )
        azure.arm.add_account(ACCOUNT)
        azure.graph.add_application(APPLICATION, CLIENT_ID)
        client_secret = azure.graph.add_secret(APPLICATION)["secretText"]
        proxy = Proxy({HOST: vaults.ports[NAMED]})
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        yield Place(vaults, azure, proxy, authority, tls.ca, client_secret)


@contextlib.contextmanager
def opened(folder: Path, settling_s: float = TAKES_S) -> Iterator[Place]:
    """The place, served until the block ends. settling_s: how long deleting, recovering and purging take.

    Raises:
        RuntimeError: it does not start.
    """
    places: list[Place] = []
    served_now, loop = threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        try:
            async with served(folder, settling_s) as place:
                places.append(place)
                served_now.set()
                await over.wait()
            await asyncio.sleep(CLOSES_WITHIN_S)  # TLS says good-bye before a connection is gone
        finally:
            served_now.set()

    def run() -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(serve())

    thread = threading.Thread(target=run, name="stand-ins")
    thread.start()
    served_now.wait()
    try:
        if not places:
            raise RuntimeError("the stand-ins do not start")
        yield places[0]
    finally:
        gc.collect()  # a refused client's connection lives as long as the error that tells of it
        if places:
            loop.call_soon_threadsafe(over.set)
        thread.join()
