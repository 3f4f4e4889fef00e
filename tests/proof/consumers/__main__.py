"""`python -m tests.proof.consumers`: 16 clients and 300 rotations, and applications that use the library.

`--library` takes the latter alone.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.proof.consumers.application import CLIENTS as APPLICATION_CLIENTS
from tests.proof.consumers.library import READS_EACH, Met, Part, rotate_under_applications
from tests.proof.consumers.trial import Seen, rotate_under_clients
from tests.proof.rows import Row, shown

CLIENTS, SECRETS, ROUNDS = 16, 10, 15
PARTS = (
    Part("in place", in_place=200),
    Part("two roles in turn", in_turn=100),
    Part("in place, the vault's writes 80 ms slower", in_place=20, gap_ms=80),
    Part("in place, the vault's writes 2 s slower", in_place=8, gap_ms=2000),
)
ONCE = Part("refresh once", in_place=20, gap_ms=200, kinds=("once",))


def run(clients: int = CLIENTS, secrets: int = SECRETS, rounds: int = ROUNDS) -> list[Row]:
    """One stack -> the rows of the table; each broken promise is printed in full."""
    with tempfile.TemporaryDirectory() as data:
        seen = rotate_under_clients(Path(data), clients=clients, secrets=secrets, rounds=rounds)
    for line in (*seen.broken, *seen.broken_in_turn):
        sys.stdout.write(f"{line}\n")
    return [*rows(seen, clients), *run_library()]


def run_library() -> list[Row]:
    """One stack -> a row for each part, and one for the bug on purpose, which must be noticed."""
    with tempfile.TemporaryDirectory() as data:
        *kept, once = rotate_under_applications(Path(data), [*PARTS, ONCE])
    for line in (line for met in kept for line in met.broken):
        sys.stdout.write(f"{line}\n")
    told = f"{once.failed} of {once.operations:,} operations failed in {once.rotations} rotations"
    noticed = Row("bug on purpose: a refused secret is read once more and no longer", 1, int(once.failed == 0), told)
    return [*map(library_row, kept), noticed]


def library_row(met: Met) -> Row:
    """Broken: each operation that failed, each rotation that did, and one where the vault was read too often."""
    too_often = int(met.part.in_place > 0 and not met.part.gap_ms and met.reads > READS_EACH)
    asked = met.part.in_place + met.part.in_turn
    told = f"{asked} rotations, {len(met.part.kinds)} applications with {APPLICATION_CLIENTS} clients each; the longest"
    told += f" operation {met.longest_s:.1f} s; vault reads a rotation and process: {met.reads:.1f}"
    return Row(
        f"through the library no operation fails: {met.part.name}",
        met.operations,
        met.failed + (asked - met.rotations) + too_often,
        told,
    )


def rows(seen: Seen, clients: int) -> list[Row]:
    """In place: refused in the gap alone, which is told. In turn: never."""
    gaps = seen.gaps_ms
    p50, p95, most = (gaps[min(int(len(gaps) * share), len(gaps) - 1)] for share in (0.5, 0.95, 1.0))
    spread = ", ".join(
        f"{name} {ms:.0f} ms ({ms / seen.write_ms:.1f})" for name, ms in (("p50", p50), ("p95", p95), ("max", most))
    )
    told = f"{clients} clients, {seen.rotations} rotations; {seen.refused[0]} logins inside of a gap; the gap: {spread}"
    told += f"; in brackets over one vault write of {seen.write_ms:.0f} ms then"
    return [
        Row("in place: a client is refused in the gap alone", seen.logins[0], len(seen.broken), told),
        Row("two roles in turn: a client is never refused", seen.logins[1], len(seen.broken_in_turn)),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.proof.consumers")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--secrets", type=int, default=SECRETS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--library", action="store_true", help="applications that use the library, alone")
    options = parser.parse_args()
    if options.library:
        sys.exit(shown("Consumers", run_library()))
    sys.exit(shown("Consumers", run(options.clients, options.secrets, options.rounds)))
