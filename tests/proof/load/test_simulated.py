"""The trial in simulated time: what it finds, and that it notices a pace that keeps no limit."""

import asyncio
from typing import Any

import pytest

from tests.proof.load import simulated
from tests.proof.load.__main__ import independent_row, simulated_row
from tests.proof.load.simulated import Counted, rotate_in_simulated_time

STEADY = [n / 28 for n in range(281)]  # 28 new versions a second, of 30


class Reckless:
    def __init__(self, *_creations: int, **_clock: Any) -> None: ...

    async def wait(self, creations: int) -> None: ...

    def made(self) -> None: ...

    def refused(self, retry_after_s: float | None, tries: int = 1) -> float:
        return retry_after_s or tries


@pytest.mark.thorough
def test_instances_that_know_nothing_of_each_other_use_the_limit_and_hardly_meet_it() -> None:
    row = simulated_row({3: rotate_in_simulated_time(1_000, 2, 3)})
    assert row.trials == 1_000
    assert row.holds, row


@pytest.mark.thorough
def test_refusals_that_do_not_say_when_to_come_back_cost_hardly_anything() -> None:
    counted = {tells: rotate_in_simulated_time(350, 1, 4, retry_after=tells) for tells in (True, False)}
    assert independent_row({4: counted[True]}, {4: counted[False]}).holds
    assert counted[False].refused > 0


@pytest.mark.parametrize(("slower", "broken"), [(1.1, 0), (1.12, 1)])
def test_a_tenth_less_without_the_header_breaks_the_row(slower: float, broken: int) -> None:
    told = Counted(rotated=140, calls=1_000, made={"kv": STEADY})
    not_told = Counted(rotated=140, calls=1_000, made={"kv": [moment * slower for moment in STEADY]})
    assert independent_row({2: told}, {2: not_told}).broken == broken


@pytest.mark.thorough
def test_a_pace_that_keeps_no_limit_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "RateLimiter", Reckless)
    counted = rotate_in_simulated_time(1_000, 2, 3)
    assert not simulated_row({3: counted}).holds
    assert not counted.broken, "refused, and rotated all the same"


@pytest.mark.parametrize(
    ("made", "refused", "broken"),
    [(STEADY, 50, 0), (STEADY, 51, 1), ([moment * 1.1 for moment in STEADY], 50, 1)],
)
def test_too_slow_and_refused_too_often_each_break_the_row(made: list[float], refused: int, broken: int) -> None:
    counted = Counted(rotated=140, calls=1_000, refused=refused, made={"kv": made})
    assert simulated_row({2: counted}).broken == broken


def test_the_same_seed_tells_the_same() -> None:
    assert rotate_in_simulated_time(100, 2, 2, seed=7) == rotate_in_simulated_time(100, 2, 2, seed=7)


def test_time_that_nothing_ends_is_no_wait_but_a_mistake() -> None:
    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=simulated.SimulatedLoop) as runner, pytest.raises(RuntimeError, match="all wait"):
        runner.run(never())


def test_what_was_not_rotated_breaks_the_row() -> None:
    counted = Counted(rotated=1, calls=6, made={"kv": [0.0, 0.01]}, broken=["kv/a was not rotated"])
    assert simulated_row({2: counted}).broken == 1
