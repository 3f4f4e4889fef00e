"""What the ledger's files need of the disk: lines that are written whole or not at all, off the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from rotation.errors import Unreachable

P = ParamSpec("P")
R = TypeVar("R")


async def on_disk(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call in a thread; what the disk refuses is `Unreachable`."""
    try:
        return await asyncio.to_thread(call, *args, **kwargs)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
    raise Unreachable(
        f"the ledger's directory can't be used ({reason}): see ROTATION_LEDGER, its rights and free space"
    )


def mend(path: Path) -> None:
    """Take away a last line that a crash left unfinished: it was never answered, and would spoil the next one."""
    if not path.exists():
        path.touch(0o600)
        return
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)


def append_whole(path: Path, data: bytes) -> None:
    """All or none: what a full disk took of the lines is given back. The caller holds whatever keeps others out."""
    before = path.stat().st_size if path.exists() else 0
    try:
        _write(path, data)
    except OSError:
        os.truncate(path, before)
        raise


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
