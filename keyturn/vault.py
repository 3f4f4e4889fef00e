"""Reads a secret by Microsoft's SDK, which is imported when the first is read. Sync and async, the same otherwise.

The SDK's own retries are off: what comes next, and when, is decided by whoever waits for a value.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from keyturn.errors import KeyturnError, NotReadable, VaultAway
from keyturn.held import Held, Listed, Version
from keyturn.reference import Reference

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.keyvault.secrets import KeyVaultSecret, SecretProperties

T = TypeVar("T")
CALL_S = 5.0  # the longest that one call waits for the network
THROTTLED_S = 1.0  # where a throttled answer does not say for how long; Key Vault counts calls over ten seconds
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _SERVER = 401, 403, 404, 429, 500


class Reader(Protocol):
    """What a `RotatingSecret` reads by. Raises NotReadable or VaultAway."""

    def latest(self) -> Version: ...
    def version(self, version: str) -> Version: ...
    def listed(self) -> tuple[list[Listed], datetime]:
        """All versions, in any order, and the vault's time."""
        ...

    def close(self) -> None: ...


class AsyncReader(Protocol):
    """As `Reader`."""

    async def latest(self) -> Version: ...
    async def version(self, version: str) -> Version: ...
    async def listed(self) -> tuple[list[Listed], datetime]: ...
    async def close(self) -> None: ...


class SdkReader:
    """By `azure.keyvault.secrets.SecretClient`. Not shared between processes: see `RotatingSecret`."""

    def __init__(self, reference: Reference, credential: TokenCredential | None) -> None:
        with _importing():
            from azure.keyvault.secrets import SecretClient  # noqa: PLC0415  imported when used

        self._owned: Any = None
        if credential is None:
            with _importing():
                from azure.identity import DefaultAzureCredential  # noqa: PLC0415  as above

            credential = self._owned = DefaultAzureCredential()
        self._name = reference.name
        self._reference = reference
        self._client = SecretClient(reference.vault, credential, **_options(reference))

    def latest(self) -> Version:
        return _version(_asked(self._reference, lambda: self._client.get_secret(self._name)))

    def version(self, version: str) -> Version:
        return _version(_asked(self._reference, lambda: self._client.get_secret(self._name, version)))

    def listed(self) -> tuple[list[Listed], datetime]:
        clock = _Clock()
        pages = self._client.list_properties_of_secret_versions(self._name, raw_response_hook=clock.note)
        return [_listed(one) for one in _asked(self._reference, lambda: list(pages))], clock.now

    def close(self) -> None:
        self._client.close()
        if self._owned is not None:
            self._owned.close()


class AsyncSdkReader:
    """By `azure.keyvault.secrets.aio.SecretClient`; of one event loop."""

    def __init__(self, reference: Reference, credential: AsyncTokenCredential | None) -> None:
        with _importing():
            from azure.keyvault.secrets.aio import SecretClient  # noqa: PLC0415  imported when used

        self._owned: Any = None
        if credential is None:
            with _importing():
                from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415  as above

            credential = self._owned = DefaultAzureCredential()
        self._name = reference.name
        self._reference = reference
        self._client = SecretClient(reference.vault, credential, **_options(reference))

    async def latest(self) -> Version:
        return _version(await _awaited(self._reference, self._client.get_secret(self._name)))

    async def version(self, version: str) -> Version:
        return _version(await _awaited(self._reference, self._client.get_secret(self._name, version)))

    async def listed(self) -> tuple[list[Listed], datetime]:
        clock = _Clock()

        async def read() -> list[Listed]:
            pages = self._client.list_properties_of_secret_versions(self._name, raw_response_hook=clock.note)
            return [_listed(one) async for one in pages]

        return await _awaited(self._reference, read()), clock.now

    async def close(self) -> None:
        await self._client.close()
        if self._owned is not None:
            await self._owned.close()


def _options(reference: Reference) -> dict[str, Any]:
    return {
        "verify_challenge_resource": not reference.is_local,
        "retry_total": 0,
        "connection_timeout": CALL_S,
        "read_timeout": CALL_S,
    }


class _Clock:
    """The vault's clock, from the Date header of its last answer."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def note(self, response: Any) -> None:
        date = response.http_response.headers.get("Date")
        if date:
            self.now = parsedate_to_datetime(date)


def _version(found: KeyVaultSecret) -> Version:
    return Version(found.properties.version or "", Held(found.value or ""), dict(found.properties.tags or {}))


def _listed(found: SecretProperties) -> Listed:
    created = found.created_on or datetime.fromtimestamp(0, UTC)
    return Listed(found.version or "", bool(found.enabled), created, dict(found.tags or {}))


@contextmanager
def _importing() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        missing = (error.name or "").split(".")[:2]
        package = "azure-identity" if missing[-1:] == ["identity"] else "azure-keyvault-secrets"
        raise KeyturnError(f"{package} is not installed: pip install {package}, or pass a `credential`") from None


def _asked(reference: Reference, call: Callable[[], T]) -> T:
    try:
        return call()
    except Exception as error:  # noqa: BLE001  whatever the SDK and its transport let through
        failed = _failed(reference, error)
        _let_go(error)
    raise failed  # outside the handler: what hangs on the SDK's errors are requests and answers, tokens and values


async def _awaited(reference: Reference, call: Awaitable[T]) -> T:
    try:
        return await call
    except Exception as error:  # noqa: BLE001  as above
        failed = _failed(reference, error)
    raise failed


def _failed(reference: Reference, error: Exception) -> KeyturnError:
    """The SDK's error in words of ours."""
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError  # noqa: PLC0415  imported by now

    if isinstance(error, ClientAuthenticationError) and error.status_code != _UNAUTHORIZED:
        return VaultAway(f"{reference}: no token could be had: {_first_line(error)}")
    if isinstance(error, ClientAuthenticationError):
        return NotReadable(f"{reference}: the vault refuses this identity's token: look at its tenant", "refused")
    if isinstance(error, HttpResponseError):
        return _refused(reference, error)
    return VaultAway(f"{reference}: the vault does not answer: {type(error).__name__}")


def _let_go(error: Exception) -> None:
    """Else the connection stays open until the collector finds the error, which refers to itself."""
    response = getattr(error, "response", None)
    if response is not None and hasattr(response, "close"):
        response.close()


def _refused(reference: Reference, error: Any) -> KeyturnError:
    status = error.status_code
    inner = ((error.error and error.error.innererror) or {}).get("code")
    if status == _NOT_FOUND:
        return NotReadable(f"{reference}: there is no such secret, or it is deleted", "missing")
    if status == _FORBIDDEN and inner == "SecretDisabled":
        return NotReadable(f"{reference}: its latest version is disabled: enable it, or write a new one", "disabled")
    if status == _FORBIDDEN:
        why = {"ForbiddenByFirewall": "the vault's firewall does not let this machine in"}.get(
            str(inner), "this identity may not read it: give it the role Key Vault Secrets User"
        )
        return NotReadable(f"{reference}: {why}", "forbidden")
    if status == _TOO_MANY or status is None or status >= _SERVER:
        return VaultAway(f"{reference}: the vault answered {status}", _retry_after_s(error))
    return NotReadable(f"{reference}: the vault answered {status}", "refused")


def _retry_after_s(error: Any) -> float | None:
    """Seconds, or a date as RFC 9110 allows; a vault that throttles without saying for how long is left alone a bit."""
    text = error.response.headers.get("Retry-After") if error.response is not None else None
    if text is not None:
        try:
            return max(0.0, float(text))
        except ValueError:
            pass
        try:
            return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError):
            pass
    return THROTTLED_S if error.status_code == _TOO_MANY else None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
