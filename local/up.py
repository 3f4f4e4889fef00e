"""`python -m local up`: the stack, left running."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local.process import write_ready_file
from local.stack import Stack

LOOKS_EVERY_S = 0.2


def up(stack: Stack, ready_file: Path | None) -> int:
    """Run until SIGTERM or SIGINT -> 0; 1 where a part ended by itself."""
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)  # a stale one would name processes that are gone
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    with stack:
        _tell(stack)
        if ready_file is not None:
            write_ready_file(ready_file, stack.ready)
        problem = None
        while problem is None and not asked.wait(LOOKS_EVERY_S):
            problem = stack.ended()
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    if problem:
        print(f"up: {problem}; started again with the same --data, the stack goes on where it stood")
    return 1 if problem else 0


def _tell(stack: Stack) -> None:
    ready = stack.ready
    server = ready["postgres"]
    table = Table.grid(padding=(0, 2))
    table.add_row("app", ready["functions"])
    for name, url in ready["vaults"].items():
        table.add_row(name, url)
    table.add_row("PostgreSQL", f"{server['host']}:{server['port']}, administrator {server['admin_user']}")
    table.add_row("kept in", str(stack.data))
    table.add_row("function key", f"in {stack.data / 'function.key'}")
    console = Console(soft_wrap=True)
    console.print("[bold]Keyturn is up.[/bold] Ctrl-C stops it.")
    console.print(table)
    vault = next(iter(ready["vaults"]))
    console.print(
        f"\nthe secrets of {vault} that it looks after:\n"
        f'  curl -H "x-functions-key: $(cat {stack.data / "function.key"})" '
        f"{ready['functions']}/api/vaults/{vault}/secrets",
        highlight=False,
    )
