"""What the harnesses share, and each ledger to hold to its port."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from azure.storage.blob.aio import ContainerClient

from local.azurite import ACCOUNT, LocalAzurite, Missing
from local.certificates import Certificates, ensure
from rotation.stores.blob_ledger import BlobLedger
from rotation.stores.file_ledger import FileLedger
from tests.contract.ledgers import APP_MAY, SHORTEST_LEASE_S, Opened
from tests.fakes import FakeClock, InMemoryLedger
from tests.integration import rabbitmq_fixtures, redis_fixtures
from tests.integration.postgres_fixtures import Owner, running
from tests.mysql.fixtures import Owner as MySQLOwner
from tests.mysql.fixtures import owned
from tests.rights_used import note_ledger


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def postgres_owner() -> Iterator[Owner]:
    with running() as owner:
        yield owner


@pytest.fixture(scope="session")
def mysql_owner(certificates: Certificates) -> Iterator[MySQLOwner]:
    with owned("mysql", certificates) as owner:
        yield owner


@pytest.fixture(scope="session")
def mariadb_owner(certificates: Certificates) -> Iterator[MySQLOwner]:
    with owned("mariadb", certificates) as owner:
        yield owner


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis_fixtures.Server]:
    """Its users are in an ACL file."""
    server = redis_fixtures.Server(redis_fixtures.redis_binary(), tmp_path_factory.mktemp("redis"))
    with redis_fixtures.running([server]):
        yield server


@pytest.fixture(scope="session")
def redis_over_tls(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[redis_fixtures.Server]:
    folder, binary = tmp_path_factory.mktemp("redis"), redis_fixtures.redis_binary()
    server = redis_fixtures.Server(binary, folder, certificates=certificates)
    with redis_fixtures.running([server]):
        yield server


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis_fixtures.Server]:
    """Its users are in its configuration file."""
    folder, binary = tmp_path_factory.mktemp("valkey"), redis_fixtures.valkey_binary()
    with redis_fixtures.running([server := redis_fixtures.Server(binary, folder, acl_file=False)]):
        yield server


@pytest.fixture(scope="session")
def rabbitmq(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[rabbitmq_fixtures.Broker]:
    with rabbitmq_fixtures.running(tmp_path_factory.mktemp("rabbitmq"), certificates) as broker:
        yield broker


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzurite]:
    emulator = LocalAzurite(tmp_path_factory.mktemp("azurite"))
    try:
        emulator.start()
    except Missing as missing:
        pytest.skip(str(missing))
    yield emulator
    emulator.stop()
    note_ledger(emulator.data / "azurite.log")


@pytest.fixture
async def container(azurite: LocalAzurite, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    url = f"{azurite.url}/ledger-{os.getpid()}-{abs(hash(request.node.name))}"
    async with ContainerClient.from_container_url(url, AzureNamedKeyCredential(ACCOUNT, azurite.key)) as client:
        await client.create_container()
        yield url
        await client.delete_container()


@pytest.fixture
async def blobs(azurite: LocalAzurite, container: str) -> AsyncIterator[Callable[..., BlobLedger]]:
    opened: list[BlobLedger] = []

    ends = datetime.now(UTC) + timedelta(hours=1)
    name = container.rsplit("/", 1)[1]

    def open_one(most_blocks: int, may: ContainerSasPermissions = APP_MAY) -> BlobLedger:
        signed: Any = AzureSasCredential(
            generate_container_sas(ACCOUNT, name, azurite.key, permission=may, expiry=ends)
        )
        opened.append(BlobLedger(container, signed, lease_s=SHORTEST_LEASE_S, most_blocks=most_blocks))
        return opened[-1]

    yield open_one
    for ledger in opened:
        await ledger.close()


@pytest.fixture(params=["in-memory", "files", "blobs", "blobs-that-roll-over"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    clock = FakeClock()

    async def time_passes() -> None:
        clock.ahead(seconds=61)

    if request.param == "in-memory":
        return Opened(InMemoryLedger(clock), time_passes)
    if request.param == "files":
        return Opened(FileLedger(tmp_path, monotonic=clock.monotonic), time_passes)
    open_one = request.getfixturevalue("blobs")
    return Opened(open_one(2 if "roll" in request.param else 100), lambda: asyncio.sleep(SHORTEST_LEASE_S + 1))
