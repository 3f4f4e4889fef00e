"""Secrets as files: for their owner alone, in memory where there is such a place, and gone at the end.

A directory is locked by an open descriptor that the program inherits. After a kill -9 the files stay for as long as
the program lives; the next `keyturn run` of the same user removes those that nobody holds any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  a directory of our own is made in it
_MOUNTS = Path("/proc/self/mounts")
_PREFIX = "keyturn-run-"
_IN_MEMORY = ("tmpfs", "ramfs")


class CantWrite(Exception):
    """One line that says why."""


class Files:
    """A private directory, made at `with` if there are names, and removed after it.

    names: of the files: paths below it, or absolute ones.
    directory: its path. in_memory: whether it is on a file system that never writes to a disk of its own.

    Raises:
        CantWrite: at `with` and `write`.
    """

    def __init__(self, names: Iterable[str], environ: Mapping[str, str]) -> None:
        self._names = tuple(names)
        base, self.in_memory = _base(environ)
        self._base = base
        self.directory = base  # until `with`
        self._lock = -1

    def __enter__(self) -> Self:
        if not self._names:
            return self
        remove_abandoned(self._base)
        try:
            fresh = Path(tempfile.mkdtemp(prefix=f".new-{_PREFIX}", dir=self._base))
            self._lock = _locked(fresh)
            # Locked before it has the name by which others look for abandoned ones.
            self.directory = fresh.rename(fresh.with_name(fresh.name.removeprefix(".new-")))
        except OSError as error:
            raise CantWrite(f"--file: no directory can be made in {self._base}: {error.strerror}") from None
        os.set_inheritable(self._lock, True)  # noqa: FBT003  its signature
        return self

    def path(self, name: str) -> Path:
        """Where the file of this name is: an absolute path is left as it is."""
        return self.directory / name

    def write(self, values: Mapping[str, str]) -> None:
        """By name. Each is replaced in one step: a reader sees the old value or the new one, whole."""
        for name, value in values.items():
            path = self.path(name)
            try:
                if not Path(name).is_absolute():
                    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                _replace(path, value)
            except OSError as error:
                raise CantWrite(f"--file {name}: can't be written: {error.strerror}") from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._names:
            return
        for name in self._names:
            with contextlib.suppress(OSError):
                self.path(name).unlink()
        shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self._lock)


def _replace(path: Path, value: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(value.encode("utf-8", "surrogatepass"))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def remove_abandoned(base: Path) -> None:
    """Directories of ours that no process holds any more; what can't be looked at is left."""
    for directory in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            descriptor = _locked(directory)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    shutil.rmtree(directory)
            finally:
                os.close(descriptor)


def _locked(directory: Path) -> int:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _base(environ: Mapping[str, str]) -> tuple[Path, bool]:
    """The first of the usual places that is in memory, else the one for temporary files, and whether it is."""
    runtime = environ.get("XDG_RUNTIME_DIR")
    for place in (SHARED_MEMORY, *([Path(runtime)] if runtime else [])):
        if os.access(place, os.W_OK | os.X_OK) and _is_in_memory(place):
            return place, True
    place = Path(tempfile.gettempdir())
    return place, _is_in_memory(place)


def _is_in_memory(place: Path) -> bool:
    try:
        mounts = [line.split(" ") for line in _MOUNTS.read_text().splitlines()]
    except OSError:
        return False  # not Linux
    place = place.resolve()
    above = [(mount, kind) for _, mount, kind, *_ in mounts if place.is_relative_to(mount)]
    return bool(above) and max(reversed(above), key=lambda one: len(one[0]))[1] in _IN_MEMORY
