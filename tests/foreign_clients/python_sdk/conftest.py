"""The stand-ins for a whole run, and both clients for each case."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.keyvault.secrets import ApiVersion
from azure.keyvault.secrets._shared import HttpChallengeCache

from tests.foreign_clients.place import Place, opened
from tests.foreign_clients.python_sdk.clients import Asked, Opener, over_aiohttp, over_requests

SETTLES_S = 0.06  # hundreds of secrets are deleted here
TRANSPORTS: dict[str, Opener] = {"requests": over_requests, "aiohttp": over_aiohttp}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each case says which test of the SDK's own it is modelled on. All take long; `make foreign-clients` has them."""
    mine = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in mine:
        item.add_marker(pytest.mark.thorough)
    nameless = [item.nodeid for item in mine if not item.get_closest_marker("model")]
    if nameless:
        raise pytest.UsageError(f"these name no model: {nameless}")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with opened(tmp_path_factory.mktemp("stand-ins"), SETTLES_S) as running:
        yield running


@pytest.fixture(autouse=True)
def afresh(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a process with the stand-ins' environment has: nothing is remembered of challenges or calls."""
    for name, value in place.trust.items():
        monkeypatch.setenv(name, value)
    place.vaults.calls.clear()
    yield
    place.vaults.faults.clear()
    place.vaults.access.clear()
    place.vaults.settling.set(SETTLES_S)
    HttpChallengeCache.clear()


@pytest.fixture(params=TRANSPORTS)
def opener(request: pytest.FixtureRequest) -> Opener:
    return TRANSPORTS[request.param]


@pytest.fixture
async def client(place: Place, opener: Opener) -> AsyncIterator[Asked]:
    """A client of the near vault: what its challenge names is not held against a loopback address."""
    async with opener(place, place.near, verify_challenge_resource=False) as asked:
        yield asked


@pytest.fixture(params=[version.value for version in ApiVersion])
async def versioned(request: pytest.FixtureRequest, place: Place, opener: Opener) -> AsyncIterator[Asked]:
    """The same, in each version of the API."""
    options: dict[str, Any] = {"api_version": request.param, "verify_challenge_resource": False}
    async with opener(place, place.near, **options) as asked:
        yield asked


@pytest.fixture
async def verifying(place: Place, opener: Opener) -> AsyncIterator[Asked]:
    """A client with nothing switched off, of the vault that goes by its name on Azure."""
    async with opener(place, place.named, proxies={"https": place.proxy.url}) as asked:
        yield asked


@pytest.fixture
def name() -> str:
    """A secret's name that nobody else has."""
    return f"case-{uuid.uuid4().hex}"
