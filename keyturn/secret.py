"""A secret that somebody rotates, for threads."""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from keyturn.errors import KeyturnError, NoOther, VaultAway
from keyturn.grace import in_grace
from keyturn.held import Held, Version
from keyturn.reference import parse
from keyturn.timing import AWAY_S, RECHECK_S, REFRESH_S, WAIT_S, pauses, spread
from keyturn.vault import Reader, SdkReader

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


class RotatingSecret:
    """One secret of a vault; shared by all threads of a process, and safe to use in its forks.

    It is read when a value is first asked for. After that what is known is handed out at once, and looked at again in
    the background every `refresh_s` seconds or so while it is in use; while the vault is away it stays as it is.
    However many threads ask, one reads.

    Args:
        reference: `https://VAULT/secrets/NAME`, without a version.
        credential: as the Azure SDK has them; `DefaultAzureCredential()` by default.
        wait_s: for how long `other_than` waits at the most.
        refresh_s: after how long a known value is looked at again, give or take a fifth.

    Raises:
        WrongReference: the text names no secret.
    """

    def __init__(
        self,
        reference: str,
        credential: TokenCredential | None = None,
        *,
        wait_s: float = WAIT_S,
        refresh_s: float = REFRESH_S,
        reader: Callable[[], Reader] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._reference = parse(reference)
        self._make_reader = reader or (lambda: SdkReader(self._reference, credential))
        self._wait_s, self._refresh_s = wait_s, refresh_s
        self._monotonic, self._sleep = monotonic, sleep
        self._rng = random.Random()  # noqa: S311  spreads reads; nothing secret depends on it
        self._known: Version | None = None
        self._good: tuple[str, tuple[Held, ...]] | None = None  # of which newest version, and those that are good
        self._look_at = 0.0
        self._in_vain: tuple[Held, float] | None = None  # what was waited for in vain, and when it may be read again
        self._unknown_at = -RECHECK_S  # when an unknown value was last looked for
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        """What a fork must not share with its parent: locks that a thread may hold, connections."""
        self._reader: Reader | None = None
        self._changed = threading.Condition()
        self._reading = False
        self._refreshing = False

    def __repr__(self) -> str:
        return f"RotatingSecret({str(self._reference)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections; a secret that lives as long as its process need not be closed."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    @property
    def value(self) -> str:
        """The newest value that is known.

        Raises:
            NotReadable, VaultAway: none is known yet, and it can't be read now.
        """
        known = self._known
        if known is None:
            return self._other(None).value.reveal()
        self._refresh_if_old()
        return known.value.reveal()

    def other_than(self, refused: str) -> str:
        """The value of another version than the one that was refused just now; waited for, up to `wait_s` seconds.

        In place a password dies a moment before the vault shows the new one: reading once more is not enough.

        Raises:
            NoOther: the vault has no other. VaultAway, NotReadable: it can't be read.
        """
        held = Held(refused)
        del refused  # no traceback of what follows shows it
        return self._other(held).value.reveal()

    @property
    def accepted(self) -> tuple[str, ...]:
        """All values that are good now, the newest first: it, and those whose grace period is not over.

        For whoever checks API keys, signatures or tokens instead of logging in.
        """
        known = self._known or self._other(None)
        self._refresh_if_old()
        good = self._good
        if good is None or good[0] != known.id:
            good = self._read_good()
        return tuple(value.reveal() for value in good[1])

    def accepts(self, presented: str) -> bool:
        """Whether what a caller presents is good now. An unknown one may be newer than what is known: then it is read.

        At most once a second, so that nobody can have the vault asked at will.
        """
        held = Held(presented)
        del presented
        if any(Held(good) == held for good in self.accepted):
            return True
        with self._changed:
            if self._monotonic() < self._unknown_at + RECHECK_S:
                return False
            self._unknown_at = self._monotonic()
        try:
            self._read()
        except KeyturnError:
            return False
        return any(Held(good) == held for good in self.accepted)

    def _other(self, refused: Held | None) -> Version:
        """Single flight: one thread reads until another version is there, the others wait for what it finds."""
        until = self._monotonic() + self._wait_s
        with self._changed:
            while True:
                known = self._known
                if known is not None and known.value != refused:
                    return known
                if not self._reading:
                    self._reading = True
                    break
                self._changed.wait(max(0.0, until - self._monotonic()) or 0.001)
                if self._monotonic() >= until and self._reading:
                    raise NoOther(self._no_other())
        try:
            return self._wait_for_other(refused, until)
        finally:
            with self._changed:
                self._reading = False
                self._changed.notify_all()

    def _wait_for_other(self, refused: Held | None, until: float) -> Version:
        failed: KeyturnError | None = None
        once = self._waited_in_vain(refused)
        for pause in pauses(self._rng):
            if self._monotonic() + pause > until:
                break
            self._sleep(pause)
            try:
                found = self._read()
            except VaultAway as away:
                failed = away
                if refused is None and away.retry_after_s is None:
                    break  # nothing is known at the start: whoever starts the app decides whether to try again
                if self._monotonic() + (away.retry_after_s or 0.0) > until:
                    break
                self._sleep(away.retry_after_s or 0.0)
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

    def _waited_in_vain(self, refused: Held | None) -> bool:
        """Whether this one was waited for already: then one look is enough, and none within a second of the last."""
        if refused is None or self._in_vain is None or self._in_vain[0] != refused:
            return False
        if self._monotonic() < self._in_vain[1]:
            raise NoOther(self._no_other())
        return True

    def _no_other(self) -> str:
        return (
            f"{self._reference}: the login was refused, and the vault has no other version than the refused one: "
            "look whether the secret was rotated, or changed by hand where it is used"
        )

    def _read(self) -> Version:
        if self._reader is None:
            self._reader = self._make_reader()
        try:
            found = self._reader.latest()
        except KeyturnError:
            self._look_at = self._monotonic() + spread(AWAY_S, self._rng)
            raise
        self._look_at = self._monotonic() + spread(self._refresh_s, self._rng)
        self._known = found
        return found

    def _read_good(self) -> tuple[str, tuple[Held, ...]]:
        with self._changed:
            known = self._known
            assert known is not None  # noqa: S101  callers have read one
            if self._good is not None and self._good[0] == known.id:
                return self._good
            if self._reader is None:
                self._reader = self._make_reader()
            versions, now = self._reader.listed()
            older = [self._reader.version(one).value for one in in_grace(versions, known.id, now)]
            self._good = (known.id, (known.value, *older))
            return self._good

    def _refresh_if_old(self) -> None:
        if self._monotonic() < self._look_at:
            return
        with self._changed:
            if self._refreshing or self._reading:
                return
            self._refreshing = True
        threading.Thread(target=self._refresh, name="keyturn-refresh", daemon=True).start()

    def _refresh(self) -> None:
        try:
            self._read()
            if self._good is not None:
                self._good = None
                self._read_good()
        except KeyturnError:
            return  # what is known stays; `_read` has set when to look again
        finally:
            self._refreshing = False


_ALL: weakref.WeakSet[RotatingSecret] = weakref.WeakSet()


def _in_child() -> None:
    for secret in list(_ALL):
        secret._begin()  # noqa: SLF001  of this module's own class


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
