"""`python -m tests.proof.load`: 2,000 due secrets at Key Vault's limits, in simulated time too; one vault's limit used
up; 100,000 secrets swept."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from local.vault.limits import Rates
from tests.proof.load.rotations import Seen, Trial, rotate_all
from tests.proof.load.simulated import Counted, rotate_in_simulated_time
from tests.proof.load.sweeps import Swept, sweep_over
from tests.proof.rows import Row, shown

SECRETS, VAULTS, DATABASES = 2_000, 4, 20
SWEPT, SWEPT_VAULTS, DUE = 100_000, 10, 1_000
OF_THE_LIMIT = 0.9
MAX_REFUSED = 0.05  # of all calls
MAX_GROWTH_MIB = {"rotations": 10.0, "sweep": 50.0}
BUSY = 0.85  # of a processor, or of all: there is no more to be had
EASY = 0.7  # of what the machine was seen to do; it binds no more then
SIMULATED = (2, 4, 10, 20)  # instances
WINDOWS = 2.5  # that the one vault's limit is used for
REAL = Rates()
UNTOLD = ", though no refusal says when to come back"
PROCESSORS = os.cpu_count() or 1

T = TypeVar("T")


def run(secrets: int = SECRETS, swept: int = SWEPT, instances: int = PROCESSORS) -> list[Row]:
    """Trials after one another -> the rows of the table; each broken promise is printed in full."""
    simulated, untold = (
        {
            number: rotate_in_simulated_time(secrets, VAULTS, number, retry_after=told)
            for number in (*((1,) if told else ()), *SIMULATED)
        }
        for told in (True, False)
    )
    mass = Trial(secrets, VAULTS, DATABASES, instances)
    seen = _in_a_directory(lambda data: rotate_all(data, mass))
    one = limit_that_binds(seen, instances)
    used = _in_a_directory(lambda data: rotate_all(data, one))
    quiet = replace(one, rates=replace(one.rates, retry_after=False))
    used_untold = _in_a_directory(lambda data: rotate_all(data, quiet))
    found = _in_a_directory(lambda data: sweep_over(data, swept, SWEPT_VAULTS, DUE * swept // SWEPT, times=1))
    counted = [line for one in (*simulated.values(), *untold.values()) for line in one.broken]
    for line in (*counted, *seen.broken, *used.broken, *used_untold.broken, *found.broken):
        sys.stdout.write(f"{line}\n")
    return [
        simulated_row(simulated), simulated_row(untold, UNTOLD), independent_row(simulated, untold),
        *mass_rows(mass, seen), limit_row(one, used), limit_row(quiet, used_untold, UNTOLD),
        *sweep_rows(found, swept),
    ]  # fmt: skip


def limit_that_binds(seen: Seen, instances: int = 0) -> Trial:
    """One vault at its real limit, or, on a machine that can't do so many, at one that it can."""
    machine = int(EASY * seen.creations_a_second * REAL.window_s)
    creates = max(min(REAL.creates, machine), 20)
    secrets = round(creates * WINDOWS / 2)  # two versions each: the staged one and the one for consumers
    return Trial(secrets, 1, DATABASES, instances, rates=Rates(creates=creates), creations=creates - creates // 30)


def independent_row(told: Mapping[int, Counted], untold: Mapping[int, Counted]) -> Row:
    """By number of instances: with the header Retry-After on each refusal, and without."""
    shares = {number: one.throughput(REAL) / told[number].throughput(REAL) for number, one in untold.items()}
    return Row(
        "without Retry-After a vault takes at least nine tenths of what it takes with it",
        len(shares),
        sum(share < OF_THE_LIMIT for share in shares.values()),
        f"by instances: {'; '.join(f'{number}: {share:.0%}' for number, share in shares.items())}",
    )


def simulated_row(counted: Mapping[int, Counted], how: str = "") -> Row:
    """By number of instances. One alone is told of and not judged: it may have too few hands for four vaults."""
    broken = sum(len(one.broken) for one in counted.values())
    broken += sum(
        one.throughput(REAL) < OF_THE_LIMIT or one.refused > MAX_REFUSED * one.calls
        for number, one in counted.items()
        if number > 1
    )
    told = [
        f"{number}: {one.throughput(REAL):.0%} of the limits, {one.refused / one.calls:.1%} of calls refused"
        for number, one in counted.items()
    ]
    return Row(
        f"in simulated time, where no processor binds, nine tenths of four vaults' limits are used{how}",
        sum(one.rotated + len(one.broken) for one in counted.values()),
        broken,
        f"by instances: {'; '.join(told)}; {_reminders(counted)}",
    )


def _reminders(counted: Mapping[int, Counted]) -> str:
    left, late = (sum(one.left for one in counted.values()), sum(one.left - one.called_off for one in counted.values()))
    return f"{left:,} reminders left in the queue, {late:,} of them taken up in vain"


def mass_rows(trial: Trial, seen: Seen) -> list[Row]:
    """What holds, and how near to the limit it came; where it stays below, what held it up must be seen."""
    slow = seen.throughput < OF_THE_LIMIT
    idle = slow and not _machine_binds(trial, seen)
    spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in seen.cpu_s.items())
    told = f"{seen.throughput:.0%} of what the limits allow: {seen.creations_a_second:.0f} new versions a second of"
    told += f" {seen.allowed_a_second:.0f}, {seen.rotated / seen.seconds:.0f} rotations a second;"
    told += f" {'the processors bind' if slow else 'the limit binds'}: {PROCESSORS} cores {seen.busy:.0%} busy"
    told += f" for {seen.seconds:.0f} s, of which {spent}"
    most = f"{seen.connections} at the most, {trial.connections} a process set"
    return [
        Row("each of many due secrets is rotated and logs in, at Key Vault's limits", trial.secrets, len(seen.broken)),
        Row("what keeps it below the limits is the machine", 1, int(idle), told),
        Row(
            "hardly a call is refused (429)", seen.calls, int(seen.throttled > MAX_REFUSED * seen.calls),
            f"{seen.throttled} of {seen.calls:,} calls; {seen.put_back} messages put back",
        ),
        Row("connections to one server stay within the setting", seen.looks, seen.too_many_connections, most),
        Row(
            "memory stays flat", seen.looks, int(seen.growth_mib > MAX_GROWTH_MIB["rotations"]),
            f"{seen.growth_mib:+.1f} MiB after the first third, {max(seen.memory_mib):.0f} MiB in all",
        ),
    ]  # fmt: skip


def _machine_binds(trial: Trial, seen: Seen) -> bool:
    """All processors are busy, or each process of the app has one of its own, and one process can't use two."""
    return seen.busy >= BUSY or seen.cpu_s["app"] / seen.seconds >= BUSY * max(trial.instances, 1)


def limit_row(trial: Trial, seen: Seen, how: str = "") -> Row:
    """One vault, whose limit binds."""
    slow = seen.throughput < OF_THE_LIMIT
    enough = not (slow and not _machine_binds(trial, seen)) and seen.throttled <= MAX_REFUSED * seen.calls
    told = f"{seen.throughput:.0%} of {trial.rates.creates} new versions in 10 s (Key Vault's: {REAL.creates});"
    told += f" at most {seen.most_in_window} in any 10 s, {seen.throttled} of {seen.calls:,} calls refused"
    told += "; the processors bind" if slow else ""
    return Row(
        f"where a vault's limit binds, nine tenths of it are used{how}",
        trial.secrets,
        len(seen.broken) + int(not enough),
        told,
    )


def sweep_rows(swept: Swept, secrets: int) -> list[Row]:
    """Of a process that knows nothing yet, the dearest sweep that there is."""
    calls = ", ".join(f"{count:,} {name}" for name, count in swept.calls[0].items())
    told = (
        f"{swept.seconds[0]:.0f} s ({swept.cpu_s[0]:.0f} s of a processor); calls: {calls}; {swept.asked:,} asked for"
    )
    grown = f"{swept.growth_mib:+.1f} MiB at the highest"
    return [
        Row("a sweep reads the values of those that are due, and no others", secrets, len(swept.broken), told),
        Row(
            "a sweep's memory grows by less than 50 MiB",
            secrets,
            int(swept.growth_mib >= MAX_GROWTH_MIB["sweep"]),
            grown,
        ),
    ]


def _in_a_directory(trial: Callable[[Path], T]) -> T:
    with tempfile.TemporaryDirectory() as data:
        return trial(Path(data))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.proof.load")
    parser.add_argument("--secrets", type=int, default=SECRETS)
    parser.add_argument("--swept", type=int, default=SWEPT)
    parser.add_argument("--instances", type=int, default=PROCESSORS, help="0: the host's one, by its queue")
    options = parser.parse_args()
    sys.exit(shown("Load", run(options.secrets, options.swept, options.instances)))
