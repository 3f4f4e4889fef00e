"""A program as others write one, for `keyturn run`: notes in $REPORT what it was given and which signals it got.

Words on its command line: `ends-at-SIGTERM=CODE` (any signal), `ends-at-once=CODE`, `ends-with-old=CODE` (if the
variable VALUE is that of $OLD), `by-itself=SIGNAL`, `has-child` (which ignores SIGTERM), `leaves-orphan`.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

SIGNALS = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH")


def note(**what: Any) -> None:
    """One line, in one write: several processes may share the report."""
    line = json.dumps({"pid": os.getpid(), "at": time.monotonic(), **what}) + "\n"
    descriptor = os.open(os.environ["REPORT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def files() -> dict[str, str]:
    """What stands in the files that it was given."""
    directory = os.environ.get("KEYTURN_FILES")
    found = [path for path in Path(directory or "/nowhere").rglob("*") if path.is_file()]
    return {str(path.relative_to(str(directory))): path.read_text() for path in found}


def listen(words: dict[str, str]) -> None:
    """Note each signal, and end at those that a word names."""

    def got(number: int, _frame: object) -> None:
        name = signal.Signals(number).name
        note(event=name, files=files())
        if f"ends-at-{name}" in words:
            sys.exit(int(words[f"ends-at-{name}"]))

    for name in SIGNALS:
        if signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            signal.signal(getattr(signal, name), got)


def have_children(words: dict[str, str]) -> None:
    """Those that the words name."""
    if "has-child" in words and os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note(event="child")
        time.sleep(600)
    if "leaves-orphan" in words and os.fork() == 0:
        if os.fork() == 0:
            note(event="orphan")
        os._exit(0)


def main() -> None:
    """Until a signal that ends it."""
    words = dict(word.partition("=")[::2] for word in sys.argv[1:])
    have_children(words)
    listen(words)
    note(
        event="start", group=os.getpgrp(), value=os.environ.get("VALUE"), other=os.environ.get("OTHER"), files=files(),
        directory=os.environ.get("KEYTURN_FILES"),
    )  # fmt: skip
    if "ends-at-once" in words:
        sys.exit(int(words["ends-at-once"]))
    if "ends-with-old" in words and os.environ["VALUE"] == os.environ["OLD"]:
        time.sleep(float(os.environ.get("AFTER_S", "0")))
        sys.exit(int(words["ends-with-old"]))
    if "by-itself" in words:
        number = getattr(signal, words["by-itself"])
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    while True:
        time.sleep(600)  # a signal's handler runs meanwhile


main()
