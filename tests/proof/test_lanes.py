"""`make prove` finds every lane, and leaves none out."""

import importlib
from pathlib import Path

import pytest

from tests.proof.__main__ import LANES


@pytest.mark.parametrize("lane", LANES)
def test_a_lane_is_a_package_with_a_run(lane: str) -> None:
    assert callable(importlib.import_module(f"tests.proof.{lane}.__main__").run)


def test_no_lane_is_left_out() -> None:
    assert {path.parent.name for path in Path(__file__).parent.glob("*/__main__.py")} == set(LANES)
