"""Every fault between the app and each part, and of the parts, in stages side by side."""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from local.azurite import Missing
from local.certificates import ensure
from local.postgres import LocalPostgres
from local.postgres_binaries import installed
from tests.proof.rows import Row
from tests.proof.wire import database, ledger, services, standby
from tests.proof.wire.proxy import Handshake
from tests.proof.wire.stage import Stage, staged
from tests.proof.wire.trial import Trial, rows


@dataclass(frozen=True, slots=True)
class Seen:
    """What one stage saw. values: how many were sought; skipped: what could not be had here, and how to have it."""

    trials: list[Trial]
    values: int
    leaked: list[str]
    skipped: list[str]


def run() -> list[Row]:
    """All stages, each in a process of its own -> the rows of the table."""
    with (
        tempfile.TemporaryDirectory(prefix="keyturn-wire-") as data,
        ProcessPoolExecutor(len(STAGES), get_context("spawn")) as pool,
    ):
        Path(data).chmod(0o711)  # the databases' own user passes through
        folders = [Path(data) / name for name in STAGES]
        seen = list(pool.map(played, STAGES, folders))
    for line in dict.fromkeys(line for one in seen for line in (*one.skipped, *one.leaked)):
        sys.stdout.write(f"{line}\n")
    trials = [trial for one in seen for trial in one.trials]
    for trial in trials:
        if trial.broken:
            sys.stdout.write(f"{trial.broken}\n")
    leaked, values = sum(len(one.leaked) for one in seen), sum(one.values for one in seen)
    skipped = "; ".join(dict.fromkeys(line for one in seen for line in one.skipped))
    return [
        *rows(trials),
        Row("… no value in a log, an answer, the ledger or the queue", values, leaked, "values sought"),
        *([Row(skipped, 0, 0)] if skipped else []),
    ]


def played(name: str, data: Path) -> Seen:
    """One stage, to its end."""
    return asyncio.run(STAGES[name](data))


async def wires(data: Path) -> Seen:
    """Message by message, between the app and the database, the vault and Azure's planes; then the database itself."""
    skipped: list[str] = []
    async with staged(data) as stage:
        own = LocalPostgres(data / "own-postgres", settings=database.FEW_CONNECTIONS, durable=False)
        await asyncio.to_thread(own.start)
        try:
            tried: list[Coroutine[None, None, list[Trial]]] = [
                database.wire_trials(stage),
                database.server_trials(stage, own),
                services.vault_trials(stage),
                services.planes_trials(stage),
                services.throttled_trials(stage),
            ]
            if (binaries := installed()) is not None:
                tried.append(database.tls_trials(stage, data / "tls-postgres", binaries))
            else:
                skipped.append("PostgreSQL over TLS was not tried: apt-get install postgresql")
            trials = [trial for some in await asyncio.gather(*tried) for trial in some]
        finally:
            await asyncio.to_thread(own.stop)
        trials += await database.restart_trials(stage)
    return _seen(stage, trials, skipped)


async def standbys(data: Path) -> Seen:
    """The database has a standby, from which consumers read."""
    async with staged(data) as stage:
        trials = await standby.trials(stage, data / "standbys")
    return _seen(stage, trials, [])


async def windows(data: Path) -> Seen:
    """For a while no connection to a service comes about, or the ledger's disk is full."""
    skipped: list[str] = []
    with ledger.small_disk() as disk:
        async with staged(data, disk=disk) as stage:
            make = partial(services.managed, stage)
            trials: list[Trial] = []
            for part, proxy, kinds in (
                (services.VAULT_PART, stage.vault, services.WINDOWS[0]),
                (services.PLANES_PART, stage.planes, services.WINDOWS[1]),
            ):
                trials += await services.handshake_trials(stage, part, proxy, make, kinds)
            if disk is not None:
                trials += await ledger.full_disk_trials(stage, disk)
            else:
                skipped.append(
                    "a full disk was not tried: it needs a small disk of its own, so run as root that may mount"
                )
        return _seen(stage, trials, skipped)


async def blobs(data: Path) -> Seen:
    """The ledger in blob storage, message by message; then its leases."""

    async def trials(stage: Stage, storage: ledger.BlobStorage) -> list[Trial]:
        return [*await ledger.message_trials(stage), *await ledger.broken_lease_trials(stage, storage)]

    return await _with_blobs(data, trials)


async def blobs_gone(data: Path) -> Seen:
    """Blob storage ends, and comes back."""
    return await _with_blobs(data, ledger.restart_trials)


async def blob_windows(handshakes: Sequence[Handshake], data: Path) -> Seen:
    """For a while no connection to blob storage comes about. A window takes a minute of waiting: stages share them."""

    async def trials(stage: Stage, _: ledger.BlobStorage) -> list[Trial]:
        make = partial(services.managed, stage)
        kinds = services.WINDOWS[0]
        return await services.handshake_trials(stage, ledger.BLOBS, stage.ledger, make, kinds, handshakes)

    return await _with_blobs(data, trials)


async def _with_blobs(
    data: Path, trials: Callable[[Stage, ledger.BlobStorage], Coroutine[None, None, list[Trial]]]
) -> Seen:
    storage = ledger.BlobStorage(data / "azurite", ensure(data / "tls"))
    try:
        await asyncio.to_thread(storage.start)
    except Missing as missing:
        return Seen([], 0, [], [f"blob storage was not tried: {missing}"])
    try:
        await storage.make_container()
        async with staged(data, blobs=storage.port) as stage:
            found = await trials(stage, storage)
        return _seen(stage, found, [])
    finally:
        await asyncio.to_thread(storage.stop)


def _seen(stage: Stage, trials: list[Trial], skipped: list[str]) -> Seen:
    values, leaked = stage.leaked()
    return Seen(trials, values, leaked, skipped)


STAGES: dict[str, Callable[[Path], Coroutine[None, None, Seen]]] = {
    "wires": wires,
    "standbys": standbys,
    "windows": windows,
    "blobs": blobs,
    "blobs-gone": blobs_gone,
    "blobs-refused": partial(blob_windows, (Handshake.RESET, Handshake.GARBAGE)),
    "blobs-unanswered": partial(blob_windows, (Handshake.FOREIGN, Handshake.MUTE)),
}
