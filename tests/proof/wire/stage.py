"""A running stack whose app reaches every part through a proxy, and somebody who sweeps and looks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from local.azurite import ACCOUNT
from local.certificates import ensure
from local.stack import Stack
from tests.e2e.deployment import VAULT, Answer, Deployment, opened
from tests.e2e.leaks import leaks, places, values_of
from tests.proof.kills.credentials import Managed, application_id
from tests.proof.wire.proxy import Plan, Proxy, TlsEnds, serving
from tests.proof.wire.trial import Trial, dishonest, unasked

POLICY = Path(__file__).parent / "policy.toml"
APPLICATIONS = 40
CONTAINER = "ledger"
DUE = timedelta(days=20)  # the sweep asks for it, as long as it was not rotated
AT_ONCE = 48
HELD_WITHIN_S = 120.0  # a busy machine's
MENDED_WITHIN_S = 400.0  # long, since all trials share the machine and one sweep; a human is who is not waited for
LOOKS_EVERY_S = 1.0
# Each try that met a fault comes back soon; Azure has the same switch.
SETTINGS = {"AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:02"}


class Stage:
    """vault, planes, ledger: between the app and the vault, ARM and Graph, and blob storage where the ledger is there.

    Databases get proxies of their own, by `add`.
    """

    def __init__(self, app: Deployment, vault: Proxy, planes: Proxy, ledger: Proxy, answers: list[str]) -> None:
        self.app = app
        self.vault = vault
        self.planes = planes
        self.ledger = ledger
        self.answers = answers
        self.proxies = contextlib.AsyncExitStack()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._states: Mapping[str, str] = {}
        self._looked = asyncio.Condition()

    async def add(self, proxy: Proxy) -> Proxy:
        """Let a proxy work until the end."""
        await self.proxies.enter_async_context(serving(proxy))
        return proxy

    async def put(self, managed: Managed) -> None:
        """Let it be in the vault, and due. The version from before is nobody's business yet: it has no tags."""
        if managed.earlier is not None:
            await self.app.put(managed.name, managed.earlier)
        await self.app.put(managed.name, managed.value, managed.tags, life=DUE)

    async def tried(
        self, part: str, fault: str, make: Callable[[], Awaitable[tuple[Managed, Callable[[], bool]]]]
    ) -> Trial:
        """Rotate once by hand, into the fault; afterwards only the app's own queue and sweep act.

        make: the secret, and whether the fault struck.
        """
        async with self._gate:
            managed, struck = await make()
            await self.put(managed)
            name = f"{fault} ({managed.name})"
            answer = await self.app.rotate(managed.name)
        return await self.judged(part, name, managed, answer, struck)

    async def under(
        self, part: str, made: Mapping[str, Managed], state: AbstractAsyncContextManager[None]
    ) -> list[Trial]:
        """Rotate each, by its title, while `state` lasts."""
        for managed in made.values():
            await self.put(managed)
        async with state:
            answers = await asyncio.gather(*(self.app.rotate(managed.name) for managed in made.values()))
        judged = (
            self.judged(part, title, managed, answer)
            for (title, managed), answer in zip(made.items(), answers, strict=True)
        )
        return list(await asyncio.gather(*judged))

    async def midway(
        self, part: str, made: Mapping[str, tuple[Managed, Plan]], state: AbstractAsyncContextManager[None]
    ) -> list[Trial]:
        """Rotate each up to where its plan holds it; from there on `state` lasts, until all have answered."""
        for managed, _ in made.values():
            await self.put(managed)
        asked = [asyncio.create_task(self.app.rotate(managed.name)) for managed, _ in made.values()]
        async with asyncio.timeout(HELD_WITHIN_S):
            await asyncio.gather(*(plan.met.wait() for _, plan in made.values()))
        async with state:
            for _, plan in made.values():
                plan.go_on.set()
            answers = await asyncio.gather(*asked)
        judged = (
            self.judged(part, title, managed, answer)
            for (title, (managed, _)), answer in zip(made.items(), answers, strict=True)
        )
        return list(await asyncio.gather(*judged))

    async def judged(
        self, part: str, name: str, managed: Managed, answer: Answer, struck: Callable[[], bool] = lambda: True
    ) -> Trial:
        """What came of it, once it is mended or a human would have to come."""
        broken = dishonest(name, answer) or await self._mended(name, managed)
        if broken is None and not struck():
            broken = f"{name}: the fault was never met"
        return Trial(part, name, answer.status, broken)

    async def _mended(self, name: str, managed: Managed) -> str | None:
        """A line, unless the sweep alone brings the secret to one finished rotation whose version works."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MENDED_WITHIN_S):
                while True:
                    async with self._looked:
                        await self._looked.wait_for(lambda: self._states.get(managed.name) == "current")
                        self._states = {key: state for key, state in self._states.items() if key != managed.name}
                    if await managed.works(await self.app.value(managed.name)):
                        return unasked(name, await self.app.read(managed.name))
        told = await self.app.call("GET", f"/api/vaults/{VAULT}/secrets/{managed.name}")
        return f"{name}: not mended within {MENDED_WITHIN_S:.0f} s: {told.status} {told.text[-900:]}"

    async def look(self) -> None:
        """Sweep and look, again and again, until cancelled."""
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                await self.app.call("POST", "/admin/functions/sweep", json={})
                answer = await self.app.call("GET", f"/api/vaults/{VAULT}/secrets")
                if answer.status == 200:
                    async with self._looked:
                        self._states = {one["secret"]: one["state"] for one in answer.json["secrets"]}
                        self._looked.notify_all()
            await asyncio.sleep(LOOKS_EVERY_S)

    def leaked(self) -> tuple[int, list[str]]:
        """How many values were looked for in all that was written, and where one stands."""
        stack = self.app.stack
        texts = [(path.name, path.read_bytes()) for path in places(stack.data)]
        values = {*values_of(stack.data), stack.postgres.admin_password.reveal()}
        return len(values), leaks(values, [*texts, ("HTTP answers", "\n".join(self.answers).encode())])


def met(*plans: Plan) -> Callable[[], bool]:
    """Whether each of them struck."""
    return lambda: all(plan.met.is_set() for plan in plans)


@asynccontextmanager
async def staged(data: Path, *, disk: Path | None = None, blobs: int | None = None) -> AsyncIterator[Stage]:
    """A stage. Its ledger stands in `data`, on `disk`, or in blob storage on the port `blobs` over TLS."""
    await asyncio.to_thread(data.mkdir, parents=True, exist_ok=True)
    answers: list[str] = []
    tls = TlsEnds.of(ensure(data / "tls"), data / "foreign-tls")
    vault, planes, ledger = Proxy(tls=tls), Proxy(tls=tls), Proxy(blobs or 0, tls=tls)
    settings = {**SETTINGS, "ROTATION_VAULTS": f"{VAULT}=https://localhost:{vault.port}"}
    if blobs is not None:
        settings["ROTATION_LEDGER"] = f"https://localhost:{ledger.port}/{ACCOUNT}/{CONTAINER}"
    elif disk is not None:
        settings["ROTATION_LEDGER"] = f"file:{disk / 'ledger'}"
    shown = ("--shown-port", str(planes.port))
    stack = Stack(data, policy=_policy(data), settings=settings, log_statement="all", azure=shown, durable=False)
    async with serving(vault, planes, ledger), contextlib.AsyncExitStack() as closing:
        closing.push_async_callback(asyncio.to_thread, stack.stop)
        await asyncio.to_thread(stack.start)
        vault.upstream = _port(stack.ready["vaults"][VAULT])
        planes.upstream = _port(stack.azure_control.url)
        stack.vault_control.post("event-endpoint", {"url": None})  # nothing is asked but what is asked here
        app = await closing.enter_async_context(opened(stack, answers))
        stage = Stage(app, vault, planes, ledger, answers)
        await app.put("pg-admin", app.admin)
        async with stage.proxies:
            looking = asyncio.create_task(stage.look())
            try:
                yield stage
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def _policy(data: Path) -> Path:
    named = '", "'.join(application_id(number) for number in range(1, APPLICATIONS + 1))
    path = data / "policy.toml"
    path.write_text(POLICY.read_text().replace("every application of the trials", named))
    return path
