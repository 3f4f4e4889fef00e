"""The composition root: the only place that knows which class is behind which port, and that holds state."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from app.identity import Tokens, credential
from app.notifier import Notifier
from app.poison import PoisonQueueMonitor
from app.request_queue import RequestQueue
from app.settings import Settings
from app.shutdown import Shutdown
from app.telemetry import Telemetry, telemetry
from rotation.engine.engine import Engine, EngineDependencies
from rotation.engine.followers import Followers
from rotation.engine.sweep import Sweeper
from rotation.errors import Unusable
from rotation.policy import Policy
from rotation.ports import Clock, Connections, Ledger, Rotator, RotatorDependencies, Vault
from rotation.readers import NoReaders, Readers
from rotation.refresh_targets import Refresher
from rotation.refreshers import REFRESHERS
from rotation.rotators import ROTATORS

if TYPE_CHECKING:
    import aiohttp
    from azure.core.credentials_async import AsyncTokenCredential


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class App:
    """All that the handlers need."""

    settings: Settings
    engine: Engine
    sweeper: Sweeper
    followers: Followers
    vaults: Mapping[str, Vault]
    ledger: Ledger
    policy: Policy
    rotator: Callable[[str], Rotator]
    notifier: Notifier
    request_queue: RequestQueue
    telemetry: Telemetry
    poison: PoisonQueueMonitor
    shutdown: Shutdown
    readers: Readers


async def build(settings: Settings, policy: Policy) -> App:
    """The running app; its connections belong to the event loop that this runs in."""
    import aiohttp  # noqa: PLC0415  400 ms that indexing and health need not pay

    from rotation.stores.keyvault import KeyVaultStore, session_middlewares  # noqa: PLC0415  likewise

    identity = credential(settings.client_id)
    session = aiohttp.ClientSession(middlewares=session_middlewares())
    vaults = {
        name: KeyVaultStore(name, url, identity, session, creations=settings.vault_creations)
        for name, url in settings.vaults.items()
    }
    ledger: Ledger
    if isinstance(settings.ledger, Path):
        from rotation.stores.file_ledger import FileLedger  # noqa: PLC0415  only one of the two is used

        ledger = FileLedger(settings.ledger)
    else:
        from rotation.stores.blob_ledger import BlobLedger  # noqa: PLC0415  only one of the two is used

        ledger = BlobLedger(settings.ledger, identity)
    connections = Connections(settings.server_connections)
    services = RotatorDependencies(
        Tokens(identity), settings.endpoints, _now, asyncio.sleep, random.SystemRandom(), connections
    )
    readers = _readers(settings, identity, session)
    rotators: dict[str, Rotator] = {}

    def rotator(name: str) -> Rotator:
        if name not in ROTATORS:
            raise Unusable(f"the tag rotator names none of {', '.join(ROTATORS)}", field="rotator")
        if name not in rotators:
            rotators[name] = ROTATORS[name].build(services)
        return rotators[name]

    refreshers: dict[str, Refresher] = {}

    def refresher(kind: str) -> Refresher:
        if kind not in refreshers:
            refreshers[kind] = REFRESHERS[kind].build(services)
        return refreshers[kind]

    clock = Clock(_now, time.monotonic)
    observer = telemetry(on=settings.telemetry)
    request_queue, shutdown = RequestQueue(settings.queue_service, identity, session), Shutdown()
    shutdown.listen()
    dependencies = EngineDependencies(
        vaults, ledger, policy, rotator, clock, random.SystemRandom(), observer=observer, reminders=request_queue,
        stopping=lambda: shutdown.asked, readers=readers, refresher=refresher,
    )  # fmt: skip
    followers = Followers(dependencies)
    notifier = Notifier(settings.outcome_topic, identity)
    return App(
        settings,
        Engine(dependencies),
        Sweeper(ledger, policy, followers=followers),
        followers,
        vaults,
        ledger,
        policy,
        rotator,
        notifier,
        request_queue,
        observer,
        PoisonQueueMonitor(settings.queue_service, identity),
        shutdown,
        readers,
    )


def _readers(settings: Settings, identity: AsyncTokenCredential, session: aiohttp.ClientSession) -> Readers:
    """The audit log, where one is configured."""
    if settings.audit_workspace is None:
        return NoReaders()
    from rotation.rotators.token_claims import claims_of  # noqa: PLC0415  only one of the two is used
    from rotation.stores.audit_log import AuditLog  # noqa: PLC0415  likewise

    endpoint, tokens = settings.endpoints.logs, Tokens(identity)

    async def whoami() -> str | None:
        oid = claims_of(await tokens.token(f"{endpoint}/.default")).get("oid")
        return oid if isinstance(oid, str) else None

    return AuditLog(settings.audit_workspace, endpoint, identity, session, whoami, _now)
