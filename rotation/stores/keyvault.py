"""The vault over Microsoft's SDK, azure-keyvault-secrets (aio), one HTTP session for all vaults of the app.

A write is sent once. Two layers would otherwise send it again when an answer is lost, and a second version would come
of it: the SDK's retry, which is switched off, and aiohttp itself, which repeats a PUT on a connection that broke
(`session_middlewares`). What did nothing is tried again: "not now" (429, 503), which `pace` keeps rare, and "somebody
else writes this secret just now" (409).
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from rotation.errors import Conflict, Throttled
from rotation.model import Secret, SecretItem, SecretRef, SecretValue, Version, Versions
from rotation.stores.keyvault_refusals import LimitMet, translated
from rotation.stores.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.keyvault.secrets import KeyVaultSecret

T = TypeVar("T")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PATIENCE_S = 10.0  # of one call with all its tries; the fence's limit is longer, so that it hears what came of it
_LONGEST_WAIT_S = 5.0
_TRIES = 4
_CONFLICT_WAITS_S = (0.1, 2.0)  # the first one, doubled each time, up to the last one


async def _sent_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # never connected, so never sent
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        broke = aiohttp.ClientConnectionError("the connection broke before the answer")
    raise broke


def session_middlewares() -> tuple[aiohttp.ClientMiddlewareType, ...]:
    """What the app's session needs so that aiohttp repeats no write by itself."""
    return (_sent_once,)


class KeyVaultStore:
    """See `rotation.ports.Vault`. `session` is shared and stays the caller's. creations: in ten seconds."""

    def __init__(
        self,
        name: str,
        url: str,
        credential: AsyncTokenCredential,
        session: aiohttp.ClientSession,
        *,
        creations: int = 290,
    ) -> None:
        from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415  a cold start need not pay for it
        from azure.keyvault.secrets.aio import SecretClient  # noqa: PLC0415  as above

        self._name = name
        self._limiter = RateLimiter(creations)
        self._client = SecretClient(
            url,
            credential,
            transport=AioHttpTransport(session=session, session_owner=False),
            # The SDK refuses a challenge whose resource is not the vault's own domain; a laptop has no such domain.
            verify_challenge_resource=urlsplit(url).hostname not in _LOOPBACK,
            retry_total=0,
        )

    @property
    def name(self) -> str:
        return self._name

    async def get(self, name: str, version: str | None = None) -> Secret:
        clock = _Clock()
        found = await self._ask(name, lambda: self._client.get_secret(name, version, raw_response_hook=clock.note))
        return self._secret(found, clock.now)

    async def versions(self, name: str) -> Versions:
        clock = _Clock()

        async def read() -> list[Version]:
            pages = self._client.list_properties_of_secret_versions(name, raw_response_hook=clock.note)
            return [
                Version(
                    found.version or "", bool(found.enabled), found.created_on or clock.now, found.expires_on,
                    found.tags or {},
                )
                async for found in pages
            ]  # fmt: skip

        items = await self._ask(name, read)
        # Lists come in no order, and `created` has whole seconds: of two made in one second, the list's later one
        # comes first. The latest of all is never decided by this, but by reading it.
        items.sort(key=lambda version: version.created_on)
        return Versions(tuple(reversed(items)), clock.now)

    async def secrets(self) -> AsyncIterator[SecretItem]:
        pages = self._client.list_properties_of_secrets()
        while True:
            try:
                with translated(""):
                    found = await anext(pages)
            except StopAsyncIteration:
                return
            now = datetime.now(UTC)
            ref = SecretRef(self._name, found.name or "")
            updated = found.updated_on or found.created_on or now
            yield SecretItem(ref, bool(found.enabled), found.expires_on, updated, found.tags or {}, found.created_on)

    async def reserve_writes(self, creations: int) -> None:
        await self._limiter.wait(creations)

    async def set(
        self,
        name: str,
        value: SecretValue,
        *,
        tags: Mapping[str, str],
        content_type: str | None = None,
        expires_on: datetime | None = None,
    ) -> Secret:
        clock = _Clock()
        written = await self._ask(
            name,
            lambda: self._client.set_secret(
                name,
                value.reveal(),
                tags=dict(tags),
                content_type=content_type,
                expires_on=expires_on,
                raw_response_hook=clock.note,
            ),
            creates=True,
        )
        return replace(self._secret(written, clock.now), value=value)

    async def set_enabled(self, name: str, version: str, *, enabled: bool) -> None:
        await self._ask(name, lambda: self._client.update_secret_properties(name, version, enabled=enabled))

    async def set_tags(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        await self._ask(name, lambda: self._client.update_secret_properties(name, version, tags=dict(tags)))

    async def _ask(self, name: str, call: Callable[[], Awaitable[T]], *, creates: bool = False) -> T:
        clock = asyncio.get_running_loop().time
        began = clock()
        for tries in itertools.count(1):
            try:
                with translated(name):
                    answer = await call()
                if creates:
                    self._limiter.made()
            except Conflict:
                first, longest = _CONFLICT_WAITS_S
                # Not in step with another writer.
                wait = min(first * 2 ** (tries - 1), longest) * random.SystemRandom().uniform(0.5, 1.0)
                if clock() + wait > began + PATIENCE_S:
                    raise
            except Throttled as throttled:
                # Where the vault names no time: one second, two, four ("Azure Key Vault throttling guidance").
                wait = throttled.retry_after_s or 2 ** (tries - 1)
                if isinstance(throttled, LimitMet):
                    wait = self._limiter.refused(throttled.retry_after_s, tries) if creates else wait
                    throttled.retry_after_s = math.ceil(wait)
                if tries >= _TRIES or wait > _LONGEST_WAIT_S or clock() + wait > began + PATIENCE_S:
                    raise
            else:
                return answer
            await asyncio.sleep(wait)
        raise AssertionError  # counts for ever

    def _secret(self, found: KeyVaultSecret, read_at: datetime) -> Secret:
        properties = found.properties
        return Secret(
            SecretRef(self._name, found.name or ""),
            properties.version or "",
            SecretValue(found.value or ""),
            dict(properties.tags or {}),
            properties.content_type,
            bool(properties.enabled),
            properties.created_on or read_at,
            properties.expires_on,
            read_at,
            properties.not_before,
        )


class _Clock:
    """The vault's clock: the Date header of its last answer."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def note(self, answer: Any) -> None:
        date = answer.http_response.headers.get("Date")
        if date:
            self.now = parsedate_to_datetime(date).astimezone(UTC)
