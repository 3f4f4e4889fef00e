"""A secret that somebody rotates, for asyncio. As `RotatingSecret`, with `await` before each answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from keyturn.errors import KeyturnError, VaultAway
from keyturn.grace import in_grace
from keyturn.held import Held, Version
from keyturn.known import Good, Known, Search
from keyturn.logins import note
from keyturn.reference import parse
from keyturn.timing import REFRESH_S, WAIT_S
from keyturn.vault import AsyncReader, AsyncSdkReader

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

T = TypeVar("T")


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
        self._known = Known(parse(reference), monotonic, wait_s=wait_s, refresh_s=refresh_s)
        self._make_reader = reader or (lambda: AsyncSdkReader(self._known.reference, credential))
        self._sleep = sleep
        self._reader: AsyncReader | None = None
        self._flight: asyncio.Task[Version] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._listing = asyncio.Lock()

    @property
    def reference(self) -> str:
        """Which secret it is: `https://VAULT/secrets/NAME`."""
        return str(self._known.reference)

    def __repr__(self) -> str:
        return f"AsyncRotatingSecret({self.reference!r})"

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
        latest = self._known.latest
        if latest is None:
            return (await self._other(None)).value.reveal()
        self._refresh_if_old()
        return latest.value.reveal()

    async def other_than(self, refused: str) -> str:
        """The value of another version than the one that was refused just now; waited for, up to `wait_s` seconds."""
        held = Held(refused)
        del refused
        return (await self._other(held)).value.reveal()

    async def log_in(self, connect: Callable[[str], Awaitable[T]], refused: Callable[[Exception], bool]) -> T:
        """What `connect` returns for the newest value, or for another one; see `RotatingSecret.log_in`."""
        held, tries = Held(await self.value), self._known.tries()
        while True:
            try:
                return await connect(held.reveal())
            except Exception as error:
                if not refused(error) or not tries.another():
                    raise
                if (other := await self._other_or_note(held, error)) is None:
                    raise
                held = other

    @property
    async def accepted(self) -> tuple[str, ...]:
        """All values that are good now, the newest first: `await secret.accepted`."""
        latest = self._known.latest or await self._other(None)
        self._refresh_if_old()
        good = self._known.good
        if good is None or good.of != latest.id:
            good = await self._read_good()
        return tuple(value.reveal() for value in good.values)

    async def accepts(self, presented: str) -> bool:
        """Whether what a caller presents is good now; see `RotatingSecret.accepts`."""
        held = Held(presented)
        del presented
        if any(Held(good) == held for good in await self.accepted):
            return True
        if not self._known.may_look_for_unknown():
            return False
        try:
            await self._read()
        except KeyturnError:
            return False
        return any(Held(good) == held for good in await self.accepted)

    async def _other_or_note(self, refused: Held, error: Exception) -> Held | None:
        try:
            return (await self._other(refused)).value
        except KeyturnError as why:
            note(error, why)
        return None

    async def _other(self, refused: Held | None) -> Version:
        """Single flight: one task reads until another version is there, the others get what it finds, or its error."""
        while True:
            known = self._known.other_than(refused)
            if known is not None:
                return known
            if self._flight is None or self._flight.done():
                self._flight = asyncio.ensure_future(self._found_by(self._known.search(refused)))
                self._flight.add_done_callback(_seen)
            # Whoever began it may be cancelled; the others still wait for it.
            found = await asyncio.shield(self._flight)
            if found.value != refused:
                return found

    async def _found_by(self, search: Search) -> Version:
        while (pause := search.pause()) is not None:
            await self._sleep(pause)
            try:
                search.saw(await self._read())
            except KeyturnError as error:
                search.failed(error)
        return search.result()

    async def _read(self) -> Version:
        read = self._known.begin_read()
        try:
            return self._known.took(read, await self._opened().latest())
        except KeyturnError as error:
            self._known.failed(error)
            raise

    def _opened(self) -> AsyncReader:
        if self._reader is None:
            self._reader = self._make_reader()
        return self._reader

    async def _read_good(self, *, anew: bool = False) -> Good:
        async with self._listing:
            latest, good = self._known.latest, self._known.good
            assert latest is not None  # noqa: S101  callers have read one
            if good is not None and good.of == latest.id and not anew:
                return good
            try:
                versions, now = await self._opened().listed()
                older = [(await self._opened().version(one)).value for one in in_grace(versions, latest.id, now)]
            except KeyturnError as error:
                served = self._known.good_while_away(latest)
                if served is None or not isinstance(error, VaultAway):
                    raise
                return served
            self._known.good = Good(latest.id, (latest.value, *older))
            return self._known.good

    def _refresh_if_old(self) -> None:
        busy = any(task is not None and not task.done() for task in (self._flight, self._refreshing))
        if self._known.is_old and not busy:
            self._refreshing = asyncio.ensure_future(self._refresh())

    async def _refresh(self) -> None:
        try:
            await self._read()
            if self._known.good is not None:
                await self._read_good(anew=True)
        except KeyturnError:
            return


def _seen(flight: asyncio.Task[Version]) -> None:
    """Nobody may be left who waits for it; then asyncio would log its error as one that nobody looked at."""
    if not flight.cancelled():
        flight.exception()
