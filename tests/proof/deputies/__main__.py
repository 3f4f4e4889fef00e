"""`python -m tests.proof.deputies`: whoever may write a secret, an event or a message points the identity elsewhere."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.proof.deputies.seen import Seen
from tests.proof.rows import Row, shown

ROOT = Path(__file__).parents[3]
WITHIN_S = 240


def tried(*options: str) -> list[Seen]:
    """All trials, in a process of their own: an audit hook can't be taken away again.

    Raises:
        RuntimeError: they came to no end; the message is what they wrote.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = subprocess.run(
            [sys.executable, "-m", "tests.proof.deputies.trials", folder, *options],
            cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False,
        )  # fmt: skip
    if told.returncode != 0:
        raise RuntimeError(told.stderr)
    return [Seen(**json.loads(line)) for line in told.stdout.splitlines()]


def rows(seen: Sequence[Seen]) -> list[Row]:
    """Each trial that was not withstood is printed."""
    for one in seen:
        if one.broken:
            sys.stdout.write(f"{one}\n")
    kinds = {kind: [one for one in seen if one.kind == kind] for kind in ("denied", "vault", "planted", "control")}
    by_rotator = {one.rotator for one in kinds["denied"]}
    controls = kinds["control"]
    reached = sum(one.permitted for one in controls)
    promises = {
        "denied": ("another host, role, resource, port or socket path: denied, and nothing was opened",
                   f"{len(by_rotator)} names of rotators, each with 3 kinds of administrator; 0 tokens asked for"),
        "vault": ("another vault, a name that climbs, a caller without the role: refused, and nothing was opened",
                  "by events, messages and HTTP"),
        "planted": ("an older or staged value that leads elsewhere is never tried",
                    f"{sum(one.permitted for one in kinds['planted']):,} logins at the permitted server meanwhile"),
        "control": ("what is permitted is connected to, and seen", f"{reached} connections seen"),
    }  # fmt: skip
    return [
        Row(promise, len(kinds[kind]), sum(one.broken for one in kinds[kind]), note)
        for kind, (promise, note) in promises.items()
    ]


def run() -> list[Row]:
    """The lane of the proof."""
    return rows(tried())


if __name__ == "__main__":
    sys.exit(shown("Confused deputies", run()))
