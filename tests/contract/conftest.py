"""What the harnesses share."""

from collections.abc import Iterator

import pytest

from local.certificates import Certificates, ensure
from tests.integration.postgres_fixtures import Owner, running


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def postgres_owner() -> Iterator[Owner]:
    with running() as owner:
        yield owner
