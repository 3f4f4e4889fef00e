"""Between the app and what it reaches by HTTPS: the vault, the resource manager, Graph, the login, blobs."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from tests.e2e.deployment import logs_in
from tests.proof.kills.credentials import Managed, application_id, client_id, client_secret, signing_key, storage_key
from tests.proof.wire.database import AT_A_MESSAGE, IN_PLACE, IN_TURN
from tests.proof.wire.proxy import Fault, Handshake, Proxy
from tests.proof.wire.stage import Stage, met
from tests.proof.wire.trial import Trial

VAULT_PART, PLANES_PART = "the vault", "ARM, Graph and the login"
GENERATED, STORAGE, ENTRA = "made here", "storage key", "client secret"
VAULT_KINDS = (IN_PLACE, IN_TURN, GENERATED)
WINDOWS = ((IN_PLACE, GENERATED), (STORAGE, ENTRA))
_numbers = itertools.count(1)
_applications = itertools.count(1)


async def managed(stage: Stage, kind: str) -> Managed:
    """A secret of a kind, with nothing but the services between."""
    number, app = next(_numbers), stage.app
    name = f"plain-{number}"
    if kind == GENERATED:
        return signing_key(name)
    if kind == STORAGE:
        return storage_key(app, number)
    if kind == ENTRA:
        return client_secret(app, next(_applications))
    first, second = [await app.role(f"p{number}{letter}") for letter in "ab"]
    if kind == IN_PLACE:
        return Managed(name, {"rotator": "postgres"}, first, logs_in)
    slots = f"p{number}a,p{number}b"
    return Managed(name, {"rotator": "postgres-alternating", "slots": slots}, first, logs_in, earlier=second)


def vault_messages(name: str) -> Mapping[str, bytes]:
    """The requests of one rotation to the vault."""
    return {
        "the read": f"GET /secrets/{name}/".encode(),
        "the staging": f"PUT /secrets/{name}--staged?".encode(),
        "the publication": f"PUT /secrets/{name}?".encode(),
        "the clearing": f"PATCH /secrets/{name}--staged/".encode(),
    }


def planes_messages(kept: Managed) -> Mapping[str, bytes]:
    """The requests of one rotation to Azure's planes."""
    target = kept.tags["target"]
    if kept.tags["rotator"] == "storage-key":
        account = target.lower()
        return {
            "the list of keys": f"POST /arm{account}/listKeys".encode(),
            "the regeneration": f"POST /arm{account}/regenerateKey".encode(),
            "the account": f"GET /arm{account}?".encode(),
            "the login": f"GET /blob/{account.rpartition('/')[2]}/".encode(),
        }
    client = target.replace(application_id(0)[:-11], client_id(0)[:-11])
    return {
        "the application": f"GET /graph/v1.0/applications/{target}?".encode(),
        "the addition": f"POST /graph/v1.0/applications/{target}/addPassword".encode(),
        "the login": client.encode(),
    }


async def vault_trials(
    stage: Stage, kinds: Sequence[str] = VAULT_KINDS, faults: Sequence[Fault] = AT_A_MESSAGE
) -> list[Trial]:
    """Each fault at each request to the vault."""

    async def one(kind: str, message: str, fault: Fault) -> Trial:
        async def make() -> tuple[Managed, Callable[[], bool]]:
            kept = await managed(stage, kind)
            return kept, met(stage.vault.plan(fault, vault_messages(kept.name)[message]))

        return await stage.tried(VAULT_PART, f"{kind}: {message} {fault}", make)

    wanted = [(kind, message, fault) for kind in kinds for message in vault_messages("") for fault in faults]
    return list(await asyncio.gather(*(one(*each) for each in wanted)))


async def planes_trials(stage: Stage, faults: Sequence[Fault] = AT_A_MESSAGE) -> list[Trial]:
    """Each fault at each request to ARM, a storage account, Graph and the login."""

    async def one(kind: str, number: int, fault: Fault) -> Trial | None:
        title = ""

        async def make() -> tuple[Managed, Callable[[], bool]]:
            nonlocal title
            kept = await managed(stage, kind)
            title, text = list(planes_messages(kept).items())[number]
            return kept, met(stage.planes.plan(fault, text))

        return await stage.tried(PLANES_PART, f"{kind}: request {number + 1} {fault}", make)

    requests = ((STORAGE, 4), (ENTRA, 3))
    wanted = [(kind, number, fault) for kind, count in requests for number in range(count) for fault in faults]
    return [trial for trial in await asyncio.gather(*(one(*each) for each in wanted)) if trial is not None]


async def throttled_trials(stage: Stage) -> list[Trial]:
    """The vault says 429 to each operation of a rotation, twice: with a wait that a run sits out, one that is too long,
    and without one.
    """
    control = stage.app.stack.vault_control
    operations = {"the read": ("get", ""), "the staging": ("set", "--staged"), "the publication": ("set", "")}

    async def one(kind: str, message: str, wait_s: int | None) -> Trial:
        async def make() -> tuple[Managed, Callable[[], bool]]:
            kept = await managed(stage, kind)
            operation, suffix = operations[message]
            told = {} if wait_s is None else {"retry_after_s": wait_s}
            fault = {"kind": "status", "status": 429, "times": 2, "operation": operation, **told}
            number = control.post("faults", fault | {"name": kept.name + suffix})["id"]
            return kept, lambda: any(one["id"] == number and one["struck"] for one in control.get("faults"))

        when = "no Retry-After" if wait_s is None else f"Retry-After {wait_s}"
        return await stage.tried(f"{VAULT_PART}, throttled", f"{kind}: {message}, {when}", make)

    wanted = [(kind, message, wait_s) for kind in VAULT_KINDS for message in operations for wait_s in (1, 8, None)]
    return list(await asyncio.gather(*(one(*each) for each in wanted)))


async def handshake_trials(
    stage: Stage,
    part: str,
    proxy: Proxy,
    make: Callable[[str], Awaitable[Managed]],
    kinds: Sequence[str],
    handshakes: Sequence[Handshake] = tuple(Handshake),
) -> list[Trial]:
    """No connection comes about for a while, in each way that TLS can fail."""
    trials: list[Trial] = []
    for handshake in handshakes:
        made = {f"{kind}: {handshake}": await make(kind) for kind in kinds}
        trials += await stage.under(f"{part}, TLS", made, _spoilt(proxy, handshake))
    return trials


@asynccontextmanager
async def _spoilt(proxy: Proxy, handshake: Handshake) -> AsyncIterator[None]:
    proxy.handshake = handshake
    proxy.hang_up()
    try:
        yield
    finally:
        proxy.handshake = None
        proxy.hang_up()
