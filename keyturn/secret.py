"""A secret that somebody rotates, for threads."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from keyturn.errors import KeyturnError, VaultAway
from keyturn.grace import in_grace
from keyturn.held import Held, Version
from keyturn.known import Good, Known, Search
from keyturn.logins import note
from keyturn.reference import parse
from keyturn.timing import REFRESH_S, WAIT_S
from keyturn.vault import Reader, SdkReader

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

T = TypeVar("T")


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
        self._known = Known(parse(reference), monotonic, wait_s=wait_s, refresh_s=refresh_s)
        self._make_reader = reader or (lambda: SdkReader(self._known.reference, credential))
        self._sleep = sleep
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        """What a fork must not share with its parent: locks that a thread may hold, connections."""
        self._reader: Reader | None = None
        self._lock = threading.Lock()  # over what follows, for moments only
        self._listing = threading.Lock()  # while versions are listed
        self._flight: Future[Version] | None = None  # the search that is under way
        self._refreshing = False

    @property
    def reference(self) -> str:
        """Which secret it is: `https://VAULT/secrets/NAME`."""
        return str(self._known.reference)

    def __repr__(self) -> str:
        return f"RotatingSecret({self.reference!r})"

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
        latest = self._known.latest
        if latest is None:
            return self._other(None).value.reveal()
        self._refresh_if_old()
        return latest.value.reveal()

    def other_than(self, refused: str) -> str:
        """The value of another version than the one that was refused just now; waited for, up to `wait_s` seconds.

        In place a password dies a moment before the vault shows the new one: reading once more is not enough.

        Raises:
            NoOther: the vault has no other. VaultAway, NotReadable: it can't be read.
        """
        held = Held(refused)
        del refused  # no traceback of what follows shows it
        return self._other(held).value.reveal()

    def log_in(self, connect: Callable[[str], T], refused: Callable[[Exception], bool]) -> T:
        """What `connect` returns for the newest value; where that is refused, for another one, waited for.

        Args:
            connect: logs in, and nothing else: it is called again after a refused login, with another value each time.
            refused: whether an error of `connect` says that the server refused this login.

        Raises:
            NotReadable, VaultAway: no value is known. Else what `connect` raised last; if no other value is there, with
            a note that says so.
        """
        held, tries = Held(self.value), self._known.tries()
        while True:
            try:
                return connect(held.reveal())
            except Exception as error:
                if not refused(error) or not tries.another() or (other := self._other_or_note(held, error)) is None:
                    raise
                held = other

    @property
    def accepted(self) -> tuple[str, ...]:
        """All values that are good now, the newest first: it, and those whose grace period is not over.

        For whoever checks API keys, signatures or tokens instead of logging in.
        """
        latest = self._known.latest or self._other(None)
        self._refresh_if_old()
        good = self._known.good
        if good is None or good.of != latest.id:
            good = self._read_good()
        return tuple(value.reveal() for value in good.values)

    def accepts(self, presented: str) -> bool:
        """Whether what a caller presents is good now. An unknown one may be newer than what is known: then it is read.

        At most once a second, so that nobody can have the vault asked at will.
        """
        held = Held(presented)
        del presented
        if any(Held(good) == held for good in self.accepted):
            return True
        with self._lock:
            if not self._known.may_look_for_unknown():
                return False
        try:
            self._read()
        except KeyturnError:
            return False
        return any(Held(good) == held for good in self.accepted)

    def _other_or_note(self, refused: Held, error: Exception) -> Held | None:
        try:
            return self._other(refused).value
        except KeyturnError as why:
            note(error, why)
        return None

    def _other(self, refused: Held | None) -> Version:
        """Single flight: one thread reads till another version is there; the others get what it finds, or its error."""
        while True:
            with self._lock:
                known = self._known.other_than(refused)
                if known is not None:
                    return known
                flight = self._flight
                if flight is None:
                    search = self._known.search(refused)
                    mine = self._flight = Future[Version]()
                    break
            with suppress(CancelledError):  # the thread that looked was interrupted: somebody else has to
                found = flight.result()  # a search is bounded
                if found.value != refused:
                    return found
        try:
            mine.set_result(self._found_by(search))
        except KeyturnError as error:
            mine.set_exception(error)
        finally:
            with self._lock:
                self._flight = None
            mine.cancel()  # does nothing to what has a result or an error
        return mine.result()

    def _found_by(self, search: Search) -> Version:
        while (pause := search.pause()) is not None:
            self._sleep(pause)
            try:
                search.saw(self._read())
            except KeyturnError as error:
                search.failed(error)
        return search.result()

    def _read(self) -> Version:
        with self._lock:
            read = self._known.begin_read()
        try:
            found = self._opened().latest()
        except KeyturnError as error:
            with self._lock:
                self._known.failed(error)
            raise
        with self._lock:
            return self._known.took(read, found)

    def _opened(self) -> Reader:
        with self._lock:
            if self._reader is None:
                self._reader = self._make_reader()
            return self._reader

    def _read_good(self, *, anew: bool = False) -> Good:
        with self._listing:
            latest, good = self._known.latest, self._known.good
            assert latest is not None  # noqa: S101  callers have read one
            if good is not None and good.of == latest.id and not anew:
                return good
            try:
                versions, now = self._opened().listed()
                older = [self._opened().version(one).value for one in in_grace(versions, latest.id, now)]
            except KeyturnError as error:
                served = self._known.good_while_away(latest)
                if served is None or not isinstance(error, VaultAway):
                    raise
                return served
            self._known.good = Good(latest.id, (latest.value, *older))
            return self._known.good

    def _refresh_if_old(self) -> None:
        if not self._known.is_old:
            return
        with self._lock:
            if self._refreshing or self._flight is not None:
                return
            self._refreshing = True
        threading.Thread(target=self._refresh, name="keyturn-refresh", daemon=True).start()

    def _refresh(self) -> None:
        try:
            self._read()
            if self._known.good is not None:
                self._read_good(anew=True)
        except KeyturnError:
            return  # what is known stays; `_read` has set when to look again
        finally:
            self._refreshing = False


_ALL: weakref.WeakSet[RotatingSecret] = weakref.WeakSet()


def _in_child() -> None:
    for secret in list(_ALL):
        secret._begin()  # noqa: SLF001  of this module's own class
        secret._known.forked()  # noqa: SLF001  as above


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
