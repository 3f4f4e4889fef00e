"""`python -m tests.proof.keyturn_run`: 200 rotations under 8 programs."""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from tests.proof.keyturn_run.trial import Seen, rotate_under_programs
from tests.proof.rows import Row, shown

SECRETS, ROUNDS, POLL_S = 4, 25, 1.0


def run(secrets: int = SECRETS, rounds: int = ROUNDS, poll_s: float = POLL_S) -> list[Row]:
    """One stack -> the rows of the table; each broken promise is printed in full."""
    with tempfile.TemporaryDirectory() as data:
        seen = rotate_under_programs(Path(data), secrets=secrets, rounds=rounds, poll_s=poll_s)
    for line in seen.broken:
        sys.stdout.write(f"{line}\n")
    return rows(seen, poll_s)


def rows(seen: Seen, poll_s: float) -> list[Row]:
    """In turn: never refused. In place: out for a while, which is told, and then let in again."""
    told = f"{seen.rotations['in turn']} rotations; {seen.busy:.1f} of a processor's load"
    broken = seen.refused["in turn"] + len(seen.broken)
    found = [Row("keyturn run, two roles in turn, SIGHUP: no login fails", seen.logins["in turn"], broken, told)]
    for way in ("signal", "restart"):
        outages = seen.outages_s[way] or [0.0]
        told = f"poll {poll_s:g} s; {seen.rotations[way]} rotations, {seen.refused[way]} logins refused; "
        told += f"outage: middle {statistics.median(outages):.1f} s, longest {max(outages):.1f} s"
        promise = f"keyturn run, in place, {way}: let in again by itself"
        found.append(Row(promise, seen.rotations[way], seen.locked_out[way], told))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.proof.keyturn_run")
    parser.add_argument("--secrets", type=int, default=SECRETS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--poll", type=float, default=POLL_S)
    options = parser.parse_args()
    sys.exit(shown("keyturn run", run(options.secrets, options.rounds, options.poll)))
