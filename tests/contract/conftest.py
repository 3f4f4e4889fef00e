"""What the harnesses share."""

import pytest

from local.certificates import Certificates, ensure


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure(tmp_path_factory.mktemp("tls"))
