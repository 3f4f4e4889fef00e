"""Thousands of due secrets at once, with the vault's limits switched on: through the host's queue, or by instances.

One instance: the sweep fills the host's queue, and the app in Microsoft's worker library drains it, as deployed.
Several: processes of their own, each the app of `app.wiring` with its share of the messages, since the local queue
has one consumer; what is put back comes back to the same one.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from app.messages import to_text
from local.children import ROOT
from local.stack import Stack
from local.vault.limits import Rates
from rotation.model import Reason, RotationRequest, SecretRef
from tests.proof.load.machine import connections_to, cpu_s, memory_mib, processors_s
from tests.proof.load.owner import logs_in, owning, side_by_side

POLICY = Path(__file__).parent / "policy.toml"
TAGS = {"rotator": "postgres"}
LOOKS_EVERY_S = 0.05
WITHIN_S = 600.0
OK, TOO_MANY = 200, 429


@dataclass(frozen=True, slots=True)
class Trial:
    """instances: 0 is the host's one, through its queue. connections: ROTATION_SERVER_CONNECTIONS, of each instance."""

    secrets: int
    vaults: int
    databases: int
    instances: int = 0
    rates: Rates = field(default_factory=Rates)
    creations: int = 290
    connections: int = 8


@dataclass(slots=True)
class Seen:
    """What came of a trial. busy: the share of all processors that was not idle. broken: a line each.

    creations_a_second: over all vaults, from the first one to the last. allowed_a_second: by the limits.
    """

    rotated: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    creations_a_second: float = 0.0
    allowed_a_second: float = 0.0
    calls: int = 0
    throttled: int = 0
    put_back: int = 0
    most_in_window: int = 0
    connections: int = 0
    too_many_connections: int = 0
    cpu_s: dict[str, float] = field(default_factory=dict)
    memory_mib: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def throughput(self) -> float:
        """Of what the limits allow."""
        return self.creations_a_second / self.allowed_a_second

    @property
    def looks(self) -> int:
        """How often connections and memory were looked at."""
        return len(self.memory_mib)

    @property
    def growth_mib(self) -> float:
        """From when a third was done to the end: at first, caches and pools fill."""
        return max(self.memory_mib[len(self.memory_mib) // 3 :]) - self.memory_mib[len(self.memory_mib) // 3]


def rotate_all(data: Path, trial: Trial) -> Seen:
    """Prepare, rotate everything, and look at what came of it."""
    vaults = [f"kv-load-{number}" for number in range(trial.vaults)]
    settings = {
        "ROTATION_SERVER_CONNECTIONS": str(trial.connections),
        "ROTATION_VAULT_CREATIONS": str(trial.creations),
        "ROTATION_SWEEP_SCHEDULE": "0 0 0 1 1 *",  # asked for here, and at no other time
    }
    postgres = {"max_connections": str(trial.connections * max(trial.instances, 1) + 40)}
    stack = Stack(data, policy=POLICY, vaults=vaults, settings=settings)
    stack.postgres.settings |= postgres
    with stack:
        stack.vault_control.post("event-endpoint", {"url": None})
        names = {f"s-{number:05}": vaults[number % trial.vaults] for number in range(trial.secrets)}
        before = asyncio.run(_prepare(stack, names, trial.databases))
        rates = trial.rates
        limits = asdict(rates)
        stack.vault_control.post("limits", limits)
        stack.vault_control.delete("calls")
        seen = Seen()
        apps: list[int] = [] if trial.instances else [stack.ready["pids"]["host"]]
        with _watched(stack, seen, trial.connections * max(trial.instances, 1), apps):
            if trial.instances:
                _by_instances(stack, trial, before, settings, seen, apps)
            else:
                _by_the_queue(stack)
        _count(stack.vault_control.get("calls"), trial, seen)
        stack.vault_control.post("limits", {"enabled": False})
        asyncio.run(_look(stack, names, before, seen))
    return seen


async def _prepare(stack: Stack, names: Mapping[str, str], databases: int) -> dict[SecretRef, str]:
    """-> the versions that are due."""
    async with owning(stack) as owner:
        dbs = [f"db_{number}" for number in range(databases)]
        await owner.make(list(names), dbs)
        refs = [SecretRef(vault, name) for name, vault in names.items()]
        calls = [
            owner.put(ref.vault, ref.name, owner.url(ref.name, dbs[number % databases]), TAGS)
            for number, ref in enumerate(refs)
        ]
        return dict(zip(refs, await side_by_side(calls), strict=True))


def _by_the_queue(stack: Stack) -> None:
    _ask(stack, "POST", "/admin/functions/sweep")
    until = time.monotonic() + WITHIN_S
    while _ask(stack, "GET", "/admin/queues/rotation-requests")["count"]:
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.2)


def _by_instances(
    stack: Stack, trial: Trial, due: Mapping[SecretRef, str], settings: Mapping[str, str], seen: Seen, apps: list[int]
) -> None:
    """apps: gets their process ids."""
    messages = [to_text(RotationRequest(ref, version, Reason.SWEEP, "sweep")) for ref, version in due.items()]
    random.Random(0).shuffle(messages)  # each instance meets each vault
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROTATION_")}
    environment |= dict(stack.ready["env"]) | dict(settings)
    environment |= {
        "ROTATION_VAULTS": ",".join(f"{name}={url}" for name, url in stack.ready["vaults"].items()),
        "ROTATION_POLICY": str(POLICY),
        "ROTATION_LEDGER": f"file:{stack.data / 'ledger'}",
        "ROTATION_HTTP_AUTH": "key",
    }
    shares = [json.dumps(messages[number :: trial.instances]) for number in range(trial.instances)]
    with ThreadPoolExecutor(len(shares)) as pool:
        for told in pool.map(lambda share: _instance(share, environment, apps), shares):
            seen.cpu_s["app"] = seen.cpu_s.get("app", 0.0) + told["cpu_s"]
            seen.put_back += told["put_back"]
            seen.broken += told["failed"]


def _instance(messages: str, environment: Mapping[str, str], apps: list[int]) -> Any:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.proof.load.instance"], cwd=ROOT, env=dict(environment), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        apps.append(process.pid)
        try:
            told, _ = process.communicate(messages, timeout=WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return json.loads(told)


@contextmanager
def _watched(stack: Stack, seen: Seen, connections: int, apps: Sequence[int]) -> Iterator[None]:
    """Looks at memory of the apps and at connections (so many are allowed) all the while; at processor time before and
    after. What instances took, they tell themselves.
    """
    pids = {"app": stack.ready["pids"]["host"], "vault": stack.ready["pids"]["vault"], "postgres": stack.postgres.pid}
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOKS_EVERY_S):
            count = connections_to(stack.postgres.port)
            seen.connections = max(seen.connections, count)
            seen.too_many_connections += count > connections
            seen.memory_mib.append(sum(map(memory_mib, apps)))

    watching = threading.Thread(target=look)
    watching.start()
    began, (busy, total) = time.monotonic(), processors_s()
    try:
        yield
    finally:
        seen.seconds = time.monotonic() - began
        busy_now, total_now = processors_s()
        seen.busy = (busy_now - busy) / (total_now - total)
        done.set()
        watching.join()
    for name, pid in pids.items():
        seen.cpu_s[name] = seen.cpu_s.get(name, 0.0) + cpu_s(pid) - before[name]


def _count(calls: Sequence[Mapping[str, Any]], trial: Trial, seen: Seen) -> None:
    """What the vaults' own records say: each creation when it came in."""
    seen.calls = len(calls)
    seen.throttled = sum(call["status"] == TOO_MANY for call in calls)
    rates = trial.rates
    made: dict[str, list[float]] = {}
    for call in calls:
        if call["operation"] == "set" and call["status"] == OK:
            made.setdefault(call["vault"], []).append(datetime.fromisoformat(call["at"]).timestamp())
    for times in made.values():
        times.sort()
        seen.most_in_window = max(seen.most_in_window, _most_within(times, rates.window_s))
    began, ended = min(times[0] for times in made.values()), max(times[-1] for times in made.values())
    seen.creations_a_second = sum(map(len, made.values())) / (ended - began)
    seen.allowed_a_second = rates.creates / rates.window_s * len(made)


def _most_within(times: Sequence[float], window_s: float) -> int:
    first = most = 0
    for last, at in enumerate(times):
        while times[first] <= at - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


async def _look(stack: Stack, names: Mapping[str, str], before: Mapping[SecretRef, str], seen: Seen) -> None:
    """Each secret has another version, and that logs in."""
    async with owning(stack) as owner:

        async def one(ref: SecretRef) -> None:
            version, value = await owner.get(ref.vault, ref.name)
            if version == before[ref]:
                seen.broken.append(f"{ref} was not rotated")
            elif not await logs_in(value):
                seen.broken.append(f"{ref} does not log in")
            else:
                seen.rotated += 1

        await side_by_side([one(SecretRef(vault, name)) for name, vault in names.items()])


def _ask(stack: Stack, method: str, path: str) -> Any:
    headers = {"x-functions-key": stack.ready["function_key"], "Content-Type": "application/json"}
    data = b"{}" if method == "POST" else None
    request = urllib.request.Request(stack.ready["functions"] + path, data=data, headers=headers, method=method)  # noqa: S310  loopback
    with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:  # noqa: S310  as above
        text = answer.read()
    return json.loads(text) if text else None
