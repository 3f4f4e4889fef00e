"""Thousands of due secrets at Key Vault's limits in simulated time: no processor binds, but the limit or the app.

The app's own handler, engine, vault store and pace, against vaults, a ledger and a server in memory. The event loop's
clock stands still while anything is done, and jumps to the next moment when all wait.
"""

import asyncio
import logging
import random
import selectors
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.keyvault.secrets import KeyVaultSecret, SecretProperties

from app.messages import to_text
from app.shutdown import Shutdown
from local.vault.errors import ServiceError
from local.vault.limits import Limits, Rates
from local.vault.operations import Operation
from rotation.engine.engine import Engine, EngineDependencies
from rotation.model import Outcome, Reason, Result, RotationRequest, Secret, SecretRef, SecretValue
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.targets import parse_target
from rotation.stores.keyvault import KeyVaultStore
from rotation.stores.rate_limiter import RateLimiter
from tests.fakes import TARGET, FakeClock, FakeRotator, FakeServer, Hook, InMemoryLedger, InMemoryVault, parts, value
from tests.proof.load.instance import OwnQueue, work

VAULT_S, LEDGER_S, SERVER_S, QUEUE_S = 0.05, 0.02, 0.02, 0.02  # what a call takes


@dataclass(slots=True)
class Counted:
    """What came of it. calls, refused: of the vaults, and those answered 429. made: moments of new versions, by vault.

    left, called_off: reminders. broken: a line each.
    """

    rotated: int = 0
    calls: int = 0
    refused: int = 0
    put_back: int = 0
    left: int = 0
    called_off: int = 0
    made: dict[str, list[float]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From the first new version to the last, of all vaults."""
        return max(map(max, self.made.values())) - min(map(min, self.made.values()))

    def throughput(self, rates: Rates) -> float:
        """New versions a second, as a share of what the limits of all vaults allow."""
        allowed = len(self.made) * rates.creates / rates.window_s
        return sum(map(len, self.made.values())) / self.seconds / allowed


def rotate_in_simulated_time(
    secrets: int, vaults: int, instances: int, creations: int = 290, seed: int = 0, *, retry_after: bool = True
) -> Counted:
    """Each secret is due once. Instances know nothing of each other; creations: what each makes in ten seconds.

    retry_after: whether a vault that refuses says for how long.
    """
    rates = Rates(retry_after=retry_after)
    logging.disable(logging.WARNING)
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        counted = runner.run(_rotated(secrets, vaults, instances, creations, random.Random(seed), rates))
    logging.disable(logging.NOTSET)
    return counted


class _Leaps(selectors.SelectSelector):
    """Where a loop would wait, its clock goes on by so much."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("all wait, and nothing will ever come")
        self.now += max(timeout, 0.0)
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while anything is done."""

    def __init__(self) -> None:
        self._leaps = _Leaps()
        super().__init__(self._leaps)

    def time(self) -> float:
        return self._leaps.now


class _Time(FakeClock):
    """The loop's own, for all parts that ask for the time."""

    def now(self) -> datetime:
        return self.moment + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class _Client:
    """In place of azure.keyvault.secrets.aio.SecretClient: as much of it as the store asks for, limits included."""

    def __init__(self, vault: InMemoryVault, time: _Time, counted: Counted, rates: Rates) -> None:
        self._vault = vault
        self._time = time
        self._counted = counted
        self._limits = Limits(time.monotonic)
        self._limits.set(rates)

    async def get_secret(self, name: str, version: str | None, *, raw_response_hook: Any) -> KeyVaultSecret:
        await self._called(Operation.GET, raw_response_hook)
        return _as_sdk(await self._vault.get(name, version))

    async def list_properties_of_secret_versions(
        self, name: str, *, raw_response_hook: Any
    ) -> AsyncIterator[SecretProperties]:
        await self._called(Operation.VERSIONS, raw_response_hook)
        for secret in self._vault.all(name):
            yield _as_sdk(secret).properties

    async def set_secret(self, name: str, value: str, *, raw_response_hook: Any, **fields: Any) -> KeyVaultSecret:
        await self._called(Operation.SET, raw_response_hook)
        self._counted.made.setdefault(self._vault.name, []).append(self._time.monotonic())
        return _as_sdk(await self._vault.set(name, SecretValue(value), **fields))

    async def update_secret_properties(
        self, name: str, version: str, *, enabled: bool | None = None, tags: Mapping[str, str] | None = None
    ) -> None:
        await self._called(Operation.UPDATE)
        if enabled is not None:
            await self._vault.set_enabled(name, version, enabled=enabled)
        if tags is not None:
            await self._vault.set_tags(name, version, tags)

    async def _called(self, operation: Operation, hook: Any = None) -> None:
        await asyncio.sleep(VAULT_S / 2)
        self._counted.calls += 1
        try:
            self._limits.take(self._vault.name, operation)
        except ServiceError as error:
            self._counted.refused += 1
            answer: Any = SimpleNamespace(status_code=error.status, reason="", headers=error.headers)
            raise HttpResponseError("refused", response=answer) from None
        finally:
            await asyncio.sleep(VAULT_S / 2)
        if hook is not None:
            dated = {"Date": format_datetime(self._time.now(), usegmt=True)}
            hook(SimpleNamespace(http_response=SimpleNamespace(headers=dated)))


class _Store(KeyVaultStore):
    """The app's own, on another client and clock."""

    def __init__(self, name: str, client: Any, limiter: RateLimiter) -> None:
        self._name = name
        self._client = client
        self._limiter = limiter


class _Notifier:
    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    async def tell(self, outcome: Outcome) -> None:
        if outcome.result in {Result.ROTATED, Result.RESUMED}:
            self._counted.rotated += 1
        elif outcome.result is not Result.SUPERSEDED:  # a reminder of a run that met the limit
            self._counted.broken.append(f"{outcome.result.value} {outcome.ref}: {outcome.detail}")


async def _rotated(
    secrets: int, vaults: int, instances: int, creations: int, rng: random.Random, rates: Rates
) -> Counted:
    time, counted = _Time(), Counted()
    kept = {f"kv-{number}": InMemoryVault(f"kv-{number}", time, number) for number in range(vaults)}
    ledger = InMemoryLedger(time)
    names = {f"s-{number:05}": list(kept)[number % vaults] for number in range(secrets)}
    server = FakeServer(dict.fromkeys(names, "first"))
    messages = [to_text(await _due(kept[vault], name, time)) for name, vault in names.items()]
    rng.shuffle(messages)  # each instance meets each vault
    ledger.hook, server.hook = _taking(LEDGER_S), _taking(SERVER_S)
    clients = {name: _Client(vault, time, counted, rates) for name, vault in kept.items()}
    queues = []
    for number in range(instances):
        stores = {
            name: _Store(
                name, client, RateLimiter(creations, monotonic=time.monotonic, rng=random.Random(rng.random()))
            )
            for name, client in clients.items()
        }
        queue = OwnQueue(messages[number::instances], rng, QUEUE_S)
        engine = Engine(
            EngineDependencies(
                stores, ledger, _policy(list(kept)), lambda _: FakeRotator(server, "in-place", rng.getrandbits(32)),
                time.clock, random.Random(rng.random()), reminders=queue,
            )
        )  # fmt: skip
        app: Any = SimpleNamespace(engine=engine, request_queue=queue, notifier=_Notifier(counted), shutdown=Shutdown())
        queues.append((app, queue))
    for failed in await asyncio.gather(*(work(app, queue) for app, queue in queues)):
        counted.broken += failed
    counted.put_back = sum(queue.put_backs for _, queue in queues)
    counted.left = sum(queue.left for _, queue in queues)
    counted.called_off = sum(queue.called_off for _, queue in queues)
    for name, vault in names.items():
        role, password = parts(kept[vault].latest(name).value)
        if password == "first" or server.passwords[role] != password:
            counted.broken.append(f"{vault}/{name} was not rotated, or does not log in")
    return counted


def _policy(vaults: list[str]) -> Policy:
    terms = RuleTerms(rule=1, slots=("*",))
    return Policy((Rule(tuple(vaults), ("*",), ("in-place",), terms, (parse_target(TARGET),)),))


async def _due(vault: InMemoryVault, name: str, time: _Time) -> RotationRequest:
    expires = time.now() + timedelta(days=10)
    made = await vault.set(name, value(name, "first"), tags={"rotator": "in-place"}, expires_on=expires)
    return RotationRequest(SecretRef(vault.name, name), made.version, Reason.SWEEP, "sweep")


def _taking(seconds: float) -> Hook:
    async def take(when: str, _call: str, _name: str) -> None:
        if when == "before":
            await asyncio.sleep(seconds)

    return take


def _as_sdk(secret: Secret) -> KeyVaultSecret:
    times: Any = SimpleNamespace(
        enabled=secret.enabled, created=secret.created_on, expires=secret.expires_on, not_before=secret.not_before
    )
    properties = SecretProperties(
        times,
        f"https://{secret.ref.vault}.vault.azure.net/secrets/{secret.ref.name}/{secret.version}",
        tags=dict(secret.tags),
        content_type=secret.content_type,
    )
    return KeyVaultSecret(properties, secret.value.reveal())
