"""The local vault, as the integration tests have it."""

import asyncio
import gc
import ssl
import warnings
from collections.abc import AsyncIterator, Iterator

import pytest
from azure.identity import ManagedIdentityCredential

from local.certificates import Certificates
from local.vault import LocalVaults
from tests.integration.vault_fixtures import NewVaults, authority, certificates, client, identity, new_vaults, session
from tests.keyturn.redis_server import cache
from tests.keyturn.storage_emulator import azurite

__all__ = [
    "authority",
    "azurite",
    "cache",
    "certificates",
    "client",
    "identity",
    "new_vaults",
    "session",
    "token",
    "trusted",
    "vaults",
]


@pytest.fixture
async def vaults(new_vaults: NewVaults) -> AsyncIterator[LocalVaults]:
    async with new_vaults() as running:
        yield running
    # A TLS connection whose client hung up without a farewell: the server's end, in this very loop, is left to the
    # collector. Later it would be told as some other test's fault.
    await asyncio.sleep(0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def trusted(certificates: Certificates, identity: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that unmodified SDKs trust the local vault: the sync one by requests, the other by ssl."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca))
    # A process of its own would be started with SSL_CERT_FILE; aiohttp has read that when it was imported.
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", ssl.create_default_context(cafile=certificates.ca))


@pytest.fixture
def token(trusted: None) -> Iterator[ManagedIdentityCredential]:
    with ManagedIdentityCredential() as credential:
        yield credential
