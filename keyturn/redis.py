"""redis-py: logins that a new password does not break. `pip install "keyturn[redis]"`.

    login = RedisLogin(cache)
    client = redis.Redis("cache.example", credential_provider=login, redis_connect_func=login.connected)

A credential provider is asked before each login, and never hears that one was refused:
https://redis.readthedocs.io/en/stable/examples/connection_examples.html
So `redis_connect_func`, which logs a new connection in, has to be given too.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from redis.credentials import CredentialProvider, UsernamePasswordCredentialProvider
from redis.exceptions import AuthenticationError

from keyturn.held import Held
from keyturn.logins import may_be_bare, not_usable
from keyturn.secret import RotatingSecret
from keyturn.secret_async import AsyncRotatingSecret


class RedisLogin(CredentialProvider):
    """Of `redis.Redis`, by what a secret holds: a `redis://` or `rediss://` URL with a password, or one alone.

    user: where the value is a password alone. None: Redis's user `default`.

    Raises, when it connects: NotUsable: the value is neither. redis.AuthenticationError: refused, with all there is.
    """

    def __init__(self, secret: RotatingSecret, user: str | None = None) -> None:
        self._secret, self._user = secret, user

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """(password,) or (user, password) of the newest value."""
        return _credentials(Held(self._secret.value), self._user, self._secret.reference)

    def connected(self, connection: Any = None) -> None:
        """For `redis_connect_func`: log in this new connection, which redis-py's annotation leaves out."""

        def log_in(value: str) -> None:
            held = Held(value)
            del value
            connection.credential_provider = _provider(held, self._user, self._secret.reference)
            connection.on_connect()

        try:
            self._secret.log_in(log_in, _refused)
        finally:
            connection.credential_provider = self


class AsyncRedisLogin(CredentialProvider):
    """Of `redis.asyncio.Redis`; see `RedisLogin`."""

    def __init__(self, secret: AsyncRotatingSecret, user: str | None = None) -> None:
        self._secret, self._user = secret, user

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """(password,) or (user, password) of the newest value."""
        return _credentials(Held(await self._secret.value), self._user, self._secret.reference)

    async def connected(self, connection: Any = None) -> None:
        """For `redis_connect_func`: log in this new connection, which redis-py's annotation leaves out."""

        async def log_in(value: str) -> None:
            held = Held(value)
            del value
            connection.credential_provider = _provider(held, self._user, self._secret.reference)
            await connection.on_connect()

        try:
            await self._secret.log_in(log_in, _refused)
        finally:
            connection.credential_provider = self


def _refused(error: Exception) -> bool:
    return isinstance(error, AuthenticationError)


def _provider(value: Held, user: str | None, secret: str) -> UsernamePasswordCredentialProvider:
    *named, password = _credentials(value, user, secret)
    return UsernamePasswordCredentialProvider(named[0] if named else None, password)


def _credentials(value: Held, user: str | None, secret: str) -> tuple[str] | tuple[str, str]:
    name, password = user, value
    if value.reveal().startswith(("redis://", "rediss://")):
        name, password = _of_url(value, user)
    elif not may_be_bare(value):
        password = Held("")
    if not password.reveal():
        raise not_usable(secret, "redis-py", "write a rediss:// URL with a password, or a password alone")
    return (name, password.reveal()) if name else (password.reveal(),)


def _of_url(value: Held, user: str | None) -> tuple[str | None, Held]:
    try:
        parts = urlsplit(value.reveal())
    except ValueError:
        return user, Held("")
    return unquote(parts.username or "") or user, Held(unquote(parts.password or ""))
