"""Events, messages and HTTP calls about another vault, or by somebody without the role, to the app as it is wired."""

import base64
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from app.bootstrap import LazyApp
from app.messages import from_text
from app.settings import from_environment
from handlers import on_demand, reading
from handlers.http import HttpRequest
from handlers.near_expiry import message_of
from rotation.errors import RotationError
from rotation.policy import Policy
from tests.proof.deputies.seen import Seen

EVENT = "Microsoft.KeyVault.SecretNearExpiry"
OURS = "https://kv.vault.azure.net/secrets/orders-db/v1"
Look = Callable[[], tuple[list[str], int, int]]
Call = Callable[[], Awaitable[str]]
Named = tuple[str, str, Call]
OTHERS = (
    "kv2", "kv-evil", "kv.vault.azure.net", "kv.evil.example", "https://evil.example", "evil.example/kv", "kv@evil",
    "kv/../kv-evil", "kv%2fkv-evil", "127.0.0.1", "localhost:443", "*", "", "kv,kv-evil", "kv?x",
    "kv#x", "kv\0", "kv.vault.azure.net.evil.example",
)  # fmt: skip
NAMES = ("../kv-evil/x", "orders-db/../../keys/k", "orders-db?x=1", "orders-db#x", "orders-db/v1", "@evil.example/x",
         "//evil.example/x", "ordérs", "orders db", "o" * 128, "orders-db%2f..", "orders-db\n")  # fmt: skip
NOT_ROLES = (
    ("roles", "Rotation.Nobody"),
    ("groups", "Rotation.Operator"),
    ("name", "Rotation.Operator"),
    ("https://evil.example/role", "Rotation.Operator"),
)


async def every(folder: Path, permitted: int, policy: Policy, look: Look) -> list[Seen]:
    """Each call, looked at before and after."""
    keyed, fronted = (app(folder, permitted, policy, **extra) for extra in (KEYED, FRONTED))
    seen = []
    for kind, name, call in [*controls(keyed), *others(keyed), *strangers(fronted)]:
        look()
        try:
            answer = await call()
        except RotationError as error:
            answer = error.code
        seen.append(Seen(kind, "", name, answer, 0, *look()))
    return seen


KEYED = {"ROTATION_HTTP_AUTH": "key"}
FRONTED = {"ROTATION_HTTP_AUTH": "entra", "WEBSITE_AUTH_ENABLED": "true"}


def app(folder: Path, permitted: int, policy: Policy, **extra: str) -> LazyApp:
    """With one vault, at the server that is permitted."""
    environment = {
        "ROTATION_VAULTS": f"kv=https://127.0.0.1:{permitted}",
        "ROTATION_LEDGER": f"file:{folder / 'ledger'}",
        **extra,
    }
    return LazyApp(from_environment(environment, folder), policy)


def controls(running: LazyApp) -> Iterator[Named]:
    """What names the vault that is ours, so that it is asked."""
    yield "control", "an event of our vault", partial(event, running, {"VaultName": "kv", "Id": OURS})
    yield "control", "a call about our vault", partial(rotate_now, running, "kv", "orders-db")


def others(running: LazyApp) -> Iterator[Named]:
    """Other vaults, and names that would climb out of ours."""
    for vault in OTHERS:
        link = f"https://{vault}/secrets/orders-db/v1"
        yield "vault", f"an event of {vault!a}", partial(event, running, {"VaultName": vault, "Id": link})
        yield "vault", f"a message about {vault!a}", partial(message, running, vault, "orders-db")
        yield "vault", f"a rotation in {vault!a}", partial(rotate_now, running, vault, "orders-db")
        yield "vault", f"a dry run in {vault!a}", partial(rotate_now, running, vault, "orders-db", dry_run="true")
        yield "vault", f"a list of {vault!a}", partial(list_secrets, running, vault)
        yield "vault", f"a look into {vault!a}", partial(read_secret, running, vault)
        if vault:
            yield "vault", f"rotations in {vault!a}", partial(rotate_many, running, {"vaults": [vault]})
    for name in NAMES:
        told = {"VaultName": "kv", "Id": OURS, "ObjectName": name}
        if name.strip() == name:
            yield "vault", f"an event of the secret {name!a}", partial(event, running, told)
        yield "vault", f"a message about the secret {name!a}", partial(message, running, "kv", name)
        yield "vault", f"a rotation of the secret {name!a}", partial(rotate_now, running, "kv", name)


def strangers(running: LazyApp) -> Iterator[Named]:
    """Callers whom App Service authentication names, without the role; and who is named by nobody."""
    for headers in ({}, {"x-ms-client-principal": "bm9uZQ=="}, *(principal(access) for access in NOT_ROLES)):
        for what, call in {
            "rotate": partial(rotate_now, running, "kv", "orders-db", headers=headers),
            "plan": partial(rotate_now, running, "kv", "orders-db", headers=headers, dry_run="true"),
            "rotate many": partial(rotate_many, running, {"vaults": ["kv"]}, headers=headers),
            "list": partial(list_secrets, running, "kv", headers=headers),
            "read": partial(read_secret, running, "kv", headers=headers),
        }.items():
            yield "vault", f"{what}, by somebody without the role", call
    reader = principal(("roles", "Rotation.Reader"))
    yield "vault", "rotate, by a reader", partial(rotate_now, running, "kv", "orders-db", headers=reader)
    yield (
        "vault",
        "plan, by a reader",
        partial(rotate_now, running, "kv", "orders-db", headers=reader, dry_run="true"),
    )
    yield "vault", "rotate many, by a reader", partial(rotate_many, running, {"vaults": ["kv"]}, headers=reader)


def principal(*claims: tuple[str, str]) -> Mapping[str, str]:
    """The header by which App Service tells who calls."""
    told = json.dumps({"claims": [{"typ": kind, "val": text} for kind, text in claims]})
    return {"x-ms-client-principal": base64.b64encode(told.encode()).decode()}


async def event(running: LazyApp, told: Mapping[str, str]) -> str:
    application = await running.app()
    data = {"ObjectType": "Secret", "ObjectName": "orders-db", "Version": "v1", **told}
    text = message_of(EVENT, data, application.vaults)
    return "ignored" if text is None else (await application.engine.handle(from_text(text))).result.value


async def message(running: LazyApp, vault: str, name: str) -> str:
    """Whoever may write to the queue."""
    text = json.dumps({"vault": vault, "secret": name, "version": "v1", "reason": "operator", "demanded": True})
    return (await (await running.app()).engine.handle(from_text(text))).result.value


async def rotate_now(
    running: LazyApp, vault: str, name: str, headers: Mapping[str, str] | None = None, **query: str
) -> str:
    return str(
        (
            await on_demand.rotate_now(
                running, HttpRequest(headers or {}, f"?{urlencode(query)}" if query else ""), vault, name
            )
        ).status
    )


async def rotate_many(running: LazyApp, wish: Mapping[str, object], headers: Mapping[str, str] | None = None) -> str:
    ask = HttpRequest(headers or {}, "", json.dumps(wish).encode())
    return str((await on_demand.rotate_many(running, ask)).status)


async def list_secrets(running: LazyApp, vault: str, headers: Mapping[str, str] | None = None) -> str:
    return str((await reading.list_secrets(running, HttpRequest(headers or {}), vault)).status)


async def read_secret(running: LazyApp, vault: str, headers: Mapping[str, str] | None = None) -> str:
    return str((await reading.read_secret(running, HttpRequest(headers or {}), vault, "orders-db")).status)
