"""A real Redis, and a user of it whose password is changed in place."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from tests.keyturn.played import PlayedVault

OWNER = "owner-pw-7c1e"
STARTS_WITHIN_S = 20


@dataclass
class Cache:
    """A user `orders` of a Redis whose password is changed in place. tcp: of redis-py."""

    port: int
    number: int = 0

    @property
    def password(self) -> str:
        return f"orders-pw-{self.number}-9b2d"

    @property
    def url(self) -> str:
        return f"redis://orders:{self.password}@127.0.0.1:{self.port}"

    def rotate(self, vault: PlayedVault | None = None, *, url: bool = False, gap_s: float = 0.08) -> None:
        self.number += 1
        with redis.Redis("127.0.0.1", self.port, password=OWNER) as owner:
            owner.execute_command("ACL", "SETUSER", "orders", "on", "resetpass", f">{self.password}", "~*", "+@all")
        if vault is not None:
            value = self.url if url else self.password
            threading.Timer(gap_s, lambda: vault.write(value)).start()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    server = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
    if server is None:
        pytest.skip("no redis-server on this machine: apt-get install redis-server")
    data = tmp_path_factory.mktemp("redis")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--requirepass", OWNER, "--save", "", "--dir", str(data)]
    with subprocess.Popen([server, *options], stdout=subprocess.DEVNULL) as process:
        _wait_for(port)
        cache = Cache(port)
        cache.rotate()
        yield cache
        process.terminate()


def _wait_for(port: int) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            with redis.Redis("127.0.0.1", port, password=OWNER) as owner:
                owner.ping()
        except redis.ConnectionError:
            assert time.monotonic() < until, "redis-server does not start"
            time.sleep(0.05)
        else:
            return
