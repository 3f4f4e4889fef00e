"""What is measured around the engine: (b) over the bare sequence, (d) the gap, (e) how many a second.

Run as a process of its own by `bench/__main__.py`; prints its figures as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import sql

from app.bootstrap import load_policy
from app.settings import from_environment
from app.wiring import App, build
from bench.figures import Figure, median
from bench.gap import altered_at, figure, shown_at
from bench.owner import FOLLOWERS, LED, admin, role, url
from local.stack import Control
from rotation.model import Reason, Result, RotationRequest, SecretRef, SecretValue
from rotation.ports import Vault

VAULT = "kv-demo"
ROTATED = {"rotator": "postgres"}
ADDED_MS = 20
RUNS = 15
LED_RUNS = 30  # three writes at a time vary more on a busy machine than one
AT_ONCE, ALTOGETHER = 64, 512
STACK = json.loads(os.environ["BENCH_STACK"])
SERVER = STACK["postgres"]
LOG = Path(os.environ["BENCH_SERVER_LOG"])


def control() -> Control:
    """Of the vault's stand-in."""
    told = json.loads(os.environ["BENCH_CONTROL"])
    return Control(told["url"], told["key"], Path(told["ca"]))


async def put(vault: Vault, name: str, value: str, tags: Mapping[str, str] = ROTATED) -> str:
    """Write a version of a role's secret -> its id."""
    ends = datetime.now(UTC) + timedelta(days=10)
    written = await vault.set(name, SecretValue(value), tags=tags, expires_on=ends)
    return written.version


async def rotate(app: App, name: str, version: str) -> str:
    """-> the new version."""
    outcome = await app.engine.handle(
        RotationRequest(SecretRef(VAULT, name), version, Reason.EXPIRED, "bench", demanded=True)
    )
    assert outcome.result is Result.ROTATED, outcome.detail
    assert outcome.version
    return outcome.version


async def bare(vault: Vault, name: str) -> None:
    """What a sample does: read, change, write. Killed in the middle, it locks everybody out."""
    old = await vault.get(name)
    user = old.value.reveal().partition("//")[2].partition(":")[0]
    new = secrets.token_urlsafe(30)
    async with await psycopg.AsyncConnection.connect(old.value.reveal(), autocommit=True) as connection:
        verifier = connection.pgconn.encrypt_password(new.encode(), user.encode(), b"scram-sha-256").decode()
        await connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(verifier))
        )
    await vault.set(name, SecretValue(url(SERVER, user, new)), tags=old.tags, expires_on=old.expires_on)


async def over_bare(app: App) -> list[Figure]:
    """(b) In turn: one of ours, one bare. The first of each opens connections and does not count."""
    vault = app.vaults[VAULT]
    version = await put(vault, "ours", role(SERVER, "ours"))
    await put(vault, "bare", role(SERVER, "bare"))
    ours, bares = [], []
    for _ in range(RUNS + 2):
        started = time.perf_counter()
        version = await rotate(app, "ours", version)
        between = time.perf_counter()
        await bare(vault, "bare")
        ours.append(between - started)
        bares.append(time.perf_counter() - between)
    mine, theirs = median(ours[2:]), median(bares[2:])
    how = (
        f"{mine * 1000:.0f} ms a rotation in place, {theirs * 1000:.0f} ms read, ALTER, write; "
        f"{ADDED_MS} ms added to each vault call"
    )
    return [Figure("b  rotation over bare sequence", mine / theirs, "x", how, 2.2)]


async def gap(app: App) -> list[Figure]:
    """(d) The old password ends with the ALTER, by the server's log; new versions are there by the vault's record."""
    admin(SERVER, "ALTER SYSTEM SET log_min_duration_statement = 0")
    admin(SERVER, "SELECT pg_reload_conf()")
    figures = [
        await _gap(app, "d  gap of an in-place rotation", "gap", [], 1.3),
        await _gap(app, "d  gap of two followers", LED, FOLLOWERS, 1.5),
    ]
    admin(SERVER, "ALTER SYSTEM RESET log_min_duration_statement")
    admin(SERVER, "SELECT pg_reload_conf()")
    return figures


async def _gap(app: App, what: str, name: str, followers: Sequence[tuple[str, str]], at_most: float) -> Figure:
    """name: of the secret and of its role. followers: (vault, name); the gap is theirs, where there are any."""
    vault, value = app.vaults[VAULT], role(SERVER, name)
    for other, follower in followers:
        await put(app.vaults[other], follower, value, {"follows": f"{VAULT}/{name}"})
    version = await put(vault, name, value)
    version = await rotate(app, name, version)
    gaps, writes = [], []
    for _ in range(LED_RUNS if followers else RUNS):
        await asyncio.to_thread(control().delete, "calls")
        version = await rotate(app, name, version)
        ended = altered_at(await asyncio.to_thread(LOG.read_text), name)
        there = shown_at(await asyncio.to_thread(control().get, "calls"), followers or [(VAULT, name)])
        gaps.append((there - ended).total_seconds())
        started = time.perf_counter()
        await put(vault, "written", "x")
        writes.append(time.perf_counter() - started)
    until = "the last follower's" if followers else "the"
    return figure(what, f"{until} new version", gaps, writes, at_most)


async def throughput(app: App) -> list[Figure]:
    """(e) Many at a time against one server; nothing added to the vault's calls."""
    vault = app.vaults[VAULT]
    values = [(f"many-{number}", role(SERVER, f"many_{number}")) for number in range(ALTOGETHER)]
    versions = [(name, await put(vault, name, value)) for name, value in values]
    room = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, version: str) -> None:
        async with room:
            await rotate(app, name, version)

    pids = STACK["pids"]
    before = {name: _cpu_s(pid) for name, pid in pids.items()}
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one(name, version) for name, version in versions))
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    vault_cpu = _cpu_s(pids["vault"]) - before["vault"]
    # Two new versions a rotation, the staged one and the one for consumers; the setting counts them in ten seconds.
    of_limit = 2 * ALTOGETHER / took / (app.settings.vault_creations / 10)
    how = (
        f"{AT_ONCE} at a time, {ALTOGETHER} in all, one PostgreSQL; of one core this process took {cpu / took:.0%} "
        f"and the vault's stand-in {vault_cpu / took:.0%}: " + _bound(cpu / took, vault_cpu / took, of_limit)
    )
    return [Figure("e  rotations a second", ALTOGETHER / took, "1/s", how)]


def _bound(mine: float, vaults: float, of_limit: float) -> str:
    """Shares: mine and vaults of one core, of_limit of the new versions that the app lets itself write to a vault."""
    nearly = 0.8
    if of_limit >= nearly:
        return "bound by Key Vault's limit of new versions, which the app keeps to"
    if mine >= nearly:
        return "bound by this process's one core"
    return "bound by the vault's stand-in" if vaults >= nearly else "bound by the two cores that all parts share"


def _cpu_s(pid: int) -> float:
    """Processor time of a process; 0 where the system does not tell."""
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return 0.0
    fields = path.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def main() -> None:
    """All figures, as JSON on standard output."""
    settings = from_environment(os.environ, Path.cwd())
    app = await build(settings, load_policy(settings))
    figures = await throughput(app)
    await asyncio.to_thread(control().post, "faults", {"kind": "latency", "ms": ADDED_MS})
    figures += await over_bare(app)
    figures += await gap(app)
    json.dump([asdict(one) for one in figures], sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
