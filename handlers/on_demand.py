"""What operators ask for by HTTP: one secret at once, or many through the queue."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import partial

from app.bootstrap import LazyApp
from app.log_fields import result_of
from app.messages import to_text
from app.notifier import as_json
from app.outgoing import Outgoing
from handlers.callers import Role, caller
from handlers.http import HttpRequest, HttpResponse
from handlers.reading import rotator_of, vault_of
from handlers.strict import json_object, no_body, query
from rotation.errors import Disabled, Malformed, NotFound, RotationError, Stale, Unusable
from rotation.model import Adopt, Force, Outcome, Reason, Result, RotationRequest, SecretItem, SecretRef
from rotation.ports import Vault
from rotation.side_by_side import side_by_side
from rotation.spec import checked_name, checked_word, is_companion, leader_of

PARAMETERS = ("dry_run", "if_version", "force", "restore_tags", "adopt", "slots")
FILTERS = ("vaults", "names", "rotators")
MAX_CONCURRENT = 16  # reads side by side; a vault takes 4,000 calls in ten seconds


async def rotate_now(running: LazyApp, http_request: HttpRequest, vault: str, name: str) -> HttpResponse:
    """One secret, rotated or planned, answered when it is done."""
    asked = query(http_request, *PARAMETERS)
    no_body(http_request, "write what it shall do into the URL, such as ?dry_run=true, or send nothing")
    app = await running.app()
    who = caller(http_request.headers, app.settings.http_auth, Role.OPERATOR)
    dry_run = _flag(asked, "dry_run")
    force = _force(asked.get("force", "false"))
    vault_of(app, vault)  # before anything is said of a vault that there is not
    ref = SecretRef(vault.lower(), checked_name(name))
    wanted = asked.get("if_version")
    if wanted is not None:
        checked_word(wanted, "if_version")
    adopt, slots = _adopt(asked)
    request = RotationRequest(
        ref, wanted, Reason.OPERATOR, who.name, force, demanded=True, restore_tags=_flag(asked, "restore_tags"),
        adopt=adopt, slots=slots, actor_id=who.object_id,
    )  # fmt: skip
    if dry_run:
        return HttpResponse(200, as_json(await app.engine.plan(request)))
    with app.shutdown.at_work():
        try:
            outcome = await app.engine.handle(request)
        except RotationError as error:
            await app.notifier.tell(Outcome(result_of(error), ref, error.message, code=error.code))
            raise
        await app.notifier.tell(outcome)
    if outcome.result is Result.SUPERSEDED:
        raise Stale(f"if_version is not the latest any more: {outcome.version} is", field="if_version")
    return HttpResponse(200, as_json(outcome))


async def rotate_many(running: LazyApp, http_request: HttpRequest) -> HttpResponse:
    """A filter over vaults, names and rotators: each secret that fits is asked for, pinned to its latest version.

    Sent in parts while it goes on: a vault that fails in the middle is named, and asking once more asks for none twice.
    """
    query(http_request)
    wish, force = _filter(json_object(http_request, *FILTERS, "force"))
    app = await running.app()
    who = caller(http_request.headers, app.settings.http_auth, Role.OPERATOR)
    unknown = [name for name in wish["vaults"] if name not in app.vaults]
    if unknown:
        raise NotFound("`vaults` names one that is not among ROTATION_VAULTS", field="vaults")
    outgoing = Outgoing(app.request_queue)
    for name, vault in app.vaults.items():
        if wish["vaults"] and name not in wish["vaults"]:
            continue
        chosen = [item.ref async for item in vault.secrets() if _fits(item, wish)]
        async for ref, version in side_by_side(partial(_version, vault), chosen, MAX_CONCURRENT):
            if version is not None:
                request = RotationRequest(
                    ref, version, Reason.OPERATOR, who.name, force, demanded=True, actor_id=who.object_id
                )
                await outgoing.add(to_text(request))
    body = {"accepted": outgoing.count, "count": outgoing.count}
    return HttpResponse(202, body, messages=tuple(outgoing.messages))


async def _version(vault: Vault, ref: SecretRef) -> str | None:
    try:
        return (await vault.get(ref.name)).version
    except (Disabled, NotFound):
        return None


def _flag(asked: Mapping[str, str], name: str) -> bool:
    text = asked.get(name, "false").lower()
    if text not in {"true", "false"}:
        raise Malformed(f"{name} is true or false", field=name)
    return text == "true"


def _force(text: object) -> Force:
    """As text, or as JSON's own true and false."""
    wishes = {"false": Force.NO, "no": Force.NO, "true": Force.YES, "grace": Force.GRACE}
    wish = wishes.get(str(text).lower()) if isinstance(text, str | bool) else None
    if wish is None:
        raise Malformed("force is true or grace", field="force")
    return wish


def _adopt(asked: Mapping[str, str]) -> tuple[Adopt, tuple[str, ...]]:
    """How the secret shall get its credential, and the slots that an operator names for it."""
    text = asked.get("adopt", Adopt.NO.value).lower()
    if text not in {*Adopt}:
        raise Malformed("adopt is takeover or reset", field="adopt")
    slots = tuple(slot.strip() for slot in asked["slots"].split(",")) if "slots" in asked else ()
    if not all(slots) or len(set(slots)) < len(slots):
        raise Malformed("slots are names with one comma between, each once", field="slots")
    if slots and text != Adopt.RESET:
        raise Malformed("slots are named for adopt=reset alone: leave them out", field="slots")
    return Adopt(text), slots


def _filter(raw: Mapping[str, object]) -> tuple[dict[str, list[str]], Force]:
    wish: dict[str, list[str]] = {}
    for key in FILTERS:
        value = raw.get(key, [])
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
            raise Malformed(f"`{key}` is a text or a list of texts", field=key)
        wish[key] = [one.lower() for one in listed]
    if not any(wish.values()):  # a script's empty list must not become a rotation of everything
        raise Malformed('the filter names nothing: "names": ["*"] means every secret', field="body")
    return wish, _force(raw.get("force", False))


def _fits(item: SecretItem, wish: Mapping[str, list[str]]) -> bool:
    rotator = rotator_of(item)
    # A follower is written by its leader's run, which this filter may mean as well: asked for twice, it rotated twice.
    if not rotator or _follows(item) or is_companion(item.ref.name) or not item.enabled:
        return False
    by_name = not wish["names"] or any(fnmatchcase(item.ref.name.lower(), one) for one in wish["names"])
    return by_name and (not wish["rotators"] or rotator.lower() in wish["rotators"])


def _follows(item: SecretItem) -> bool:
    try:
        return leader_of(item.tags) is not None
    except Unusable:
        return False  # its own run says what is wrong
