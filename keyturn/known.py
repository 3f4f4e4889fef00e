"""What is known of a secret, and what follows from it: read now, after how long, or give up. No I/O and no lock.

`RotatingSecret` and `AsyncRotatingSecret` ask here; they only read, sleep, and see that one of them reads at a time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from keyturn.errors import KeyturnError, NoOther, VaultAway
from keyturn.held import Held, Version
from keyturn.logins import Tries
from keyturn.reference import Reference
from keyturn.timing import AWAY_S, RECHECK_S, REFRESH_S, WAIT_S, pauses, spread


@dataclass(frozen=True, slots=True)
class Good:
    """All values that were good when version `of` was the newest one, the newest first."""

    of: str
    values: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class _InVain:
    """A search that ended without another value. Until `until` its error answers whoever asks for the same."""

    refused: Held | None
    error: KeyturnError
    until: float


class Known:
    """Of one secret. Times are seconds of `monotonic`; wait_s, refresh_s: as `RotatingSecret` has them."""

    def __init__(
        self,
        reference: Reference,
        monotonic: Callable[[], float],
        *,
        wait_s: float = WAIT_S,
        refresh_s: float = REFRESH_S,
    ) -> None:
        self.reference = reference
        self.latest: Version | None = None
        self.good: Good | None = None
        self._monotonic = monotonic
        self._wait_s, self._refresh_s = wait_s, refresh_s
        self._rng = random.Random()  # noqa: S311  spreads reads; nothing secret depends on it
        self._begun = self._taken = 0
        self._look_at = 0.0
        self._in_vain: _InVain | None = None
        self._unknown_at = -RECHECK_S

    def other_than(self, refused: Held | None) -> Version | None:
        """The latest known version, if its value is another one than the refused. None as `refused`: any will do."""
        return self.latest if self.latest is not None and self.latest.value != refused else None

    def search(self, refused: Held | None) -> Search:
        """Begin to look for another value than the refused one.

        Raises:
            NoOther, VaultAway, NotReadable: as the last search for the same, which ended in vain just now.
        """
        last = self._in_vain
        same = last is not None and last.refused == refused
        now = self._monotonic()
        if last is not None and same and now < last.until:
            raise last.error.with_traceback(None)
        # It was waited for already: one look is enough, and the program that tries again and again does the waiting.
        return Search(self, refused, self._monotonic, now + self._wait_s, pauses(self._rng), once=same)

    def tries(self) -> Tries:
        """For one `log_in`."""
        return Tries(self._monotonic, self._wait_s)

    def begin_read(self) -> int:
        """Before each read; its number goes to `took`."""
        self._begun += 1
        return self._begun

    def took(self, read: int, found: Version) -> Version:
        """What a read brought -> the newest that is known: an answer that was slow does not replace a later one."""
        self._look_at = self._monotonic() + spread(self._refresh_s, self._rng)
        if self.latest is None or read > self._taken:
            self._taken, self.latest = read, found
        return self.latest

    def failed(self, error: KeyturnError) -> None:
        """A read failed: it is looked again after a while, and not before the vault said."""
        wait_s = error.retry_after_s if isinstance(error, VaultAway) else None
        self._look_at = self._monotonic() + max(spread(AWAY_S, self._rng), self.later(wait_s or 0.0))

    @property
    def is_old(self) -> bool:
        """Whether it is time to look again, in the background."""
        return self._monotonic() >= self._look_at

    def forked(self) -> None:
        """In a child: workers of one parent, which had read already, don't look again together."""
        self._rng.seed()
        now = self._monotonic()
        self._look_at = now + spread(max(0.0, self._look_at - now), self._rng)

    def may_look_for_unknown(self) -> bool:
        """Whether a value that nobody knows may be looked for now: once a second, whoever presents it."""
        now = self._monotonic()
        if now < self._unknown_at + RECHECK_S:
            return False
        self._unknown_at = now
        return True

    def good_while_away(self, latest: Version) -> Good | None:
        """What is accepted while the vault can't list versions: what was good, and the newest. None: nothing is known.

        Not kept: the versions are listed again as soon as the vault answers.
        """
        if self.good is None:
            return None
        return Good(self.good.of, (latest.value, *(value for value in self.good.values if value != latest.value)))

    def gave_up(self, refused: Held | None, error: KeyturnError, hold_s: float) -> KeyturnError:
        """A search ended in vain."""
        self._in_vain = _InVain(refused, error, self._monotonic() + max(RECHECK_S, hold_s))
        return error

    def found_other(self) -> None:
        """A search found something."""
        self._in_vain = None

    def later(self, seconds: float) -> float:
        """At least so long: clients that were all sent away for the same time don't come back together."""
        return seconds * self._rng.uniform(1.0, 1.2)


class Search:
    """One search for another value than the refused one: what to do next.

    search = known.search(refused)
    while (pause := search.pause()) is not None:
        sleep(pause), read, then search.saw(version) or search.failed(error)
    return search.result()
    """

    def __init__(
        self,
        known: Known,
        refused: Held | None,
        monotonic: Callable[[], float],
        until: float,
        between: Iterator[float],
        *,
        once: bool,
    ) -> None:
        self._known = known
        self._refused, self._once = refused, once
        self._monotonic, self._until, self._between = monotonic, until, between
        self._hold_s = 0.0
        self._error: KeyturnError | None = None
        self._found: Version | None = None
        self._over = False

    def pause(self) -> float | None:
        """Seconds to wait before the next read. None: there is none; ask for the result."""
        if self._over:
            return None
        pause = max(next(self._between), self._hold_s)
        return pause if self._monotonic() + pause <= self._until else None

    def saw(self, latest: Version) -> None:
        """A read brought this version."""
        self._error, self._hold_s = None, 0.0
        if latest.value != self._refused:
            self._found = latest
        self._over = self._found is not None or self._once

    def failed(self, error: KeyturnError) -> None:
        """A read failed. A vault that is away is asked again, when it says; other errors end the search."""
        self._error = error
        wait_s = error.retry_after_s if isinstance(error, VaultAway) else None
        self._hold_s = 0.0 if wait_s is None else self._known.later(wait_s)
        # Nothing is known yet, as at an application's start: then whoever starts it decides whether to try again.
        at_start = self._refused is None and wait_s is None
        self._over = at_start or not isinstance(error, VaultAway)

    def result(self) -> Version:
        """What was found.

        Raises:
            NoOther: the vault has no other. VaultAway, NotReadable: as the last read.
        """
        if self._found is not None:
            self._known.found_other()
            return self._found
        raise self._known.gave_up(self._refused, self._error or self._no_other(), self._hold_s)

    def _no_other(self) -> NoOther:
        return NoOther(
            f"{self._known.reference}: the login was refused, and the vault has no other version than the refused one: "
            "look whether the secret was rotated, or changed by hand where it is used"
        )
