"""One stack for all tests of a worker; at its end everything that it wrote is searched for values."""

from collections.abc import AsyncIterator, Iterator

import pytest

from local.stack import Stack
from tests.e2e.contract import Contract
from tests.e2e.deployment import Deployment, opened
from tests.e2e.leaks import leaks, places, values_of

VAULTS = ("kv-demo", "kv-orders")


@pytest.fixture(scope="session")
def answers() -> list[str]:
    """Every HTTP answer of the app."""
    return []


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, answers: list[str]) -> Iterator[Stack]:
    data = tmp_path_factory.mktemp("stack")
    with Stack(data, vaults=VAULTS, log_statement="all") as running:
        yield running
        admin = running.postgres.admin_password.reveal()
    texts = [(path.name, path.read_bytes()) for path in places(data)]
    texts += [(answer[:60], answer.encode()) for answer in answers]
    # A worker that had only tests which write no secret looks for the administrator's password alone.
    assert leaks([*values_of(data), admin], texts) == []


@pytest.fixture
async def app(stack: Stack, answers: list[str]) -> AsyncIterator[Deployment]:
    """Every answer of the test is as the document at /api/openapi.json has it."""
    async with opened(stack, answers) as deployment:
        yield deployment
    contract = Contract.of_file()
    for method, path, answer in deployment.seen:
        assert contract.objection(method, path, answer.status, answer.headers, answer.text) is None
