"""Many calls, a few at a time: in order, within the bound, and none left behind."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import takewhile

import pytest

from rotation.side_by_side import side_by_side


class Calls:
    """Calls that end when a test lets them."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.gates = [asyncio.Event() for _ in range(10)]

    async def __call__(self, number: int) -> str:
        self.begun.append(number)
        try:
            await self.gates[number].wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        if number == 7:
            raise LookupError("seven")
        return f"did {number}"

    def let(self, *numbers: int) -> None:
        for number in numbers:
            self.gates[number].set()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_no_more_are_under_way_than_the_bound_and_a_slow_one_holds_no_call_up() -> None:
    calls, found = Calls(), []

    async def collect() -> None:
        found.extend([result async for _, result in side_by_side(calls, range(6), 2)])

    collecting = asyncio.create_task(collect())
    await settled()
    assert calls.begun == [0, 1]
    calls.let(1, 2)
    await settled()
    assert calls.begun == [0, 1, 2, 3]
    calls.let(*range(6))
    await collecting
    assert found == [f"did {number}" for number in range(6)]


async def test_the_first_error_ends_it_and_leaves_no_call_behind() -> None:
    calls = Calls()
    calls.let(5, 7)
    with pytest.raises(LookupError):
        _ = [result async for _, result in side_by_side(calls, (5, 6, 7, 8), 3)]
    assert calls.cancelled == [6]
    assert calls.begun == [5, 6, 7]


async def test_of_several_errors_at_once_none_is_reported_as_lost() -> None:
    lost: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context["message"]))

    async def fails(number: int) -> None:
        raise LookupError(number)

    with pytest.raises(LookupError):
        _ = [one async for one in side_by_side(fails, range(3), 3)]
    gc.collect()
    await settled()
    assert lost == []


async def test_whoever_takes_no_more_leaves_no_call_behind() -> None:
    calls = Calls()
    calls.let(0)
    async with aclosing(side_by_side(calls, range(6), 3)) as results:
        async for thing, result in results:
            assert (thing, result) == (0, "did 0")
            break
    assert sorted(calls.cancelled) == [1, 2]


async def test_what_is_to_be_done_next_is_asked_when_there_is_room() -> None:
    calls = Calls()
    calls.let(*range(6))
    enough = iter([True, True, False])
    taken = [thing async for thing, _ in side_by_side(calls, takewhile(lambda _: next(enough), range(6)), 1)]
    assert taken == [0, 1]


async def test_what_is_to_be_done_may_come_bit_by_bit() -> None:
    calls = Calls()
    calls.let(*range(6))
    asked: list[int] = []

    async def pages() -> AsyncIterator[int]:
        for number in range(6):
            await asyncio.sleep(0)
            asked.append(number)
            yield number

    async with aclosing(side_by_side(calls, pages(), 2)) as results:
        assert await anext(results) == (0, "did 0")
        assert asked == [0, 1]
        assert [result async for _, result in results] == [f"did {number}" for number in range(1, 6)]


async def test_of_nothing_comes_nothing() -> None:
    assert [one async for one in side_by_side(Calls(), (), 3)] == []
