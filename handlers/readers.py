"""Who reads a secret: whether its consumers have the latest value already, by the vault's audit log."""

from __future__ import annotations

from datetime import datetime

from app.actors import noted, object_id
from app.bootstrap import LazyApp
from handlers.callers import Role, caller
from handlers.http import HttpRequest, HttpResponse
from handlers.reading import vault_of
from handlers.strict import looks_only
from rotation.engine.fence import within
from rotation.engine.unread import PATIENCE_S
from rotation.errors import NotFound
from rotation.ledger.history import History
from rotation.model import SecretRef, Versions
from rotation.readers import Heard, Question, Reader
from rotation.spec import checked_name


async def read_readers(running: LazyApp, http_request: HttpRequest, vault: str, name: str) -> HttpResponse:
    """Every identity but the app's own that read an older value, and whether it has read the latest one since.

    Only of what a rule covers: nobody learns by this app who reads other secrets.
    """
    looks_only(http_request)
    app = await running.app()
    caller(http_request.headers, app.settings.http_auth, Role.READER)
    found = vault_of(app, vault)
    ref = SecretRef(vault.lower(), checked_name(name))
    if not app.policy.covers(ref):
        raise app.policy.covered_by_none(ref)
    listed = await found.versions(name)
    if not listed.items:
        raise NotFound(f"there is no secret {name} in {found.name}, or it is deleted", field="secret")
    question = _question(ref, listed, History(await app.ledger.read(ref)))
    heard = await within(PATIENCE_S, "the audit log", app.readers.ask(question))
    return HttpResponse(200, _shown(question, listed, heard))


def _question(ref: SecretRef, listed: Versions, history: History) -> Question:
    """About the version before the latest one, and all that hold a slot which is not retired yet."""
    latest, *older = listed.items
    known = history.versions()
    waiting = history.unretired(known.get(latest.version, ""))
    counted = [one for place, one in enumerate(older) if place == 0 or known.get(one.version) in waiting]
    since = min((one.created_on for one in counted), default=latest.created_on)
    return Question(ref, latest.version, latest.created_on, since)


def _shown(question: Question, listed: Versions, heard: Heard) -> dict[str, object]:
    lag = None if heard.log_until is None else max(0, round((heard.as_of - heard.log_until).total_seconds()))
    return {
        "vault": question.secret.vault,
        "secret": question.secret.name,
        "version": question.latest,
        "published_at": question.published_at.isoformat(),
        "previous_version": listed.items[1].version if len(listed.items) > 1 else None,
        "as_of": heard.as_of.isoformat(),
        "log_from": _text(heard.log_from),
        "log_until": _text(heard.log_until),
        "log_lag_s": lag,
        "gap": heard.gap(question),
        "holding": len(heard.holders),
        "readers": [_reader(one) for one in heard.readers],
    }


def _reader(one: Reader) -> dict[str, object]:
    """Addresses are counted and not told: who may see them has the workspace's own queries."""
    return {
        "object_id": object_id(one.object_id),
        "application_id": object_id(one.application_id),
        "user": noted(one.user) if one.user else None,
        "resource": noted(one.resource) if one.resource else None,
        "holds_old": one.holds,
        "last_old": one.last_old.isoformat(),
        "last_new": _text(one.last_new),
        "addresses_old": one.addresses_old,
        "addresses_new": one.addresses_new,
    }


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
