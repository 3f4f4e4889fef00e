"""Every rotator keeps the contract. A new one adds its harness's module to `MODULES`."""

from collections.abc import AsyncIterator

import pytest

from tests.contract import harness_entra, harness_generated, harness_storage_key
from tests.contract.harness import Harness, Opened
from tests.contract.rotator_suite import RotatorSuite

MODULES = (harness_generated, harness_storage_key, harness_entra)
VARIANTS: dict[str, Opened] = {name: opened for module in MODULES for name, opened in module.HARNESSES.items()}


class TestRotators(RotatorSuite):
    @pytest.fixture(params=VARIANTS)
    async def harness(self, request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
        async with VARIANTS[request.param](request) as opened:
            yield opened
