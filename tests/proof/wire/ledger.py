"""Between the app and its ledger: blob storage in Azurite, and a folder on a disk that is full."""

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob.aio import BlobLeaseClient, ContainerClient

from local.azurite import ACCOUNT, LocalAzurite
from local.certificates import Certificates
from rotation.ledger.records import Record, Step, parse_lines
from tests.e2e.deployment import VAULT
from tests.proof.kills.credentials import Managed
from tests.proof.wire.database import AT_A_MESSAGE, IN_PLACE, IN_TURN, KINDS, Database
from tests.proof.wire.proxy import Fault, Plan
from tests.proof.wire.services import GENERATED, managed
from tests.proof.wire.stage import CONTAINER, Stage, met
from tests.proof.wire.trial import Trial

BLOBS, FILES = "the ledger in blob storage", "the ledger in files"
# What a request holds, and which of several it is. A first rotation writes four times: adopted, applying (with what was
# staged), published, rotated.
MESSAGES: Mapping[str, tuple[bytes, int]] = {
    "the making": (b"x-ms-blob-type: AppendBlob", 1),
    "the lease": (b"x-ms-lease-action: acquire", 2),
    "the reading": (b"GET /", 1),
    "adopted": (b"comp=appendblock", 1),
    "applying": (b"comp=appendblock", 2),
    "published": (b"comp=appendblock", 3),
    "rotated": (b"comp=appendblock", 4),
    "the lease's end": (b"x-ms-lease-action: release", 1),
}
SMALL_DISK = "16m"
PAGE = 4_096
BINDINGS = 3  # of one role, and of two in turn: a file for each, which takes a page of its own
# Bytes that the full disk still takes in a history's page, and pages beside: each step of a rotation meets its end.
LEFT = [*((left, 0) for left in range(0, 2_000, 150)), *((left, BINDINGS) for left in range(0, 2_800, 250))]
STOPS = frozenset({Step.FAILED, Step.ADOPTED, Step.APPLYING, Step.PUBLISHED})  # the last that was written; FAILED: none


class BlobStorage:
    """Azurite over TLS, which takes the app's own tokens."""

    def __init__(self, data: Path, certificates: Certificates) -> None:
        self._azurite = LocalAzurite(data, certificates)
        self._ca = str(certificates.ca)

    @property
    def port(self) -> int:
        return self._azurite.ports["blob"]

    def start(self) -> None:
        """Raises `local.azurite.Missing` where it can't be had."""
        self._azurite.start()

    def stop(self) -> None:
        self._azurite.stop()

    async def make_container(self) -> None:
        """As who deploys the app does."""
        async with self._container() as container:
            await container.create_container()

    async def break_lease(self, name: str) -> None:
        """As an operator does who thinks that a run hangs: "Lease Blob" in the Storage REST reference."""
        async with self._container() as container:
            await BlobLeaseClient(container.get_blob_client(f"{VAULT}/{name}.jsonl")).break_lease(0)

    def _container(self) -> ContainerClient:
        key = AzureNamedKeyCredential(ACCOUNT, self._azurite.key)
        url = f"{self._azurite.url}/{CONTAINER}"
        return ContainerClient.from_container_url(url, key, connection_verify=self._ca)


async def message_trials(stage: Stage, faults: Sequence[Fault] = AT_A_MESSAGE) -> list[Trial]:
    """Each fault at each request of a rotation to blob storage."""

    async def one(message: str, fault: Fault) -> Trial:
        async def make() -> tuple[Managed, Callable[[], bool]]:
            kept = await managed(stage, IN_PLACE)
            text, nth = MESSAGES[message]
            return kept, met(stage.ledger.plan(fault, f"/{VAULT}/{kept.name}.jsonl".encode(), text, nth=nth))

        return await stage.tried(BLOBS, f"{message} {fault}", make)

    return list(await asyncio.gather(*(one(message, fault) for message in MESSAGES for fault in faults)))


async def broken_lease_trials(stage: Stage, blobs: BlobStorage) -> list[Trial]:
    """An operator breaks the lease of a run that is about to change, or about to publish; nobody else looks, or one."""
    trials: list[Trial] = []
    for another in (False, True):
        made = await _midway(stage, "the lease broken" + (", and another run asked for" if another else ""))

        @asynccontextmanager
        async def broken(
            made: Mapping[str, tuple[Managed, Plan]] = made, another: bool = another
        ) -> AsyncIterator[None]:
            for kept, _ in made.values():
                await blobs.break_lease(kept.name)
            if another:
                await asyncio.gather(*(stage.app.rotate(kept.name) for kept, _ in made.values()))
            yield

        trials += await stage.midway(BLOBS, made, broken())
    return trials


async def restart_trials(stage: Stage, blobs: BlobStorage) -> list[Trial]:
    """Blob storage stops while rotations are about to change or to publish, others begin, and it comes back."""

    # One outage for all: each call of the app waits for half a minute, by the SDK's own retries, before it gives up.
    gone, begun = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def stopped() -> AsyncIterator[None]:
        await asyncio.to_thread(blobs.stop)
        gone.set()
        yield
        await begun.wait()
        await asyncio.to_thread(blobs.start)

    @asynccontextmanager
    async def meanwhile() -> AsyncIterator[None]:
        yield
        begun.set()

    async def idle() -> list[Trial]:
        await gone.wait()  # a secret that is due is rotated by the next sweep
        made = {f"{kind}: blob storage stopped before": await managed(stage, kind) for kind in (IN_PLACE, GENERATED)}
        return await stage.under(BLOBS, made, meanwhile())

    made = await _midway(stage, "blob storage stopped and started")
    both = await asyncio.gather(stage.midway(BLOBS, made, stopped()), idle())
    return [trial for some in both for trial in some]


async def _midway(stage: Stage, title: str) -> dict[str, tuple[Managed, Plan]]:
    """Rotations that are held before the change, or before the publication."""
    made = {}
    database = Database(stage, stage.app.stack.postgres)
    for kind in KINDS:
        kept, proxy = await database.managed(kind)
        made[f"{kind}: {title}, before the change"] = kept, proxy.plan(Fault.HELD, b"ALTER ROLE")
        kept, _ = await database.managed(kind)
        at = f"PUT /secrets/{kept.name}?".encode()
        made[f"{kind}: {title}, before the publication"] = kept, stage.vault.plan(Fault.HELD, at)
    return made


# a full disk


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """A folder on a disk of its own, of 16 MB; None where that can't be had."""
    with tempfile.TemporaryDirectory(prefix="keyturn-small-disk-") as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", name]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


async def full_disk_trials(stage: Stage, disk: Path) -> list[Trial]:
    """The disk of the ledger is full, but for a page for each lease, and some bytes in the page a history ends in."""
    part, trials = f"{FILES}, on a full disk", list[Trial]()
    stopped: set[Step] = set()
    for left, pages in LEFT:
        made = {
            f"{kind}: {left} bytes and {pages} pages left": await managed(stage, kind)
            for kind in (IN_PLACE, IN_TURN, GENERATED)
        }
        histories = [disk / "ledger" / VAULT / f"{kept.name}.jsonl" for kept in made.values()]
        for history in histories:
            _pad(history, left)
        trials += await stage.under(part, made, _full(disk, histories, stopped, pages))
    missing = ", ".join(sorted(STOPS - stopped))
    broken = f"the disk was never full after: {missing}" if missing else None
    return [*trials, Trial(part, "met after each step", 503, broken)]


@asynccontextmanager
async def _full(disk: Path, histories: Sequence[Path], stopped: set[Step], pages: int) -> AsyncIterator[None]:
    """stopped: gets the last step that each history had room for. pages: left for bindings, or for whoever is first."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(PAGE))
        file.truncate(file.tell() - (len(histories) + pages) * PAGE)
    yield
    stopped.update(parse_lines(history.read_text(encoding="utf-8"))[-1].step for history in histories)
    filler.unlink()


def _pad(history: Path, left: int) -> None:
    """A history that ends so many bytes before the end of its page."""
    at = datetime.now(UTC)
    empty = Record(at, Step.FAILED, "a look before", "sweep", "sweep", detail="")
    size = PAGE - left - len(empty.to_line().encode())
    history.parent.mkdir(parents=True, exist_ok=True)
    history.write_text(Record(at, Step.FAILED, "a look before", "sweep", "sweep", detail="x" * size).to_line())
