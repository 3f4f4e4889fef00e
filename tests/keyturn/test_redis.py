"""redis-py at a real server, with a password that is changed under it."""

from __future__ import annotations

import asyncio

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ResponseError
from redis.retry import Retry

from keyturn import AsyncRotatingSecret, NotUsable, RotatingSecret
from keyturn.redis import AsyncRedisLogin, RedisLogin
from tests.keyturn.played import AsyncPlayedVault, PlayedVault, Time
from tests.keyturn.redis_server import Cache

ADDRESS = "https://kv-orders.vault.azure.net/secrets/cache"


@pytest.mark.parametrize("url", [True, False])
@pytest.mark.parametrize("protocol", [2, 3])
async def test_of_many_that_log_in_while_the_password_is_changed_none_is_refused(
    cache: Cache, protocol: int, *, url: bool
) -> None:
    vault = PlayedVault(Time(), cache.url if url else cache.password)
    login = RedisLogin(RotatingSecret(ADDRESS, reader=lambda: vault), None if url else "orders")

    def ask() -> object:
        with redis.Redis(
            "127.0.0.1", cache.port, credential_provider=login, redis_connect_func=login.connected, protocol=protocol
        ) as client:
            return client.execute_command("ACL", "WHOAMI")

    assert await asyncio.to_thread(ask) == b"orders"
    for _ in range(2):
        before = len(vault.reads)
        await asyncio.to_thread(cache.rotate, vault, url=url)
        assert set(await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(12)))) == {b"orders"}
        assert 1 <= len(vault.reads) - before <= 5, "one reads for all"


async def test_asyncio_does_the_same(cache: Cache) -> None:
    vault = PlayedVault(Time(), cache.password)
    login = AsyncRedisLogin(AsyncRotatingSecret(ADDRESS, reader=lambda: AsyncPlayedVault(vault)), "orders")

    async def ask() -> object:
        async with redis.asyncio.Redis(
            host="127.0.0.1", port=cache.port, credential_provider=login, redis_connect_func=login.connected
        ) as client:
            return await client.acl_whoami()

    assert await ask() == "orders"
    await asyncio.to_thread(cache.rotate, vault)
    assert set(await asyncio.gather(*(ask() for _ in range(12)))) == {"orders"}
    assert await login.get_credentials_async() == ("orders", cache.password)


def test_a_command_is_never_sent_again(cache: Cache) -> None:
    vault = PlayedVault(Time(), cache.password)
    login = RedisLogin(RotatingSecret(ADDRESS, reader=lambda: vault), "orders")
    with redis.Redis(
        "127.0.0.1",
        cache.port,
        credential_provider=login,
        redis_connect_func=login.connected,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        client.delete("runs")
        with pytest.raises((AuthenticationError, ResponseError)):
            client.eval("redis.call('INCR', 'runs'); return redis.error_reply('WRONGPASS invalid username')", 0)
        assert client.get("runs") == b"1"
    assert len(vault.reads) == 1


def test_without_another_version_redis_own_error_comes_with_a_note(cache: Cache) -> None:
    vault = PlayedVault(Time(), "another-pw-4f6a")
    login = RedisLogin(RotatingSecret(ADDRESS, reader=lambda: vault, wait_s=0.1), "orders")
    with (
        redis.Redis("127.0.0.1", cache.port, credential_provider=login, redis_connect_func=login.connected) as client,
        pytest.raises(AuthenticationError) as refused,
    ):
        client.ping()
    assert "the vault has no other version" in "".join(refused.value.__notes__)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "cache:6380,password=canary-8k3w,ssl=True",
        "rediss://cache:6380",
        "https://x:canary-8k3w@cache",
        "redis://[x",
    ],
)
def test_a_value_that_it_can_not_log_in_with_is_one_clear_line(value: str) -> None:
    login = RedisLogin(RotatingSecret(ADDRESS, reader=lambda: PlayedVault(Time(), value)))
    with pytest.raises(NotUsable) as unusable:
        login.get_credentials()
    assert str(unusable.value).startswith(ADDRESS)
    assert "\n" not in str(unusable.value)
    assert "8k3w" not in str(unusable.value)


def test_a_users_name_and_password_are_read_from_a_url_as_they_were_written() -> None:
    value = "rediss://orders:p%40ss@cache:6380/0"
    assert RedisLogin(RotatingSecret(ADDRESS, reader=lambda: PlayedVault(Time(), value))).get_credentials() == (
        "orders",
        "p@ss",
    )
