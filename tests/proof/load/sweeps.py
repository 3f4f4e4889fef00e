"""A sweep over very many secrets, of which few are due: by the real SDK, page by page, with their histories in files.

Vaults and ledger are filled directly, since a hundred thousand calls would take longer than what is tried here.
"""

import asyncio
import json
import os
import ssl
import sys
import uuid
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from app.settings import QUEUE
from local.certificates import Certificates, ensure
from local.children import ROOT
from local.host.queue import Queues
from local.host.storage import ACCOUNT, queue_service
from local.tokens import TokenAuthority
from local.vault import LocalVaults
from local.vault.database import Database
from rotation.ledger.asked import Asked
from rotation.ledger.records import Record, Step
from tests.proof.load.rotations import POLICY

VALUE = "postgresql://app:a-password-of-some-length@db.example.com:5432/orders"
TAGS = {"rotator": "generated", "team": "orders", "slot": "app"}
ASKED = Asked("generated", (), (), None, "api-key")
PUBLISHED, VERIFIED = timedelta(days=40), timedelta(hours=1)  # ago


@dataclass(slots=True)
class Swept:
    """What a process found in its first sweep, which knows nothing, and in those after, which are warm.

    sent: messages that did not wait for the end. growth_mib: of the highest over what stood after a first call.
    """

    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    calls: list[dict[str, int]] = field(default_factory=list)
    asked: int = 0
    sent: int = 0
    growth_mib: float = 0.0
    broken: list[str] = field(default_factory=list)


def sweep_over(data: Path, secrets: int, vaults: int, due: int, *, times: int = 2) -> Swept:
    """Fill, sweep, and look at which values were read."""
    names = [f"kv-load-{number}" for number in range(vaults)]
    wanted = _fill(data, names, secrets // vaults, due // vaults)
    return asyncio.run(_swept(data, names, wanted, times))


def _fill(data: Path, vaults: list[str], each: int, due: int) -> set[tuple[str, str]]:
    """-> (vault, name) of those that are due."""
    now = datetime.now(UTC)
    database = Database(data / "vault")
    wanted = set()
    created = int((now - PUBLISHED).timestamp())
    soon, later = (int((now + timedelta(days=days)).timestamp()) for days in (10, 60))
    number = 0
    with database.transaction():
        for vault in vaults:
            ledger = data / "ledger" / vault
            ledger.mkdir(parents=True)
            for n in range(each):
                number += 1
                name, version, is_due = f"s-{n:06}", uuid.uuid4().hex, n % (each // due) == 0
                if is_due:
                    wanted.add((vault, name))
                database.execute("INSERT INTO secrets (id, vault, name) VALUES (?, ?, ?)", number, vault, name)
                database.execute(
                    "INSERT INTO versions (secret, version, value, enabled, exp, created, updated, tags)"
                    " VALUES (?, ?, ?, 1, ?, ?, ?, ?)",
                    number, version, VALUE, soon if is_due else later, created, created, json.dumps(TAGS),
                )  # fmt: skip
                (ledger / f"{name}.jsonl").write_text(_history(version, now))
    database.close()
    return wanted


def _history(version: str, now: datetime) -> str:
    operation = uuid.uuid4().hex[:24]

    def line(step: Step, ago: timedelta, **fields: Any) -> str:
        return Record(now - ago, step, operation, "near-expiry", "event-grid", slot="app", **fields).to_line()

    staged = line(Step.STAGED, PUBLISHED, staged_version=uuid.uuid4().hex)
    published = line(Step.PUBLISHED, PUBLISHED, version=version, tags=TAGS, grace_hours=72)
    applying = line(Step.APPLYING, PUBLISHED, tags=TAGS, asked=ASKED.to_record(), grace_hours=72)
    return staged + applying + published + line(Step.VERIFIED, VERIFIED, version=version)


async def _swept(data: Path, names: list[str], wanted: set[tuple[str, str]], times: int) -> Swept:
    tls = ensure(data / "tls")
    authority = TokenAuthority.from_file(data / "signing.key")
    swept = Swept()
    ports = dict.fromkeys(names, 0)
    queues = Queues(data / "queues.sqlite")
    async with (
        LocalVaults(ports, data=data / "vault", cert=tls.cert, key=tls.key, authority=authority) as vaults,
        _serving(queue_service(queues, authority), tls) as queue,
    ):
        settings = {
            "SSL_CERT_FILE": str(tls.ca),
            "AzureWebJobsStorage__queueServiceUri": f"{queue}/{ACCOUNT}",
            "ROTATION_VAULTS": ",".join(f"{name}={url}" for name, url in vaults.urls.items()),
            "ROTATION_POLICY": str(POLICY),
            "ROTATION_LEDGER": f"file:{data / 'ledger'}",
            "ROTATION_HTTP_AUTH": "key",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.proof.load.sweeping", cwd=ROOT, env=dict(os.environ) | vaults.env | settings,
            stdin=PIPE, stdout=PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(times):
            await process.stdout.readline()  # it is ready
            vaults.calls.clear()
            process.stdin.write(b"\n")
            told = json.loads(await process.stdout.readline())
            records = vaults.calls.records()
            read = {(call.vault, call.name) for call in records if call.operation == "get"}
            if read != wanted:
                swept.broken.append(f"{len(read)} values read, of which {len(read & wanted)} of {len(wanted)} due")
            swept.calls.append(dict(Counter(call.operation for call in records)))
            swept.seconds.append(told["seconds"])
            swept.cpu_s.append(told["cpu_s"])
            swept.growth_mib = told["growth_mib"]
            sent = queues.count(QUEUE) - swept.sent
            swept.sent += sent
            swept.asked = told["kept"] + sent
            if swept.asked != len(wanted):
                swept.broken.append(f"{swept.asked} asked for, and {len(wanted)} are due")
        process.stdin.close()
        await process.wait()
    queues.close()
    return swept


@asynccontextmanager
async def _serving(app: web.Application, tls: Certificates) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.cert, tls.key)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://localhost:{runner.addresses[0][1]}"
    await runner.cleanup()
