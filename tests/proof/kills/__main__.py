"""`python -m tests.proof.kills`: at least 300 kills over all rotators, in lanes side by side."""

import argparse
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.proof.kills.lane import Tally, kill
from tests.proof.kills.lockouts import BACK_S, LONGEST_S, LockOut, measured
from tests.proof.rows import Row, shown

KILLS = 300
LANES = 3  # on two cores: while one waits for a part to come up, the others work


def run(kills: int = KILLS, seed: int = 1) -> list[Row]:
    """Some stacks, which share the kills -> the rows of the table."""
    with tempfile.TemporaryDirectory() as data, ProcessPoolExecutor(LANES + 1, get_context("spawn")) as pool:
        folders = [Path(data) / str(number) for number in range(LANES)]
        waiting = pool.submit(measured)  # for a minute, mostly
        lanes = [pool.submit(kill, folder, seed + number, -(-kills // LANES)) for number, folder in enumerate(folders)]
        tallies = [lane.result() for lane in lanes]
        return [*rows(tallies), locked_out(waiting.result())]


def locked_out(found: list[LockOut]) -> Row:
    """In real time."""
    seconds = sorted(one.seconds for one in found if one.seconds is not None)
    told = (
        f"host back after {BACK_S:.0f} s; locked out {seconds[0]:.0f} to {seconds[-1]:.0f} s" if seconds else "for good"
    )
    return Row(
        f"killed between change and publication: in place usable in {LONGEST_S:.0f} s",
        len(found),
        sum(not one.holds for one in found),
        told,
    )


def rows(tallies: list[Tally]) -> list[Row]:
    """What the lanes saw, together; each broken promise is printed in full."""
    whom: Counter[str] = Counter()
    cut: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    for tally in tallies:
        whom += tally.kills
        cut += tally.cut
        steps += tally.steps
        for line in (*tally.late, *tally.broken, *tally.unasked, *tally.lost, *tally.leaked):
            sys.stdout.write(f"{line}\n")
    kills, struck = whom.total(), sum(tally.struck for tally in tallies)
    under_way = f"{struck} of {kills} kills met {cut.total()} rotations under way ({_told(cut)}); "
    resumed = f"{sum(tally.resumed for tally in tallies)} taken up again where the killed run stood; "
    rotated, values = sum(tally.rotated for tally in tallies), sum(tally.values for tally in tallies)
    counted = ", ".join(f"{name} {steps[name]}" for name in ("repaired", "retired", "failed"))
    return [
        Row("killed and started again: what the vault says works", kills, _all(tallies, "broken"), _told(whom)),
        Row(
            "… a minute later, without a sweep, in place too", sum(t.looked for t in tallies), _all(tallies, "late"), ""
        ),
        Row("… no rotation that nobody asked for", rotated, _all(tallies, "unasked"), under_way),
        Row("… no wish that was forgotten", rotated, _all(tallies, "lost"), resumed + counted),
        Row(
            "… no value in a log, an answer, the ledger or the queue", values, _all(tallies, "leaked"), "values sought"
        ),
    ]


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _all(tallies: list[Tally], name: str) -> int:
    return sum(len(getattr(tally, name)) for tally in tallies)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.proof.kills")
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(shown("Real kills", run(options.kills, options.seed)))
