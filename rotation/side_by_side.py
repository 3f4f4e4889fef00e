"""Many calls, a few of them at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def side_by_side(
    do: Callable[[T], Awaitable[R]], things: Iterable[T] | AsyncIterable[T], at_once: int
) -> AsyncGenerator[tuple[T, R], None]:
    """Each thing with what `do` made of it, in the order of the things; at most `at_once` calls are under way.

    A slow call holds up what comes after it, but no other call. `things` is asked for the next when one may begin.
    The first error ends it: the calls under way are cancelled, and it is raised.
    """
    coming = _each(things)
    under_way: set[asyncio.Future[R]] = set()
    waiting: list[tuple[T, asyncio.Future[R]]] = []  # those that were not handed over yet, in order
    try:
        while True:
            while len(under_way) < at_once:
                try:
                    thing = await anext(coming)
                except StopAsyncIteration:
                    break
                begun = asyncio.ensure_future(do(thing))
                under_way.add(begun)
                waiting.append((thing, begun))
            if not under_way:
                return
            done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for call in done:
                call.result()
            ready = next((n for n, (_, call) in enumerate(waiting) if not call.done()), len(waiting))
            for thing, call in waiting[:ready]:
                yield thing, call.result()
            del waiting[:ready]
    finally:
        for call in under_way:
            call.cancel()
        # Of several that fail at once one error is raised; the others are looked at, so that nobody reports them lost.
        await asyncio.gather(*(call for _, call in waiting), return_exceptions=True)


async def _each(things: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    if isinstance(things, AsyncIterable):
        async for thing in things:
            yield thing
    else:
        for thing in things:
            yield thing
