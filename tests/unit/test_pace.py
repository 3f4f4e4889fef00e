"""How fast new versions go to a vault: within its limit, near it, and slower where others write too."""

import asyncio
import random
from collections.abc import Awaitable

import pytest

from rotation.errors import Throttled
from rotation.stores.rate_limiter import MAX_CONCURRENT, PATIENCE_S, WINDOW_S, RateLimiter


class Time:
    """Sleepers wake in the order of their time; what they do between takes none."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._number = 0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.Event()
        self._number += 1
        self._sleepers.append((self.now + seconds, self._number, awake))
        await awake.wait()

    async def pass_until_done(self, *tasks: asyncio.Task[None]) -> None:
        while not all(task.done() for task in tasks):
            for _ in range(5):
                await asyncio.sleep(0)
            if self._sleepers:
                first = min(self._sleepers)
                self._sleepers.remove(first)
                self.now = max(self.now, first[0])
                first[2].set()
        for task in tasks:
            await task


class Limited:
    """A vault of the service's limit, and those who write to it. tells: when to come back, where it refuses."""

    def __init__(self, time: Time, limit: int, *, tells: bool = True) -> None:
        self.time, self.limit, self.tells = time, limit, tells
        self.made: list[float] = []
        self.refused = 0

    async def write(self, limiter: RateLimiter, creations: int) -> None:
        """Two creations a rotation, until so many were made; a refusal is waited out."""
        for _ in range(creations // 2):
            await self._patiently(limiter, 2)
            for _ in range(2):
                tries = 0
                while (wait := self._too_many()) is not None:
                    self.refused += 1
                    tries += 1
                    await self.time.sleep(limiter.refused(wait if self.tells else None, tries))
                self.made.append(self.time.now)
                limiter.made()
                await self.time.sleep(0.01)

    async def _patiently(self, limiter: RateLimiter, creations: int) -> None:
        while True:
            try:
                return await limiter.wait(creations)
            except Throttled as throttled:
                await self.time.sleep(float(throttled.retry_after_s or 1))

    def _too_many(self) -> float | None:
        recent = [at for at in self.made if at > self.time.now - WINDOW_S]
        return max(1.0, recent[0] + WINDOW_S - self.time.now) if len(recent) >= self.limit else None


def limiter(time: Time, creations: int = 290) -> RateLimiter:
    return RateLimiter(creations, monotonic=time.monotonic, sleep=time.sleep, rng=random.Random(1))


def most_within_a_window(times: list[float]) -> int:
    return max(sum(first <= at < first + WINDOW_S for at in times) for first in times)


async def started(*calls: Awaitable[None]) -> list[asyncio.Task[None]]:
    return [asyncio.ensure_future(call) for call in calls]


async def test_one_writer_stays_below_the_limit_and_uses_nine_tenths_of_it() -> None:
    time = Time()
    vault = Limited(time, 300)
    mine = limiter(time)
    await time.pass_until_done(*await started(*(vault.write(mine, 100) for _ in range(10))))
    assert vault.refused == 0
    assert most_within_a_window(vault.made) <= 290 + 2 * 10  # those under way come a moment after their booking
    assert len(vault.made) / (vault.made[-1] - vault.made[0]) >= 0.9 * 30


@pytest.mark.parametrize("creations", [10, 16, 100, 290, 100_000])
async def test_no_window_holds_more_than_was_asked_for(creations: int) -> None:
    time = Time()
    mine = limiter(time, creations)
    passed: list[float] = []

    async def one() -> None:
        await mine.wait(1)
        passed.append(time.now)

    await time.pass_until_done(*await started(*(one() for _ in range(min(creations, 280)))))
    assert most_within_a_window(passed) <= creations


async def test_after_a_pause_a_few_need_not_wait() -> None:
    time = Time()
    mine = limiter(time)
    for _ in range(MAX_CONCURRENT // 2):
        await asyncio.wait_for(mine.wait(2), 1)
    assert time.now == 1000.0


async def test_who_would_wait_longer_than_a_window_goes_away_and_books_nothing() -> None:
    time = Time()
    mine = limiter(time, 10)
    waiting = await started(mine.wait(5), mine.wait(5))
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(Throttled) as throttled:
            await mine.wait(5)
        assert throttled.value.retry_after_s is not None
        assert PATIENCE_S < throttled.value.retry_after_s <= 2 * PATIENCE_S
    await time.pass_until_done(*waiting)


async def test_a_refusal_closes_the_vault_for_all_until_its_time_is_over() -> None:
    time = Time()
    mine = limiter(time)
    mine.refused(3)
    reached: list[float] = []

    async def one(creations: int) -> None:
        await mine.wait(creations)
        reached.append(time.now)

    await time.pass_until_done(*await started(one(0), one(2), one(2)))
    assert min(reached) >= 1003
    assert len(set(reached)) == 3, "they go on one after the other"


async def test_a_refusal_that_names_no_time_is_over_when_our_own_oldest_leaves_the_window() -> None:
    time = Time()
    mine = limiter(time)
    for _ in range(20):
        mine.made()
        time.now += 0.1
    assert mine.refused(None) == pytest.approx(WINDOW_S - 2.0)
    time.now += 7.5
    assert mine.refused(None) == 1.0, "never less than the guidance's first wait"
    time.now += 60
    assert [mine.refused(None, tries) for tries in (1, 2, 3)] == [1, 2, 4], "nothing is known"


async def test_who_made_hardly_any_asks_again_soon_since_others_used_the_window_up() -> None:
    """A lone rotation, whose only creation so far is its staged value: its consumers wait for the other one."""
    time = Time()
    mine = limiter(time)
    mine.made()
    assert [mine.refused(None, tries) for tries in (1, 2, 3)] == [1, 2, 4]


async def test_what_was_made_is_not_remembered_for_longer_than_a_window() -> None:
    time = Time()
    mine = limiter(time)
    for _ in range(1_000):
        mine.made()
        time.now += 1
    assert len(mine._made) <= WINDOW_S + 1


async def test_a_long_refusal_is_not_waited_for() -> None:
    time = Time()
    mine = limiter(time)
    mine.refused(60)
    with pytest.raises(Throttled) as throttled:
        await mine.wait(0)
    assert throttled.value.retry_after_s == 60


async def test_who_waits_already_waits_longer_when_the_vault_closes() -> None:
    time = Time()
    mine = limiter(time)
    await mine.wait(MAX_CONCURRENT)
    reached: list[float] = []

    async def one() -> None:
        await mine.wait(2)
        reached.append(time.now)

    tasks = await started(one())
    await asyncio.sleep(0)
    mine.refused(5)
    await time.pass_until_done(*tasks)
    assert reached[0] >= 1005


async def test_who_is_kept_waiting_by_one_refusal_after_the_other_goes_away_in_time() -> None:
    time = Time()
    mine = limiter(time)
    mine.refused(9)
    waiting = (await started(mine.wait(2)))[0]
    for _ in range(3):
        for _ in range(5):
            await asyncio.sleep(0)
        time.now += 8.5
        mine.refused(9)
        for first in list(time._sleepers):
            time._sleepers.remove(first)
            first[2].set()
    with pytest.raises(Throttled):
        await asyncio.wait_for(waiting, 1)
    assert time.now <= 1000 + 2 * PATIENCE_S + 9


@pytest.mark.parametrize("tells", [True, False], ids=["told", "not-told"])
@pytest.mark.parametrize("instances", [2, 4, 10])
async def test_instances_that_know_nothing_of_each_other_share_a_vault_without_a_storm(
    instances: int, tells: bool
) -> None:
    """A 429 need not say when to come back: AzureSignTool#219 shows all headers of a real one."""
    time = Time()
    vault = Limited(time, 300, tells=tells)
    paces = [limiter(time) for _ in range(instances)]
    each = 3000 // instances // 8
    await time.pass_until_done(*await started(*(vault.write(one, each) for one in paces for _ in range(8))))
    assert vault.refused <= 0.05 * (5 * len(vault.made)), "a rotation makes as many other calls again, and more"
    assert len(vault.made) / (vault.made[-1] - vault.made[0]) >= 0.8 * 30


async def test_a_refused_writer_slows_down_and_recovers() -> None:
    time = Time()
    mine = limiter(time)

    async def rate() -> float:
        began = time.now
        await time.pass_until_done(*await started(mine.wait(20)))
        return 20 / (time.now - began)

    full = [await rate() for _ in range(3)][-1]
    mine.refused(1)
    time.now += 1.5
    await time.pass_until_done(*await started(mine.wait(20)))
    assert await rate() < 0.9 * full
    time.now += 60
    await time.pass_until_done(*await started(mine.wait(20)))
    assert [await rate() for _ in range(3)][-1] == pytest.approx(full, rel=0.01)


def test_the_speed_never_falls_to_nothing() -> None:
    time = Time()
    mine = limiter(time)
    for _ in range(100):
        mine.refused(1)
        time.now += 1
    assert mine._speed(time.now) >= 0.1 * mine._full
