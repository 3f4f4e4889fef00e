"""What a client's run came to, and how it is run."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_COUNT = re.compile(r"^[\w-]+: (\d+) operations, (\d+) failed$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Told:
    """operations: that were tried. failed: how many of them. lines: one about each that failed, and no value."""

    client: str
    operations: int
    failed: int
    lines: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """A client that did nothing proves nothing."""
        return self.operations > 0 and self.failed == 0

    def printed(self) -> int:
        """Print it -> the exit code."""
        print(*self.lines, self, sep="\n", flush=True)
        return 0 if self.passed else 1

    def __str__(self) -> str:
        return f"{self.client}: {self.operations} operations, {self.failed} failed"

    def __add__(self, other: Self) -> "Told":
        return Told(
            self.client, self.operations + other.operations, self.failed + other.failed, self.lines + other.lines
        )


def counted(client: str, command: Sequence[str | Path], environment: Mapping[str, str], within_s: float) -> Told:
    """Run a program that prints `not ok WHAT` for what fails and a count at the end."""
    ran = subprocess.run(
        [str(part) for part in command], env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=within_s, check=False,
    )  # fmt: skip
    count = _COUNT.search(ran.stdout)
    if count is None:
        return Told(client, 0, 1, (f"it came to no end: {(ran.stderr or ran.stdout).strip()[-2000:]}",))
    lines = tuple(line for line in ran.stdout.splitlines() if line.startswith("not ok"))
    return Told(client, int(count[1]), int(count[2]), lines)
