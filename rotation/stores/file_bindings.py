"""Who owns a credential, on one machine: a file for each, `_bindings/<credential>.jsonl`, without a lease.

flock keeps processes apart for the moment of an append; readers need none, since a line that is being written is not
one yet. No file is ever taken away, so that all who wait for the lock wait for the same one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rotation.errors import Overtaken
from rotation.ledger.bindings import Binding, Bindings, parse_bindings
from rotation.stores.disk import append_whole, mend


def read(path: Path) -> Bindings:
    """See `rotation.ports.Ledger.bindings`. The position is where the last whole line ends, in bytes."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    whole = data[: data.rfind(b"\n") + 1]
    return Bindings(parse_bindings(whole), len(whole))


def append(path: Path, position: int, binding: Binding) -> None:
    """See `rotation.ports.Ledger.bind`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        mend(path)
        if path.stat().st_size != position:
            raise Overtaken("another run wrote who owns this credential; nothing was written, and it is looked at anew")
        append_whole(path, binding.to_line().encode())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
