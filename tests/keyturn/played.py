"""A vault and a clock that a test moves, for the library."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from keyturn.errors import KeyturnError, VaultAway
from keyturn.held import Held, Listed, Version

START = datetime(2026, 1, 1, tzinfo=UTC)


class Time:
    """Monotonic seconds; `sleep` moves them, and whatever was planned for then happens."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._planned: list[tuple[float, Callable[[], None]]] = []
        self._lock = threading.RLock()

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Have something happen so many seconds from now."""
        self._planned.append((self.now + seconds, act))

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            until = self.now + seconds
            for moment, act in sorted(self._planned, key=lambda one: one[0]):
                if moment <= until:
                    self.now = max(self.now, moment)
                    self._planned.remove((moment, act))
                    act()
            self.now = until

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class PlayedVault:
    """One secret. `fails`: what every read raises; `listing_fails`: what a list of versions does."""

    def __init__(self, time: Time, *values: str) -> None:
        self.time = time
        self.reads: list[float] = []
        self.fails: KeyturnError | None = None
        self.listing_fails: KeyturnError | None = None
        self.all: list[tuple[Listed, str]] = []
        for value in values:
            self.write(value)

    def write(self, value: str, **tags: str) -> None:
        created = START + timedelta(seconds=int(self.time.now))
        self.all.append((Listed(f"v{len(self.all)}", enabled=True, created_on=created, tags=tags), value))

    def away(self, retry_after_s: float | None = None) -> None:
        self.fails = VaultAway("the vault answered 503", retry_after_s)

    def latest(self) -> Version:
        self.reads.append(self.time.now)
        if self.fails is not None:
            raise self.fails
        listed, value = self.all[-1]
        return Version(listed.id, Held(value), listed.tags)

    def version(self, version: str) -> Version:
        return next(Version(one.id, Held(value), one.tags) for one, value in self.all if one.id == version)

    def listed(self) -> tuple[list[Listed], datetime]:
        failing = self.fails or self.listing_fails
        if failing is not None:
            raise failing
        return [one for one, _ in self.all][::-1], START + timedelta(seconds=self.time.now)

    def close(self) -> None:
        pass


class AsyncPlayedVault:
    """The same behind `await`."""

    def __init__(self, vault: PlayedVault) -> None:
        self._vault = vault
        self.closed = False

    async def latest(self) -> Version:
        return self._vault.latest()

    async def version(self, version: str) -> Version:
        return self._vault.version(version)

    async def listed(self) -> tuple[list[Listed], datetime]:
        return self._vault.listed()

    async def close(self) -> None:
        self.closed = True
