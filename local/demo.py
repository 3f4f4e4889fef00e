"""`python -m local demo`: from "expires soon" to "rotated and proven", told on the terminal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from azure.core.exceptions import AzureError
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from local.demo_cases import CASES, Case
from local.stack import Stack
from rotation.model import SecretValue

VAULT = "kv-demo"
LIFE_LEFT = timedelta(days=20)  # Key Vault raises SecretNearExpiry 30 days before the end
ROTATES_WITHIN_S = 30.0
LOOKS_EVERY_S = 0.05
STEPS = {
    "adopted": "the version in the vault logged in, as {slot}",
    "staged": "the new value was kept in the companion secret, before anything changed",
    "applying": "the change was written down; killed from here on, the next run finishes it",
    "published": "version {version} was written",
    "verified": "version {version} logged in",
    "rotated": "done: the new credential is proven and published",
}


class DemoFailed(Exception):
    """It did not come out as it must; the message says what."""


def demo(stack: Stack) -> int:
    """0: every credential was rotated and proven. 1: one was not, and a line says which."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `with` still stops what was started
    console = Console(highlight=False)
    began = time.monotonic()
    with stack:
        console.print(
            f"[bold]Keyturn[/bold] is up after {time.monotonic() - began:.1f} s: PostgreSQL, a Key Vault over TLS, "
            "and the app in Microsoft's own worker library, all on this machine.\n"
        )
        os.environ.update(stack.ready["env"])  # as App Service does; the identity's endpoint is found there
        try:
            asyncio.run(_tell(stack, console))
        except (DemoFailed, AzureError, psycopg.Error, OSError) as error:
            console.print(f"[bold red]failed:[/bold red] {error}\nthe app's log: {stack.data / 'host.log'}")
            console.print((stack.data / "host.log").read_text(errors="replace")[-2000:], markup=False)
            return 1
    console.print("[bold green]Every credential was rotated and proven.[/bold green] To play with it: make up")
    return 0


async def _tell(stack: Stack, console: Console) -> None:
    cases = [make(stack) for make in CASES]
    async with (
        ManagedIdentityCredential() as identity,
        SecretClient(
            stack.ready["vaults"][VAULT],
            identity,
            verify_challenge_resource=False,
            connection_verify=stack.ready["env"]["SSL_CERT_FILE"],
        ) as vault,
    ):
        values = {case.name: await _put(vault, case) for case in cases}
        for number, case in enumerate(cases, start=1):
            story = await asyncio.to_thread(_wait_for, stack, case.name)
            new = await vault.get_secret(case.name)
            assert new.value is not None  # noqa: S101  the SDK's type allows none
            proofs = await case.proofs(values[case.name], SecretValue(new.value))
            table = _story(stack, case.name, story)
            for proof in proofs:
                table.add_row(
                    "", "[green]proof[/green]" if proof.holds else "[bold red]PROOF FAILED[/bold red]", proof.text
                )
            expires = new.properties.expires_on
            table.add_row("", "now", f"version {new.properties.version} expires on {expires:%Y-%m-%d}")
            console.print(Panel(table, title=f"{number}. {case.name}: {case.title}", title_align="left"))
            if not all(proof.holds for proof in proofs):
                raise DemoFailed(f"{case.name}: a proof does not hold")


async def _put(vault: SecretClient, case: Case) -> SecretValue:
    """The credential into the vault, about to expire. The vault raises its event by itself."""
    earlier = await case.earlier()
    if earlier is not None:
        await vault.set_secret(case.name, earlier.reveal())
    value = await case.value()
    ends = datetime.now(UTC) + LIFE_LEFT
    await vault.set_secret(case.name, value.reveal(), tags=dict(case.tags), expires_on=ends)
    return value


def _wait_for(stack: Stack, name: str) -> Mapping[str, Any]:
    """What the app tells of the secret, once it is rotated."""
    url = f"{stack.ready['functions']}/api/vaults/{VAULT}/secrets/{name}"
    request = urllib.request.Request(url, headers={"x-functions-key": stack.ready["function_key"]})  # noqa: S310  our own
    until = time.monotonic() + ROTATES_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  as above
                told: Mapping[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise DemoFailed(f"{name}: the app answers {error.code}: {error.read().decode(errors='replace')}") from None
        last = told["last"] or {}
        if last.get("step") == "failed":
            raise DemoFailed(f"{name}: {last.get('detail')}")
        if last.get("step") == "rotated":
            return told
        if time.monotonic() > until:
            raise DemoFailed(f"{name} was not rotated within {ROTATES_WITHIN_S:.0f} s")
        time.sleep(LOOKS_EVERY_S)


def _story(stack: Stack, name: str, told: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim")
    table.add_column(style="cyan")
    table.add_column()
    event = next(one["body"] for one in stack.vault_control.get("events") if one["name"] == name)
    began = datetime.fromisoformat(event["eventTime"][:26]).replace(tzinfo=UTC)
    table.add_row("0 ms", "event", f"{event['eventType']}: {event['data']['VaultName']}/{event['data']['ObjectName']}")
    for record in told["history"]:
        after = (datetime.fromisoformat(record["at"]) - began) / timedelta(milliseconds=1)
        text = STEPS.get(record["step"], "").format(version=record.get("version"), slot=record.get("slot"))
        table.add_row(f"{after:.0f} ms", record["step"], text)
    return table
