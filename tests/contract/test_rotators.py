"""Every rotator keeps the contract: each module `harness_*.py` of this folder says how to try one."""

from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path

import pytest

from rotation.rotators import ROTATORS
from tests.contract import harness_mysql, harness_postgres
from tests.contract.crash_suite import CrashSuite
from tests.contract.harness import Harness, Variant
from tests.contract.harness_generated import SERVICES
from tests.contract.prove_suite import ProveSuite
from tests.contract.rotator_suite import RotatorSuite
from tests.world import KINDS

MODULES = [import_module(f"tests.contract.{path.stem}") for path in sorted(Path(__file__).parent.glob("harness_*.py"))]
VARIANTS: dict[str, Variant] = {name: variant for module in MODULES for name, variant in module.HARNESSES.items()}

PROVEN = {**harness_postgres.HARNESSES, **harness_mysql.HARNESSES}
KINDS_OF_OURS = {name: VARIANTS[name] for name in ROTATORS if name in VARIANTS}


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
    marks = {name: [pytest.mark.thorough] if VARIANTS[name].slow else [] for name in names}
    metafunc.parametrize("harness", [pytest.param(name, marks=marks[name]) for name in names], indirect=True)


class TestRotators(RotatorSuite):
    @pytest.fixture
    async def harness(self, request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
        async with VARIANTS[request.param].opened(request) as opened:
            yield opened


class TestProofs(ProveSuite):
    variants = PROVEN

    @pytest.fixture
    async def harness(self, request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
        async with VARIANTS[request.param].opened(request) as opened:
            yield opened


class TestCrashes(CrashSuite):
    variants = KINDS_OF_OURS

    @pytest.fixture
    async def harness(self, request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
        async with VARIANTS[request.param].opened(request) as opened:
            yield opened


@pytest.mark.parametrize("kind", ROTATORS)
async def test_no_rotator_is_left_out(kind: str, request: pytest.FixtureRequest) -> None:
    """By its class: a name in the list of variants does not say what stands behind it."""
    async with VARIANTS[kind].opened(request) as opened:
        assert type(opened.rotator) is type(ROTATORS[kind].build(SERVICES))


def test_the_fake_is_held_to_the_contract_in_every_kind_that_it_stands_for() -> None:
    stood_for = {variant.replace("+admin", " by administrator") for variant in KINDS}
    assert {f"fake {kind}" for kind in stood_for} <= set(VARIANTS)
