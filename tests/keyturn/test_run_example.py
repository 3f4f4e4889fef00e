"""examples/keyturn_run_app.py, started as its first lines say."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from azure.keyvault.secrets.aio import SecretClient

from local.certificates import Certificates
from local.postgres import LocalPostgres
from local.vault import LocalVaults
from rotation.model import SecretValue
from tests.integration.vault_fixtures import VAULT
from tests.keyturn.running import ROOT, Run

APP = ROOT / "examples" / "keyturn_run_app.py"
OPTIONS = ("--signal", "SIGHUP", "--poll", "1")
FIRST, SECOND = "Hn4-first-sYc", "Hn5-second-bXe"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalPostgres]:
    running = LocalPostgres(tmp_path / "postgres", durable=False)
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def run(vaults: LocalVaults, certificates: Certificates, identity: None, tmp_path: Path) -> AsyncIterator[Run]:
    one = Run(tmp_path / "report.txt", {**os.environ, "REQUESTS_CA_BUNDLE": str(certificates.ca), "EVERY_S": "0.1"})
    yield one
    one.clean_up()


async def test_it_logs_in_anew_at_each_new_version(
    run: Run, vaults: LocalVaults, client: SecretClient, server: LocalPostgres
) -> None:
    assert "keyturn run --file orders-db=kv-orders-prod/orders-db --signal SIGHUP" in APP.read_text()
    admin = server.url("postgres", server.admin_user, server.admin_password).reveal()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE app_a LOGIN PASSWORD '{FIRST}'")
        connection.execute(f"CREATE ROLE app_b LOGIN PASSWORD '{SECOND}'")
    await client.set_secret("orders-db", server.url("postgres", "app_a", SecretValue(FIRST)).reveal())
    where = f"orders-db={vaults.urls[VAULT]}/secrets/orders-db"
    await run.start("--file", where, *OPTIONS, program=(sys.executable, str(APP)))
    assert run.process.stdout is not None
    assert await run.process.stdout.readline() == b"logged in as app_a\n"
    await client.set_secret("orders-db", server.url("postgres", "app_b", SecretValue(SECOND)).reveal())
    assert await run.process.stdout.readline() == b"logged in as app_b\n"
    assert (await run.stop())[0] == 0
