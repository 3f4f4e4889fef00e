"""What operators read: the state of secrets, and their histories."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from app.bootstrap import LazyApp
from app.wiring import App
from handlers.callers import Role, caller
from handlers.http import HttpRequest, HttpResponse
from handlers.strict import looks_only
from rotation.errors import Disabled, NotFound, Redactor, RotationError
from rotation.ledger.history import History
from rotation.ledger.records import Record
from rotation.model import Secret, SecretItem, SecretRef
from rotation.ports import Vault
from rotation.side_by_side import side_by_side
from rotation.spec import checked_name, due_at, is_companion, leader_of, parse

MAX_CONCURRENT = 16  # reads side by side


async def list_secrets(running: LazyApp, http_request: HttpRequest, vault: str) -> HttpResponse:
    """Every managed secret of a vault with its state."""
    looks_only(http_request)
    app = await running.app()
    caller(http_request.headers, app.settings.http_auth, Role.READER)
    found = vault_of(app, vault)
    items = [item async for item in found.secrets() if rotator_of(item) and not is_companion(item.ref.name)]
    read = side_by_side(lambda item: app.ledger.read(item.ref), items, MAX_CONCURRENT)
    return HttpResponse(
        200, {"vault": vault.lower(), "secrets": [_shown(item, records) async for item, records in read]}
    )


async def read_secret(running: LazyApp, http_request: HttpRequest, vault: str, name: str) -> HttpResponse:
    """One secret: state, expiry, slot, last outcome, history."""
    looks_only(http_request)
    app = await running.app()
    caller(http_request.headers, app.settings.http_auth, Role.READER)
    found = vault_of(app, vault)
    ref = SecretRef(vault.lower(), checked_name(name))
    records = await app.ledger.read(ref)
    try:
        secret = await found.get(name)
    except Disabled:
        return HttpResponse(
            200, {"vault": ref.vault, "secret": name, "state": "disabled", "history": _history(records)}
        )
    item = SecretItem(secret.ref, secret.enabled, secret.expires_on, secret.created_on, secret.tags)
    slot = History(records).versions().get(secret.version)
    body = _shown(item, records, secret.version) | {
        "version": secret.version,
        "slot": slot,
        "history": _history(records),
    }
    return HttpResponse(200, body | await _following(app, secret, History(records)))


async def _following(app: App, secret: Secret, history: History) -> dict[str, object]:
    """Whom the secret follows, or who follows it; nothing where the policy says nothing of either."""
    try:
        leader = leader_of(secret.tags)
        if leader is not None:
            return {"follows": str(leader)} if app.policy.lets_follow(secret.ref, leader) else {}
        if not app.policy.followers_of(secret.ref):
            return {}
        found = await app.followers.standing(secret, history, Redactor())
    except RotationError as error:
        return {"followers": None, "followers_unknown": error.message}
    return {
        "followers": [{"vault": ref.vault, "secret": ref.name, "past": past, "detail": why} for ref, past, why in found]
    }


def _history(records: Sequence[Record]) -> list[object]:
    return [json.loads(record.to_line()) for record in records]


def _shown(item: SecretItem, records: Sequence[Record], version: str | None = None) -> dict[str, object]:
    """version: the latest, where it is known; a listing does not tell it."""
    history = History(records)
    last = history.last_done()
    versions = history.versions()
    return {
        "vault": item.ref.vault,
        "secret": item.ref.name,
        "rotator": rotator_of(item),
        "state": _state(item, history, version),
        "expires_on": item.expires_on.isoformat() if item.expires_on else None,
        "slot": next(iter(versions.values()), None),
        "last": json.loads(last.to_line()) if last else None,
    }


def _state(item: SecretItem, history: History, version: str | None) -> str:
    now = datetime.now(UTC)
    if not item.enabled:
        return "disabled"
    try:
        spec, follows = parse(item.tags), leader_of(item.tags) is not None
    except RotationError:
        return "unusable"
    if spec is None:
        # A person who takes the tag off a version of ours means it; one who writes a version without it has lost it.
        lost = history.tags() and version not in history.versions()
        return "follower" if follows else "tags_lost" if lost else "unmanaged"
    if history.open_operation() is not None:
        return "interrupted"
    if item.expires_on is not None and item.expires_on <= now:
        return "expired"
    return "due" if now >= due_at(spec, item.expires_on, item.created_on or item.updated_on) else "current"


def rotator_of(item: SecretItem) -> str | None:
    """The rotator that a secret's tags name."""
    return next((value.strip() for key, value in item.tags.items() if key.strip().lower() == "rotator"), None)


def vault_of(app: App, name: str) -> Vault:
    """The vault of that short name.

    Raises:
        NotFound: it is not among ROTATION_VAULTS.
    """
    vault = app.vaults.get(name.lower())
    if vault is None:
        raise NotFound("the vault is not among ROTATION_VAULTS", field="vault")
    return vault
