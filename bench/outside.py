"""What is seen from outside of the running app: (c) a rotation's calls to vault and ledger, (f) memory."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.owner import FOLLOWERS, LED, role
from local.demo_cases import ACCOUNT_ID
from local.stack import Stack
from local.vault.operations import Operation

BUSY_WITH = 200
WITHIN_S = 120.0
WITH_FOLLOWERS = "in place, two followers"


AHEAD_S = 1.1  # a version's `created` may be a second ahead of the vault's clock, by which grace is counted


@dataclass(frozen=True, slots=True)
class Calls:
    """What one rotation asked for, in order. vault: of companion and followers too. ledger: its port's methods."""

    vault: list[str]
    ledger: list[str]


def run(stack: Stack, ledger_calls: Path) -> list[Figure]:
    """(f) idle first, then (c), then (f) busy, in the same process. ledger_calls: where the host notes them."""
    idle = memory(stack)
    figures = calls(stack, ledger_calls)
    return [*figures, *busy(stack, idle)]


def calls(stack: Stack, ledger_calls: Path) -> list[Figure]:
    """Each kind once, by the event that Key Vault would send."""
    server = stack.ready["postgres"]
    other, current = role(server, "bench_b"), role(server, "bench_a")
    key = stack.azure_control.post("accounts", {"id": ACCOUNT_ID})["keys"]["key1"]
    led = role(server, "bench_led")
    for vault_name, follower in FOLLOWERS:
        put(stack, follower, led, {"follows": f"kv-demo/{LED}"}, vault_name)
    # The most calls of the vault, and how many of them may be creations, as Key Vault limits these.
    kinds: dict[str, tuple[list[str], Mapping[str, str], tuple[int, int] | None]] = {
        "in place": ([role(server, "bench_in_place")], {"rotator": "postgres"}, (7, 2)),
        # Without followers 4 calls are made, two of them creations. Each follower is read once and written once.
        WITH_FOLLOWERS: ([led], {"rotator": "postgres"}, (8, 4)),
        "two roles": ([other, current], {"rotator": "postgres-alternating", "slots": "bench_a,bench_b"}, None),
        "storage key": ([key], {"rotator": "storage-key", "target": ACCOUNT_ID, "slot": "key1"}, None),
        "made here": (["0" * 64], {"rotator": "generated", "format": "hex"}, None),
    }
    found = []
    for kind, (values, tags, most) in kinds.items():
        name = LED if kind == WITH_FOLLOWERS else "bench-" + kind.replace(" ", "-")
        for value in values:
            version = put(stack, name, value, tags)
        # The first rotation also gets to know the secret; those that follow, year after year, are what counts.
        first = rotated(stack, ledger_calls, name, version)
        second = rotated(stack, ledger_calls, name, due_again(stack, name))
        creations = second.vault.count(Operation.SET.value)
        how = f"{creations} of them creations; {len(first.vault)} the first time, when the secret is not known yet"
        found.append(Figure(f"c  vault calls, {kind}", len(second.vault), "calls", how, most and most[0]))
        how = f"{_counts(second.ledger)}; the first time {len(first.ledger)}: {_counts(first.ledger)}"
        found.append(Figure(f"c  ledger calls, {kind}", len(second.ledger), "calls", how))
        if most:
            found.append(Figure(f"c  creations, {kind}", creations, "calls", "of the calls above", most[1]))
    return found


def _counts(calls: Sequence[str]) -> str:
    return ", ".join(f"{count} {call}" for call, count in Counter(calls).items())


def busy(stack: Stack, idle: float) -> list[Figure]:
    """Memory of the host's process, which is the app's, before its first work and after much of it."""
    for number in range(BUSY_WITH):
        put(stack, f"busy-{number}", role(stack.ready["postgres"], f"busy_{number}"), {"rotator": "postgres"})
    ask(stack, "POST", "/api/rotations", {"names": ["busy-*"]})
    most, until = idle, time.monotonic() + WITHIN_S
    while ask(stack, "GET", "/admin/queues/rotation-requests")["count"]:
        most = max(most, memory(stack))
        assert time.monotonic() < until, "the queue does not become empty"
        time.sleep(0.1)
    how = "resident, of the process that serves the app; nothing was asked of it yet"
    return [
        Figure("f  memory, idle", idle, "MiB", how),
        Figure("f  memory, busy", most, "MiB", f"the highest seen while {BUSY_WITH} rotations came by the queue"),
    ]


def memory(stack: Stack) -> float:
    """MiB."""
    command = ["ps", "-o", "rss=", "-p", str(stack.ready["pids"]["host"])]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024


def put(stack: Stack, name: str, value: str, tags: Mapping[str, str], vault_name: str = "kv-demo") -> str:
    """Write a version that expires in ten days -> its id."""
    ends = int((datetime.now(UTC) + timedelta(days=10)).timestamp())
    body = {"value": value, "tags": {"grace-hours": "0", **tags}, "attributes": {"exp": ends}}
    written = vault(stack, "PUT", f"/secrets/{name}?api-version=7.6", body, vault_name)
    return str(written["id"].rpartition("/")[2])


def latest(stack: Stack, name: str) -> str:
    """The latest version's id."""
    return str(vault(stack, "GET", f"/secrets/{name}/?api-version=7.6")["id"].rpartition("/")[2])


def due_again(stack: Stack, name: str) -> str:
    """Let a sweep retire the old slot, and the latest version expire in ten days -> its id."""
    time.sleep(AHEAD_S)
    ask(stack, "POST", "/admin/functions/sweep", {})
    _drained(stack)
    version = latest(stack, name)
    ends = int((datetime.now(UTC) + timedelta(days=10)).timestamp())
    vault(stack, "PATCH", f"/secrets/{name}/{version}?api-version=7.6", {"attributes": {"exp": ends}})
    return version


def _drained(stack: Stack) -> None:
    until = time.monotonic() + WITHIN_S
    while ask(stack, "GET", "/admin/queues/rotation-requests")["count"]:
        assert time.monotonic() < until, "the queue does not become empty"
        time.sleep(0.02)


def rotated(stack: Stack, ledger_calls: Path, name: str, version: str) -> Calls:
    """Rotate by event -> what that asked for."""
    stack.vault_control.delete("calls")
    ledger_calls.write_text("")
    data = {"VaultName": "kv-demo", "ObjectType": "Secret", "ObjectName": name, "Version": version}
    event = {
        "id": f"{name}-{version}", "topic": "/t", "subject": name, "eventType": "Microsoft.KeyVault.SecretExpired",
        "eventTime": datetime.now(UTC).isoformat(), "dataVersion": "1", "data": data,
    }  # fmt: skip
    ask(stack, "POST", "/runtime/webhooks/eventgrid?functionName=near_expiry", [event])
    _drained(stack)
    to_ledger = ledger_calls.read_text().split()
    to_vault = [one["operation"] for one in stack.vault_control.get("calls") if (one["name"] or "").startswith(name)]
    assert latest(stack, name) != version, f"{name} was not rotated"
    return Calls(to_vault, to_ledger)


def ask(stack: Stack, method: str, path: str, body: Any = None) -> Any:
    """Of the app's host."""
    headers = {"x-functions-key": stack.ready["function_key"], "aeg-event-type": "Notification"}
    return _call(method, stack.ready["functions"] + path, headers, body)


def vault(stack: Stack, method: str, path: str, body: Any = None, name: str = "kv-demo") -> Any:
    """Of the vault of this name, by its REST interface."""
    env = stack.ready["env"]
    endpoint = f"{env['IDENTITY_ENDPOINT']}?api-version=2019-08-01&resource=https://vault.azure.net"
    token = _call("GET", endpoint, {"X-IDENTITY-HEADER": env["IDENTITY_HEADER"]}, None)["access_token"]
    return _call(
        method,
        stack.ready["vaults"][name] + path,
        {"Authorization": f"Bearer {token}"},
        body,
        env["SSL_CERT_FILE"],
    )


def _call(method: str, url: str, headers: Mapping[str, str], body: Any, ca: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {**headers, "Content-Type": "application/json"}, method=method)  # noqa: S310  loopback
    tls = ssl.create_default_context(cafile=ca) if ca else None
    with urllib.request.urlopen(request, timeout=30, context=tls) as answer:  # noqa: S310  as above
        text = answer.read()
    return json.loads(text) if text else None
