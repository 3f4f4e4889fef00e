"""A secret that somebody rotates, for asyncio. As `RotatingSecret`, with `await` before each answer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from keyturn.errors import KeyturnError, NoOther, VaultAway
from keyturn.grace import in_grace
from keyturn.held import Held, Version
from keyturn.reference import parse
from keyturn.timing import AWAY_S, RECHECK_S, REFRESH_S, WAIT_S, pauses, spread
from keyturn.vault import AsyncReader, AsyncSdkReader

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential


class AsyncRotatingSecret:
    """One secret of a vault, shared by all tasks of one event loop. `async with` it, or `await close()` at the end.

        password = AsyncRotatingSecret("https://kv-orders.vault.azure.net/secrets/orders-db")
        connect(await password.value)

    Args, and what is raised: as `RotatingSecret`.
    """

    def __init__(
        self,
        reference: str,
        credential: AsyncTokenCredential | None = None,
        *,
        wait_s: float = WAIT_S,
        refresh_s: float = REFRESH_S,
        reader: Callable[[], AsyncReader] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reference = parse(reference)
        self._make_reader = reader or (lambda: AsyncSdkReader(self._reference, credential))
        self._wait_s, self._refresh_s = wait_s, refresh_s
        self._monotonic, self._sleep = monotonic, sleep
        self._rng = random.Random()  # noqa: S311  spreads reads; nothing secret depends on it
        self._known: Version | None = None
        self._good: tuple[str, tuple[Held, ...]] | None = None
        self._look_at = 0.0
        self._in_vain: tuple[Held, float] | None = None
        self._unknown_at = -RECHECK_S
        self._reader: AsyncReader | None = None
        self._flight: asyncio.Task[Version] | None = None
        self._refreshing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"AsyncRotatingSecret({str(self._reference)!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End what is under way, and the connections."""
        for task in (self._flight, self._refreshing):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._reader is not None:
            await self._reader.close()
            self._reader = None

    @property
    async def value(self) -> str:
        """The newest value that is known: `await secret.value`."""
        known = self._known
        if known is None:
            return (await self._other(None)).value.reveal()
        self._refresh_if_old()
        return known.value.reveal()

    async def other_than(self, refused: str) -> str:
        """The value of another version than the one that was refused just now; waited for, up to `wait_s` seconds."""
        held = Held(refused)
        del refused
        return (await self._other(held)).value.reveal()

    @property
    async def accepted(self) -> tuple[str, ...]:
        """All values that are good now, the newest first: `await secret.accepted`."""
        known = self._known or await self._other(None)
        self._refresh_if_old()
        good = self._good
        if good is None or good[0] != known.id:
            good = await self._read_good()
        return tuple(value.reveal() for value in good[1])

    async def accepts(self, presented: str) -> bool:
        """Whether what a caller presents is good now; see `RotatingSecret.accepts`."""
        held = Held(presented)
        del presented
        if any(Held(good) == held for good in await self.accepted):
            return True
        if self._monotonic() < self._unknown_at + RECHECK_S:
            return False
        self._unknown_at = self._monotonic()
        try:
            await self._read()
        except KeyturnError:
            return False
        return any(Held(good) == held for good in await self.accepted)

    async def _other(self, refused: Held | None) -> Version:
        """Single flight: one task reads until another version is there, the others wait for what it finds."""
        while True:
            known = self._known
            if known is not None and known.value != refused:
                return known
            if self._flight is None or self._flight.done():
                self._check_waited_in_vain(refused)
                self._flight = asyncio.ensure_future(self._wait_for_other(refused))
            # Whoever began it may be cancelled; the others still wait for it.
            found = await asyncio.shield(self._flight)
            if found.value != refused:
                return found

    async def _wait_for_other(self, refused: Held | None) -> Version:
        failed: KeyturnError | None = None
        until = self._monotonic() + self._wait_s
        once = self._in_vain is not None and self._in_vain[0] == refused
        for pause in pauses(self._rng):
            if self._monotonic() + pause > until:
                break
            await self._sleep(pause)
            try:
                found = await self._read()
            except VaultAway as away:
                failed = away
                if refused is None and away.retry_after_s is None:
                    break
                if self._monotonic() + (away.retry_after_s or 0.0) > until:
                    break
                await self._sleep(away.retry_after_s or 0.0)
                continue
            if found.value != refused:
                self._in_vain = None
                return found
            failed = None
            if once:
                break
        if refused is not None:
            self._in_vain = (refused, self._monotonic() + RECHECK_S)
        raise failed or NoOther(self._no_other())

    def _check_waited_in_vain(self, refused: Held | None) -> None:
        in_vain = self._in_vain
        if refused is not None and in_vain is not None and in_vain[0] == refused and self._monotonic() < in_vain[1]:
            raise NoOther(self._no_other())

    def _no_other(self) -> str:
        return (
            f"{self._reference}: the login was refused, and the vault has no other version than the refused one: "
            "look whether the secret was rotated, or changed by hand where it is used"
        )

    async def _read(self) -> Version:
        if self._reader is None:
            self._reader = self._make_reader()
        try:
            found = await self._reader.latest()
        except KeyturnError:
            self._look_at = self._monotonic() + spread(AWAY_S, self._rng)
            raise
        self._look_at = self._monotonic() + spread(self._refresh_s, self._rng)
        self._known = found
        return found

    async def _read_good(self) -> tuple[str, tuple[Held, ...]]:
        known = self._known
        assert known is not None  # noqa: S101  callers have read one
        if self._reader is None:
            self._reader = self._make_reader()
        versions, now = await self._reader.listed()
        older = [(await self._reader.version(one)).value for one in in_grace(versions, known.id, now)]
        self._good = (known.id, (known.value, *older))
        return self._good

    def _refresh_if_old(self) -> None:
        busy = any(task is not None and not task.done() for task in (self._flight, self._refreshing))
        if self._monotonic() >= self._look_at and not busy:
            self._refreshing = asyncio.ensure_future(self._refresh())

    async def _refresh(self) -> None:
        try:
            await self._read()
            if self._good is not None:
                await self._read_good()
        except KeyturnError:
            return
