"""Key Vault's two clients for Python behind one face, so that a case is written once and tried with both."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import aiohttp
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity import ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AioManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AioSecretClient

from tests.foreign_clients.given import Given
from tests.foreign_clients.place import Place

LOOKS_EVERY_S = 0.05


class Asked(Protocol):
    """One client. Calls are those of the SDK, by name."""

    vault_url: str
    client: Any

    async def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """One call -> its answer."""

    async def pages(self, name: str, *arguments: Any, **options: Any) -> list[list[Any]]:
        """A listing, page by page."""

    async def delete(self, name: str) -> Any:
        """Delete and wait until it is done -> the deleted secret."""

    async def recover(self, name: str) -> Any:
        """Recover and wait until it is done -> the properties."""

    async def every(self, name: str, *arguments: Any, **options: Any) -> list[Any]:
        """A listing, all of it."""
        return [one for page in await self.pages(name, *arguments, **options) for one in page]


class Requests(Asked):
    """The synchronous client, over requests."""

    def __init__(self, client: SecretClient) -> None:
        self.client: Any = client
        self.vault_url = client.vault_url

    async def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        return getattr(self.client, name)(*arguments, **options)

    async def pages(self, name: str, *arguments: Any, **options: Any) -> list[list[Any]]:
        return [list(page) for page in getattr(self.client, name)(*arguments, **options).by_page()]

    async def delete(self, name: str) -> Any:
        return _waited(self.client.begin_delete_secret(name, _polling_interval=LOOKS_EVERY_S))

    async def recover(self, name: str) -> Any:
        return _waited(self.client.begin_recover_deleted_secret(name, _polling_interval=LOOKS_EVERY_S))


class Aiohttp(Asked):
    """The asynchronous client, over aiohttp."""

    def __init__(self, client: AioSecretClient) -> None:
        self.client: Any = client
        self.vault_url = client.vault_url

    async def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        return await getattr(self.client, name)(*arguments, **options)

    async def pages(self, name: str, *arguments: Any, **options: Any) -> list[list[Any]]:
        pages = getattr(self.client, name)(*arguments, **options).by_page()
        return [[one async for one in page] async for page in pages]

    async def delete(self, name: str) -> Any:
        return await self.client.delete_secret(name, _polling_interval=LOOKS_EVERY_S)

    async def recover(self, name: str) -> Any:
        return await self.client.recover_deleted_secret(name, _polling_interval=LOOKS_EVERY_S)


def _waited(poller: Any) -> Any:
    poller.wait()
    return poller.result()


Opener = Callable[..., AbstractAsyncContextManager[Asked]]


class _AioGiven(Given):
    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # type: ignore[override]
        return super().get_token(*scopes, **options)


@asynccontextmanager
async def over_requests(_place: Place, url: str, *, token: str | None = None, **options: Any) -> AsyncIterator[Asked]:
    """Trusts what REQUESTS_CA_BUNDLE names. token: instead of one that is asked for."""
    with ManagedIdentityCredential() as identity:
        credential: Any = identity if token is None else Given(token)
        with SecretClient(url, credential, **options) as client:
            yield Requests(client)


@asynccontextmanager
async def over_aiohttp(place: Place, url: str, *, token: str | None = None, **options: Any) -> AsyncIterator[Asked]:
    """aiohttp makes its usual TLS context when it is imported: too early for SSL_CERT_FILE to be set by a test."""
    tls = ssl.create_default_context(cafile=place.ca)
    async with AioManagedIdentityCredential() as identity:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls))
        credential: Any = identity if token is None else _AioGiven(token)
        async with AioSecretClient(url, credential, transport=AioHttpTransport(session=session), **options) as client:
            yield Aiohttp(client)
