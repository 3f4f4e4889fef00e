"""What the stack's processes have in common: how one says that it serves, and when it stops."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def stop_asked(*, with_stdin: bool) -> asyncio.Event:
    """Set at SIGTERM or SIGINT; `with_stdin`: at the end of standard input too.

    Whoever starts a process with a pipe as its standard input takes it along that way, even when killed outright.
    """
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    if with_stdin:
        descriptor = sys.stdin.fileno()

        def look() -> None:
            if not os.read(descriptor, 4096):
                loop.remove_reader(descriptor)
                asked.set()

        loop.add_reader(descriptor, look)
    return asked


def write_ready_file(path: Path, content: Mapping[str, Any]) -> None:
    """All at once, and readable by its owner alone: it holds keys."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
        json.dump(content, file, indent=1)
    draft.replace(path)
