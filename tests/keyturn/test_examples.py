"""Each program of examples/ is started, and asked again after its role's password was changed."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.keyvault.secrets.aio import SecretClient
from psycopg import sql

from local.vault import LocalVaults
from rotation.model import SecretValue
from tests.integration.postgres_fixtures import Owner, Role, running
from tests.integration.vault_fixtures import VAULT

ROOT = Path(__file__).parents[2]
STARTS_WITHIN_S = 30
pytestmark = pytest.mark.usefixtures("trusted")


@pytest.fixture(scope="module")
def owner() -> Iterator[Owner]:
    with running() as owner:
        yield owner


@pytest.mark.parametrize("name", ["psycopg_pool_app", "sqlalchemy_app"])
async def test_it_serves_on_while_its_password_is_changed(
    name: str, vaults: LocalVaults, client: SecretClient, owner: Owner
) -> None:
    role = owner.role()
    await client.set_secret("orders-db", owner.value(role))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "ORDERS_DB_SECRET": f"{vaults.urls[VAULT]}/secrets/orders-db",
        "PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }
    with started(name, environment) as program:
        try:
            assert await asyncio.to_thread(answer, port) == role.name
            new = Role(role.name, SecretValue(f"{role.password.reveal()}-2"))
            change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(role.name), sql.Literal(new.password.reveal())
            )
            owner.sql(change)
            # Whoever was logged in is put out, as after a failover: else no new login is needed.
            owner.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", role.name)
            asking = asyncio.create_task(asyncio.to_thread(answer, port))
            await asyncio.sleep(0.1)
            await client.set_secret("orders-db", owner.value(new))
            assert await asking == role.name
        finally:
            program.terminate()


def started(name: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, ROOT / "examples" / f"{name}.py"], env=environment)


def answer(port: int) -> str:
    """What it says; asked again while it starts, or while it notices that its connections are gone."""
    until = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as told:
                return str(told.read().decode())
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < until
            time.sleep(0.05)
