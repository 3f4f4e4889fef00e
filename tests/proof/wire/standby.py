"""A streaming standby that consumers read from: it lags, it stands still, it becomes the primary.

Whatever it says, the latest version in the vault is at no time one that the primary refuses, but for the moment between
an in-place change and its publication.
"""

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psycopg
from azure.core.exceptions import AzureError
from psycopg.conninfo import make_conninfo

from local.postgres import LocalPostgres
from rotation.model import SecretValue
from tests.e2e.deployment import logs_in
from tests.proof.kills.credentials import Managed
from tests.proof.wire.database import BY_ADMIN, IN_PLACE, IN_TURN, KINDS, PART, Database
from tests.proof.wire.stage import Stage
from tests.proof.wire.trial import Trial
from tests.standbys import asked, standby_of, wait_until_followed

GAP_S = 3.0  # between change and publication, on a busy machine
NEVER_ACCEPTED_S = 0.5  # a look may come between two publications; a dead one that was published stays for a second
LOOKS_EVERY_S = 0.1
STANDS_S = 15.0  # so that the sweep looks while the standby does not know it yet
BEHIND_S = 4
SETTLED_S = 0.5
_numbers = itertools.count(1)


class Pair:
    """primary: whose word counts. standby: where the values lead."""

    def __init__(self, primary: LocalPostgres, standby: LocalPostgres) -> None:
        self.primary = primary
        self.standby = standby

    async def followed(self) -> None:
        await asyncio.to_thread(wait_until_followed, self.primary, self.standby)

    async def told(self, server: LocalPostgres, statement: str) -> object:
        return await asyncio.to_thread(asked, server, statement)


async def trials(stage: Stage, data: Path, kinds: Sequence[str] = KINDS, states: Sequence[str] = ()) -> list[Trial]:
    """Each state of the standby, with each kind of role."""
    primary = LocalPostgres(data / "primary", durable=False)
    await asyncio.to_thread(primary.start)
    standby = await asyncio.to_thread(standby_of, primary, data / "standby")
    try:
        await asyncio.to_thread(standby.start)
        pair = Pair(primary, standby)
        database = Database(stage, primary, administrator="own-admin")
        await stage.app.put(database.administrator, database.admin)
        made = {"standing still": _paused, "behind": _behind, "made the primary": _promoted}  # the last one stays so
        found: list[Trial] = []
        for title, state in made.items():
            if not states or title in states:
                found += await _under(stage, pair, database, kinds, title, state(pair))
        return found
    finally:
        for server in (standby, primary):
            await asyncio.to_thread(server.stop)


async def _under(
    stage: Stage,
    pair: Pair,
    database: Database,
    kinds: Sequence[str],
    title: str,
    state: contextlib.AbstractAsyncContextManager[None],
) -> list[Trial]:
    part = f"{PART} with a standby"
    several = title == "made the primary"
    made = {f"{kind}: the standby {title}": await _managed(pair, database, kind, several=several) for kind in kinds}
    await pair.followed()
    watching = [asyncio.create_task(_watch(stage, pair, managed)) for managed in made.values()]
    try:
        judged = await stage.under(part, made, state)
    finally:
        for watch in watching:
            watch.cancel()
        seen = await asyncio.gather(*watching, return_exceptions=True)
    told = []
    for trial, dead in zip(judged, seen, strict=True):
        if isinstance(dead, Exception):  # and not the end of a watch that saw nothing, which was cancelled
            raise dead
        broken = trial.broken or (dead if isinstance(dead, str) else None)
        told.append(Trial(trial.part, trial.name, trial.answer, broken))
    return told


async def _managed(pair: Pair, database: Database, kind: str, *, several: bool) -> Managed:
    """A secret whose value leads to the standby, and whose tag says where the primary is; or to both of them."""
    number = f"{next(_numbers)}{secrets.token_hex(2)}"
    roles = [f"s{number}{letter}" for letter in "ab"]
    first, second = [await database.role(role, pair.standby.port) for role in roles]
    tags = {} if several else {"target": f"127.0.0.1:{pair.primary.port}"}
    if several:
        first, second = [_with_both(value, pair) for value in (first, second)]
    if kind == IN_PLACE:
        return Managed(f"role-{number}", {"rotator": "postgres", **tags}, first, logs_in)
    tags |= {"rotator": "postgres-alternating", "slots": ",".join(roles)}
    if kind == IN_TURN:
        return Managed(f"role-{number}", tags, first, logs_in, earlier=second)
    assert kind == BY_ADMIN
    return Managed(f"role-{number}-by-{database.administrator}", tags, first, logs_in)


def _with_both(value: SecretValue, pair: Pair) -> SecretValue:
    here = f"127.0.0.1:{pair.standby.port}"
    return SecretValue(value.reveal().replace(here, f"127.0.0.1:{pair.primary.port},{here}"))


async def _watch(stage: Stage, pair: Pair, managed: Managed) -> str:
    """A line once the latest version is one that the primary refuses: one that it never accepted, or for too long."""
    accepted: set[str] = set()
    since: dict[str, float] = {}
    while True:
        await asyncio.sleep(LOOKS_EVERY_S)
        with contextlib.suppress(AzureError, aiohttp.ClientError):
            latest = await stage.app.get(managed.name)
            version, now = str(latest.properties.version), time.monotonic()
            if not await _refused(pair, SecretValue(latest.value or "")):
                accepted.add(version)
                since.pop(version, None)
                continue
            within = GAP_S if version in accepted else NEVER_ACCEPTED_S
            if now - since.setdefault(version, now) > within:
                return f"{managed.name}: for more than {within} s the latest version was one that the primary refused"


async def _refused(pair: Pair, value: SecretValue) -> bool:
    """Whether the primary says no; a primary that does not answer says nothing."""
    at = make_conninfo(value.reveal(), host="127.0.0.1", port=pair.primary.port, connect_timeout=5)
    try:
        async with await psycopg.AsyncConnection.connect(at):
            return False
    except psycopg.OperationalError as error:
        return "password authentication failed" in str(error)


@asynccontextmanager
async def _paused(pair: Pair) -> AsyncIterator[None]:
    await pair.told(pair.standby, "SELECT pg_wal_replay_pause()")
    while await pair.told(pair.standby, "SELECT pg_get_wal_replay_pause_state()") != "paused":  # noqa: ASYNC110
        await asyncio.sleep(LOOKS_EVERY_S)
    yield
    await asyncio.sleep(STANDS_S)
    await pair.told(pair.standby, "SELECT pg_wal_replay_resume()")


@asynccontextmanager
async def _behind(pair: Pair) -> AsyncIterator[None]:
    for delay in (f"{BEHIND_S}s", None):
        change = f"SET recovery_min_apply_delay = '{delay}'" if delay else "RESET recovery_min_apply_delay"
        await pair.told(pair.standby, f"ALTER SYSTEM {change}")
        await pair.told(pair.standby, "SELECT pg_reload_conf()")
        await asyncio.sleep(SETTLED_S)
        if delay:
            yield
            await asyncio.sleep(STANDS_S)


@asynccontextmanager
async def _promoted(pair: Pair) -> AsyncIterator[None]:
    """A failover: rotations begin while there is no primary, and go on when the standby has become it."""
    await asyncio.to_thread(pair.primary.stop)
    pair.primary, pair.standby = pair.standby, pair.primary

    async def promote() -> None:
        await asyncio.sleep(SETTLED_S)
        await pair.told(pair.primary, "SELECT pg_promote()")

    task = asyncio.create_task(promote())
    yield
    await task
