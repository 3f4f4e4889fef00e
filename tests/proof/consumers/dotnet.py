"""`python -m tests.proof.consumers.dotnet`: a .NET program as people write it, through 50 rotations in place.

The program is `dotnet-clients consume`: it logs in with Npgsql without pause, and reads the secret again when a login
is refused. It is no part of the project and is found as tests/tools_at_hand.py says.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from local.stack import Stack
from rotation.model import SecretRef, SecretValue
from tests.proof.consumers.asked import rotated
from tests.proof.consumers.trial import LIFE, POLICY, VAULTS
from tests.proof.load.owner import FIRST_PASSWORD, owning
from tests.proof.rows import Row, shown
from tests.tools_at_hand import at_hand

NAME, SETTING = "dotnet-clients", "DOTNET_CLIENTS"
KEPT = ("PATH", "HOME", "FUNCTIONS_HOST_HOME", "XDG_CACHE_HOME")  # where it unpacks itself
REF = SecretRef(VAULTS[0], "dotnet-app")
ROTATIONS, EVERY_S = 50, 2.0
CALM_S = 5.0  # after the last rotation: it must be let in again
STARTS_WITHIN_S = 300.0  # the first time it unpacks a .NET
READ = "get"  # as the local vault names the operation

_COUNT = re.compile(
    r"^dotnet: (\d+) logins, (\d+) refused, (\d+) refused after reading again, (\d+) reads, longest outage (\d+) ms$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Counted:
    """What the program counted. refused: logins with what it knew. refused_again: with what it then read."""

    logins: int
    refused: int
    refused_again: int
    reads: int
    longest_ms: int


def counted(output: str) -> Counted:
    """The program's last line -> its counts.

    Raises:
        ValueError: it came to no count.
    """
    found = _COUNT.search(output)
    if found is None:
        raise ValueError(f"{NAME} came to no count: {output.strip()[-500:]}")
    return Counted(*(int(number) for number in found.groups()))


def ado(host: str, port: int, role: str, password: str) -> SecretValue:
    """A connection string as Npgsql has them."""
    return SecretValue(f"Host={host};Port={port};Database=postgres;Username={role};Password={password}")


@dataclass(frozen=True, slots=True)
class Met:
    """rotations: that succeeded while the program ran. broken: a line each. load: of the machine, a processor."""

    rotations: int
    count: Counted
    broken: tuple[str, ...]
    load: float


async def rotate_under_it(stack: Stack, program: Path, rotations: int, every_s: float) -> Met:
    """`rotations` of one role in place, one each `every_s` seconds, while the program logs in.

    Raises:
        RuntimeError: it did not start, or ended before the last rotation.
    """
    broken: list[str] = []
    async with owning(stack) as owner, aiohttp.ClientSession() as app:
        await owner.make([REF.name])
        value = ado(stack.postgres.host, stack.postgres.port, REF.name, FIRST_PASSWORD)
        await owner.put(REF.vault, REF.name, value, {"rotator": "postgres"}, LIFE)
        stack.vault_control.delete("calls")
        process = _started(stack, program, rotations * every_s + CALM_S)
        try:
            await _until_it_reads(stack, process)
            for number in range(rotations):
                next_at = time.monotonic() + every_s
                told = await rotated(app, stack, REF)
                if told.version is None:
                    broken.append(f"rotation {number + 1}: {told.words}")
                if process.poll() is not None:
                    raise RuntimeError(f"it ended before rotation {number + 1} did: give it more time with --every")
                await asyncio.sleep(max(next_at - time.monotonic(), 0))
            load = os.getloadavg()[0] / (os.cpu_count() or 1)
            output, _ = await asyncio.to_thread(process.communicate, timeout=STARTS_WITHIN_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return Met(rotations - len(broken), counted(output), tuple(broken), load)


def _started(stack: Stack, program: Path, seconds: float) -> subprocess.Popen[str]:
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | stack.ready["env"]
    command = [str(program), "consume", stack.ready["vaults"][REF.vault], REF.name, f"{seconds:g}"]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


async def _until_it_reads(stack: Stack, process: subprocess.Popen[str]) -> None:
    async with asyncio.timeout(STARTS_WITHIN_S):
        while not stack.vault_control.get(f"calls?operation={READ}&name={REF.name}&status=200"):
            if process.poll() is not None:
                raise RuntimeError(f"{NAME} ended at its start: {process.communicate()[0].strip()[-500:]}")
            await asyncio.sleep(0.1)


def rows(met: Met) -> list[Row]:
    """One row: in place it is refused, which is told; a promise is only that it is let in again by itself."""
    count = met.count
    told = f"{met.rotations} rotations; {count.refused} of {count.logins:,} logins refused, {count.refused_again} more "
    told += f"after reading again, {count.reads} reads; longest outage {count.longest_ms} ms; "
    told += f"{met.load:.1f} of a processor's load"
    late = int(count.longest_ms > CALM_S * 1000)
    return [Row(".NET, in place: let in again by itself", met.rotations, len(met.broken) + late, told)]


def run(rotations: int = ROTATIONS, every_s: float = EVERY_S) -> list[Row] | None:
    """One stack -> the rows; None: the program is not at hand, and may be missing."""
    program = at_hand(NAME, NAME, env=SETTING)
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as data:
        stack = Stack(Path(data), policy=POLICY, vaults=VAULTS, settings={"ROTATION_SWEEP_SCHEDULE": "0 0 0 1 1 *"})
        with stack:
            stack.vault_control.post("event-endpoint", {"url": None})
            met = asyncio.run(rotate_under_it(stack, program, rotations, every_s))
    for line in met.broken:
        sys.stdout.write(f"{line}\n")
    return rows(met)


def main() -> int:
    """0: each rotation succeeded and the program was let in again, or it is not at hand."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.consumers.dotnet")
    parser.add_argument("--rotations", type=int, default=ROTATIONS)
    parser.add_argument("--every", type=float, default=EVERY_S, metavar="SECONDS")
    options = parser.parse_args()
    found = run(options.rotations, options.every)
    if found is None:
        sys.stdout.write(f"left out: {NAME} is not at hand: set {SETTING} to it\n")
        return 0
    return shown("A .NET program", found)


if __name__ == "__main__":
    sys.exit(main())
