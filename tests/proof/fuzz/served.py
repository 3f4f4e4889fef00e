"""Inputs by the thousand over HTTP, to the app as the worker library runs it: requests that schemathesis makes of the
document which the app itself serves, and whatever else can be posted to Event Grid's webhook."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import requests
import schemathesis
from azure.functions.eventgrid import EventGridEventInConverter
from azure.functions.meta import Datum
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from schemathesis import Case, GenerationMode

from local.stack import Stack
from tests.e2e.contract import Contract
from tests.e2e.deployment import VAULT, Deployment, event_of, logs_in, opened
from tests.e2e.leaks import leaks, places, values_of
from tests.proof.fuzz import inputs
from tests.proof.fuzz.explore import Tally, explore

POLICY = Path(__file__).parent / "policy.toml"
REQUESTS = 200  # of each operation, right and wrong ones
EVENTS = 1_000
SECRET = "orders-db"  # which is there, like its neighbours, and which nobody may rotate
NEIGHBOURS = {"orders-key": {"rotator": "generated"}, "orders-old": {"rotator": "postgres", "slot": "orders_old"}}
FAULT = 500


def run(seed: int, share: float = 1.0) -> dict[str, Tally]:
    """Start a stack, ask it, and look whether anything changed or got out."""
    answers: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with Stack(data, policy=POLICY, log_statement="all") as stack:
            found = asyncio.run(_run(stack, answers, seed, share))
            admin = stack.postgres.admin_password.reveal()
        texts = [(path.name, path.read_bytes()) for path in places(data)]
        texts += [(answer[:60], answer.encode()) for answer in answers]
        found["HTTP requests"].broken += leaks([*values_of(data), admin], texts)
    return found


async def _run(stack: Stack, answers: list[str], seed: int, share: float) -> dict[str, Tally]:
    async with opened(stack, answers) as app:
        version = await app.put(SECRET, await app.role("orders_app"), {"rotator": "postgres"})
        for vault in stack.ready["vaults"]:
            for name, tags in NEIGHBOURS.items():
                await app.put(name, await app.role(f"{vault} {name}"), tags, vault=vault)
        before = await state(app)
        web = _Web(stack, answers)
        found = {
            "HTTP requests": await asyncio.to_thread(_requests, web, seed, share),
            "posted events": await asyncio.to_thread(_events, web, version, seed, share),
        }
        await app.idle()
        found["HTTP requests"].broken += await _changed(app, before)
        return found


async def _changed(app: Deployment, before: set[str]) -> list[str]:
    """Nothing may be, since no rule names anything: no version, no tag, no secret more or less, no role."""
    after = await state(app)
    changed = [f"it was {line}" for line in before - after] + [f"it is now {line}" for line in after - before]
    if not await logs_in(await app.value(SECRET)):
        changed.append("a password was changed that no rule names")
    if (await app.queue())["poison"]:
        changed.append("a message that can't be understood came back until it was given up")
    return changed


async def state(app: Deployment) -> set[str]:
    """A line for each version in each vault, each deleted secret, and each role of the server."""
    lines: set[str] = set()
    for vault in app.stack.ready["vaults"]:
        client = app.client(vault)
        async for secret in client.list_properties_of_secrets():
            async for one in client.list_properties_of_secret_versions(str(secret.name)):
                lines.add(
                    f"{vault} {one.name} {one.version} {one.enabled} {one.updated_on} {one.expires_on} {one.tags}"
                )
        async for gone in client.list_deleted_secrets():
            lines.add(f"{vault} {gone.name} deleted")
    async with await psycopg.AsyncConnection.connect(app.admin.reveal()) as connection:
        roles = await connection.execute("SELECT rolname, md5(rolpassword), rolcanlogin, rolvaliduntil FROM pg_authid")
        async for role in roles:
            lines.add(f"role {role}")
    return lines


class _Web:
    """Answers are held against the document; what is none of its paths must only not be a fault of ours."""

    def __init__(self, stack: Stack, answers: list[str]) -> None:
        self.url = stack.ready["functions"]
        self._answers = answers
        self._contract = Contract.of_file()
        self._session = requests.Session()
        self._session.headers["x-functions-key"] = stack.ready["function_key"]
        document = self._session.get(f"{self.url}/api/openapi.json", timeout=30).json()
        self.schema = schemathesis.openapi.from_dict(document)

    def ask(self, method: str, url: str, *, readable: bool = True, **options: Any) -> bool:
        got = self._session.request(method, url, timeout=60, allow_redirects=False, **options)
        path = str(got.request.url).removeprefix(self.url)
        self._answers.append(f"{got.request.method} {path} {got.headers} {got.text}")
        assert got.status_code != FAULT or not readable, f"a fault: {got.text:.300}"
        assert "Traceback" not in got.text, "a stack trace"
        objection = self._contract.objection(str(got.request.method), path, got.status_code, got.headers, got.text)
        assert objection is None, objection
        return got.ok

    def case(self, one: tuple[Case[Any], bool]) -> bool:
        case, known = one
        if known and case.path_parameters:
            case.path_parameters = {"vault": VAULT, "name": SECRET}
        case.headers = _sendable(case.headers)
        return self.ask(**case.as_transport_kwargs(base_url=self.url))

    def post(self, one: tuple[str, dict[str, str]]) -> bool:
        body, headers = one
        told = {"aeg-event-type": "Notification", **headers}
        url = f"{self.url}/runtime/webhooks/eventgrid?functionName=near_expiry"
        raw = body.encode("utf-8", errors="replace")
        # Of the other kinds the app hears nothing: 500 to a handshake that is none is the host's own.
        to_the_app = told["aeg-event-type"] == "Notification" and _readable(raw)
        return self.ask("POST", url, readable=to_the_app, data=raw, headers=told)


def _readable(body: bytes) -> bool:
    """Whether Microsoft's worker library can read it; where it can't, no function is called, and the host says 500."""
    try:
        events = json.loads(body)
        for event in events if isinstance(events, list) else [events]:
            EventGridEventInConverter.decode(Datum(json.dumps(event), "json"), trigger_metadata=None)
    except Exception:  # noqa: BLE001  whatever it is, it is not the app's
        return False
    return True


def _sendable(headers: Mapping[str, Any] | None) -> Any:
    """Without the key that schemathesis makes up, so that the app is reached."""
    kept = {name: told for name, told in (headers or {}).items() if name.lower() != "x-functions-key"}
    return CaseInsensitiveDict(kept)


def _requests(web: _Web, seed: int, share: float) -> Tally:
    tally = Tally()
    for found in web.schema.get_all_operations():
        operation: Any = found
        operation = operation.ok()
        # What takes nothing can't be asked for wrongly.
        takes_nothing = not (operation.path_parameters or operation.query or operation.body)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)[: 1 if takes_nothing else 2]:
            cases = st.tuples(operation.as_strategy(mode), st.booleans())
            tally.add(explore(web.case, cases, max(1, int(REQUESTS * share)), seed))
    return tally


def _events(web: _Web, version: str, seed: int, share: float) -> Tally:
    usual = event_of(SECRET, version)
    event = st.dictionaries(st.sampled_from(tuple(usual)), inputs.values, max_size=2).map(lambda other: usual | other)
    data = st.dictionaries(st.sampled_from(tuple(usual["data"])), inputs.values, max_size=2).map(
        lambda other: usual | {"data": usual["data"] | other}
    )
    cloud = st.fixed_dictionaries(
        {"specversion": st.just("1.0"), "id": inputs.texts, "source": inputs.texts, "type": inputs.kinds},
        optional={"data": inputs.event_data},
    )
    bodies = inputs.written(st.one_of(st.lists(st.one_of(event, data), max_size=3), cloud, inputs.values))
    kinds = st.sampled_from(("Notification", "SubscriptionValidation", "Unsubscribe", "x"))
    headers = kinds.map(lambda kind: {"aeg-event-type": kind})
    return explore(web.post, st.tuples(bodies, headers), max(1, int(EVENTS * share)), seed)
