"""Every rotator keeps the contract. A new one adds its harness's module to `MODULES`."""

from collections.abc import AsyncIterator

import pytest

from rotation.rotators import ROTATORS
from tests.contract import harness_entra, harness_generated, harness_postgres, harness_storage_key
from tests.contract.harness import Harness, Variant
from tests.contract.prove_suite import ProveSuite
from tests.contract.rotator_suite import RotatorSuite

MODULES = (harness_generated, harness_storage_key, harness_entra, harness_postgres)
VARIANTS: dict[str, Variant] = {name: variant for module in MODULES for name, variant in module.HARNESSES.items()}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each clause runs over the variants of its class whose traits are those of its mark `where`."""
    if "harness" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("where")
    wanted = mark.kwargs if mark else {}
    names = [
        name
        for name, variant in getattr(metafunc.cls, "variants", VARIANTS).items()
        if all(getattr(variant.traits, trait) is value for trait, value in wanted.items())
    ]
    metafunc.parametrize("harness", names, indirect=True)


class TestRotators(RotatorSuite):
    @pytest.fixture
    async def harness(self, request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
        async with VARIANTS[request.param].opened(request) as opened:
            yield opened


class TestProofs(ProveSuite):
    variants = harness_postgres.HARNESSES

    @pytest.fixture
    async def harness(self, request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
        async with VARIANTS[request.param].opened(request) as opened:
            yield opened


def test_no_rotator_is_left_out() -> None:
    assert all(any(variant.startswith(name) for variant in VARIANTS) for name in ROTATORS)
