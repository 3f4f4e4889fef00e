"""`python -m local up`: the stack, left running."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from rich.console import Console

from local.process import write_ready_file
from local.stack import Stack

LOOKS_EVERY_S = 0.2


def up(stack: Stack, ready_file: Path | None) -> int:
    """Run until SIGTERM or SIGINT -> 0; 1 where a part ended by itself.

    ready_file: where addresses and keys are written as JSON while it runs; None: `ready.json` in the stack's folder.
    """
    ready_file = ready_file or stack.data / "ready.json"
    ready_file.unlink(missing_ok=True)  # a stale one would name processes that are gone
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    with stack:
        write_ready_file(ready_file, stack.ready)
        _tell(stack, ready_file)
        problem = None
        while problem is None and not asked.wait(LOOKS_EVERY_S):
            problem = stack.ended()
    ready_file.unlink(missing_ok=True)
    if problem:
        print(f"up: {problem}; started again with the same --data, the stack goes on where it was")
    return 1 if problem else 0


def _tell(stack: Stack, ready_file: Path) -> None:
    ready = stack.ready
    server = ready["postgres"]
    key = stack.data / "function.key"
    rows = {
        "app": ready["functions"],
        **ready["vaults"],
        "PostgreSQL": f"{server['host']}:{server['port']}, administrator {server['admin_user']}",
        "kept in": str(stack.data),
        "function key": f"in {key}",
        "all keys": f"in {ready_file}, the administrator's password too",
    }
    width = max(map(len, rows))
    vault = next(iter(ready["vaults"]))
    console = Console(soft_wrap=True, highlight=False)  # a path or a command is in one line, to be copied
    console.print("[bold]Keyturn is up.[/bold] Ctrl-C stops it.")
    for name, text in rows.items():
        console.print(f"{name:{width}}  {text}", markup=False)
    console.print(f"\nthe secrets of {vault} that it looks after:")
    console.print(
        f'  curl -H "x-functions-key: $(cat {key})" {ready["functions"]}/api/vaults/{vault}/secrets', markup=False
    )
    console.print('\nto put a secret into it: docs/using.md, "On this machine, without Azure"')
