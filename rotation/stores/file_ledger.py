"""The ledger of one machine: a directory of files, with leases that behave as those of blob storage do.

`DIR/<vault>/<secret>.jsonl` is the history, `….lease` who may write to it. flock guards each look at the lease for its
moment only; the lease itself is what the file says, so that it runs out by time as a blob's does. One thing is kinder
here: the lease of a process that is gone is free at once, so that a killed app goes on where it was.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from rotation.errors import Busy, LeaseLost, Unreachable
from rotation.ledger.bindings import FOLDER, Binding, Bindings, vault_folder
from rotation.ledger.records import Record, parse_lines
from rotation.model import SecretRef
from rotation.ports import LEASE_S, LedgerEntry
from rotation.stores import file_bindings
from rotation.stores.disk import append_whole, mend, on_disk


@dataclass(frozen=True, slots=True)
class _Held:
    """What a lease file says. `until` is by the machine's monotonic clock, which `boot` names."""

    holder: str
    pid: int
    until: float
    boot: str


class FileLedger:
    """Leases and histories in files. Every call leaves the event loop for the time that it touches the disk."""

    def __init__(
        self, directory: Path, *, lease_s: float = LEASE_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._lease_s = lease_s
        self._monotonic = monotonic

    async def acquire(self, ref: SecretRef, *, create: bool) -> FileLease | None:
        path = self._path(ref)
        asked = self._monotonic()
        held = _Held(uuid.uuid4().hex, os.getpid(), asked + self._lease_s, _boot())
        text = await on_disk(self._acquire, path, held, create)
        if text is None:
            return None
        return FileLease(path, held, parse_lines(text), self._lease_s, self._monotonic)

    async def read(self, ref: SecretRef) -> Sequence[Record]:
        return parse_lines(await on_disk(_text, self._path(ref)))

    async def entries(self, vault: str) -> AsyncIterator[LedgerEntry]:
        for entry in await on_disk(self._entries, vault):
            yield entry

    async def bindings(self, credential: str) -> Bindings:
        return await on_disk(file_bindings.read, self._owners(credential))

    async def bind(self, credential: str, position: int, binding: Binding) -> None:
        await on_disk(file_bindings.append, self._owners(credential), position, binding)

    def _owners(self, credential: str) -> Path:
        return self._directory / FOLDER / f"{quote(credential, safe='')}.jsonl"

    def _folder(self, vault: str) -> Path:
        return self._directory / quote(vault_folder(vault), safe="")

    def _path(self, ref: SecretRef) -> Path:
        # Key Vault's names hold letters, digits and dashes; whatever else comes is made harmless.
        return self._folder(ref.vault) / f"{quote(ref.name.lower(), safe='')}.jsonl"

    def _acquire(self, path: Path, held: _Held, create: bool) -> str | None:  # noqa: FBT001  called by position
        if not path.exists():
            if not create:
                return None
            path.parent.mkdir(parents=True, exist_ok=True)
        with _guarded(path) as lease:
            now = lease.read()
            if now is not None and not _is_over(now, self._monotonic()):
                raise Busy(
                    "another run works on this secret: try again in a moment",
                    retry_after_s=max(1, round(now.until - self._monotonic())),
                )
            mend(path)
            lease.write(held)
        return _text(path)

    def _entries(self, vault: str) -> list[LedgerEntry]:
        directory = self._folder(vault)
        names = {path.name for path in directory.iterdir()} if directory.exists() else set()
        found = []
        for name in sorted(name for name in names if name.endswith(".jsonl")):
            path = directory / name
            status = path.stat()
            held = None
            if f"{path.stem}.lease" in names:  # only looked at: none is made for a secret that nobody works on
                with _guarded(path) as lease:
                    held = lease.read()
            interrupted = held is not None and _is_over(held, self._monotonic())
            found.append(LedgerEntry(path.stem, f"{status.st_mtime_ns}-{status.st_size}", interrupted))
        return found


class FileLease:
    """See `rotation.ports.Lease`."""

    def __init__(
        self, path: Path, held: _Held, records: Sequence[Record], lease_s: float, monotonic: Callable[[], float]
    ) -> None:
        self._path = path
        self._held = held
        self._records = list(records)
        self._lease_s = lease_s
        self._monotonic = monotonic

    @property
    def records(self) -> Sequence[Record]:
        return self._records

    def remaining(self) -> float:
        return self._held.until - self._monotonic()

    async def renew(self) -> None:
        asked = self._monotonic()
        renewed = _Held(self._held.holder, self._held.pid, asked + self._lease_s, self._held.boot)
        await on_disk(self._replace, renewed)
        self._held = renewed

    async def append(self, *records: Record) -> None:
        await on_disk(self._append, "".join(record.to_line() for record in records))
        self._records.extend(records)

    async def release(self) -> None:
        try:
            await on_disk(self._replace, None)
        except (LeaseLost, Unreachable):
            return

    def _replace(self, held: _Held | None) -> None:
        with _guarded(self._path) as lease:
            self._still_ours(lease)
            lease.write(held)

    def _append(self, lines: str) -> None:
        with _guarded(self._path) as lease:
            self._still_ours(lease)
            if self.remaining() <= 0:
                raise LeaseLost("the lease ran out; nothing was written, and the next run goes on from here")
            append_whole(self._path, lines.encode())

    def _still_ours(self, lease: _LeaseFile) -> None:
        held = lease.read()
        if held is None or held.holder != self._held.holder:
            raise LeaseLost("another run took the lease; nothing was written, and it goes on from here")


class _LeaseFile:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self) -> _Held | None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        text = os.read(self._descriptor, 4096)
        try:
            return _Held(**json.loads(text)) if text else None
        except (ValueError, TypeError):
            return None  # torn by a crash while it was written: nobody got it

    def write(self, held: _Held | None) -> None:
        os.ftruncate(self._descriptor, 0)
        if held is not None:
            os.pwrite(self._descriptor, json.dumps(asdict(held)).encode(), 0)


@contextmanager
def _guarded(path: Path) -> Iterator[_LeaseFile]:
    descriptor = os.open(path.with_suffix(".lease"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield _LeaseFile(descriptor)
    finally:
        os.close(descriptor)


def _is_over(held: _Held, now: float) -> bool:
    return held.until <= now or held.boot != _boot() or not _alive(held.pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _boot() -> str:
    """What tells one run of the machine, and so one life of its monotonic clock, from the next."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        # Elsewhere: the moment of boot, to ten seconds. A change of the wall clock frees a lease too early at worst
        # when nobody of this machine's boot could hold it; the holder's process is looked at as well.
        return str(round((time.time() - time.monotonic()) / 10))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
