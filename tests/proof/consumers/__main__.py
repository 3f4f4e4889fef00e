"""`python -m tests.proof.consumers`: 16 clients and 300 rotations."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.proof.consumers.trial import Seen, rotate_under_clients
from tests.proof.rows import Row, shown

CLIENTS, SECRETS, ROUNDS = 16, 10, 15


def run(clients: int = CLIENTS, secrets: int = SECRETS, rounds: int = ROUNDS) -> list[Row]:
    """One stack -> the rows of the table; each broken promise is printed in full."""
    with tempfile.TemporaryDirectory() as data:
        seen = rotate_under_clients(Path(data), clients=clients, secrets=secrets, rounds=rounds)
    for line in (*seen.broken, *seen.broken_in_turn):
        sys.stdout.write(f"{line}\n")
    return rows(seen, clients)


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
    options = parser.parse_args()
    sys.exit(shown("Consumers", run(options.clients, options.secrets, options.rounds)))
