"""Every status that the document promises is reached once, and what is answered then is as promised."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from local.stack import Stack
from rotation.model import SecretValue
from tests.e2e.contract import DOCUMENT, Contract
from tests.e2e.deployment import Answer, Deployment, opened

GENERATED = {"rotator": "generated"}
POSTGRES = {"rotator": "postgres"}
SECRETS = "/api/vaults/kv-demo/secrets"
SILENT = "postgresql://somebody:not-a-real-password@127.0.0.1:1/orders"


@pytest.fixture(scope="session")
def entra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose app believes that App Service authentication stands in front, with nobody there to name a role."""
    settings = {"ROTATION_HTTP_AUTH": "entra", "WEBSITE_AUTH_ENABLED": "true"}
    with Stack(tmp_path_factory.mktemp("entra"), settings=settings) as running:
        yield running


@pytest.fixture
async def strangers(entra: Stack) -> AsyncIterator[Deployment]:
    async with opened(entra, []) as deployment:
        yield deployment


@contextmanager
def forbidden(app: Deployment, right: str) -> Iterator[None]:
    """The vault takes a right away from everybody."""
    app.stack.vault_control.post("rights", {"deny": [right]})
    try:
        yield
    finally:
        app.stack.vault_control.delete("rights")


@contextmanager
def throttled(app: Deployment, operation: str) -> Iterator[None]:
    app.stack.vault_control.post("faults", {"kind": "status", "status": 429, "operation": operation})
    try:
        yield
    finally:
        app.stack.vault_control.delete("faults")


async def secret(app: Deployment, value: SecretValue | str, tags: dict[str, str], *, vault: str = "kv-demo") -> None:
    await app.put("documented", value, tags, vault=vault)


async def many(app: Deployment, body: object) -> Answer:
    return await app.call("POST", "/api/rotations", data=json.dumps(body))


async def rotated(app: Deployment) -> Answer:
    await secret(app, "0" * 64, GENERATED)
    return await app.rotate("documented", force="grace")


async def stale(app: Deployment) -> Answer:
    await secret(app, "0" * 64, GENERATED)
    return await app.rotate("documented", if_version="0" * 32)


async def outside_the_policy(app: Deployment) -> Answer:
    await app.put("pg-admin", app.admin, POSTGRES, vault="kv-orders")
    return await app.rotate("pg-admin", vault="kv-orders")


async def unusable(app: Deployment) -> Answer:
    await secret(app, "0" * 64, {"rotator": "oracle"})
    return await app.rotate("documented")


async def refused(app: Deployment) -> Answer:
    nobody = app.stack.postgres.url("postgres", "nobody-of-this-name", SecretValue("not-a-real-password"))
    await app.put("refused-role", nobody, POSTGRES)
    return await app.rotate("refused-role")


async def silent(app: Deployment) -> Answer:
    await app.put("silent-server", SILENT, POSTGRES)
    return await app.rotate("silent-server")


async def asked_for_many(app: Deployment) -> Answer:
    await secret(app, "0" * 64, GENERATED)
    return await many(app, {"names": "documented"})


async def forbidden_many(app: Deployment) -> Answer:
    with forbidden(app, "list"):
        return await many(app, {"names": "documented"})


async def throttled_many(app: Deployment) -> Answer:
    with throttled(app, "list"):
        return await many(app, {"names": "documented"})


async def read(app: Deployment) -> Answer:
    await rotated(app)
    return await app.call("GET", f"{SECRETS}/documented")


async def listed(app: Deployment) -> Answer:
    await rotated(app)
    return await app.call("GET", SECRETS)


async def forbidden_list(app: Deployment) -> Answer:
    with forbidden(app, "list"):
        return await app.call("GET", SECRETS)


async def throttled_list(app: Deployment) -> Answer:
    with throttled(app, "list"):
        return await app.call("GET", SECRETS)


async def forbidden_read(app: Deployment) -> Answer:
    with forbidden(app, "get"):
        return await app.call("GET", f"{SECRETS}/documented")


async def throttled_read(app: Deployment) -> Answer:
    with throttled(app, "get"):
        return await app.call("GET", f"{SECRETS}/documented")


async def no_audit_log(app: Deployment) -> Answer:
    await secret(app, "0" * 64, GENERATED)
    return await app.call("GET", f"{SECRETS}/documented/readers")


async def forbidden_readers(app: Deployment) -> Answer:
    with forbidden(app, "list"):
        return await app.call("GET", f"{SECRETS}/documented/readers")


async def throttled_readers(app: Deployment) -> Answer:
    with throttled(app, "versions"):
        return await app.call("GET", f"{SECRETS}/documented/readers")


def in_chunks(method: str, path: str) -> Callable[[Deployment], Awaitable[Answer]]:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    return lambda app: app.call(method, path, data=pieces())


def call(
    method: str, path: str, *, key: str | None = "", body: str | None = None
) -> Callable[[Deployment], Awaitable[Answer]]:
    return lambda app: app.call(method, path, key=key, data=body)


REACHED: dict[tuple[str, int], Callable[[Deployment], Awaitable[Answer]]] = {
    ("rotate_now", 200): rotated,
    ("rotate_now", 400): call("POST", f"{SECRETS}/documented/rotate?force=please"),
    ("rotate_now", 401): call("POST", f"{SECRETS}/documented/rotate", key=None),
    ("rotate_now", 403): outside_the_policy,
    ("rotate_now", 404): call("POST", f"{SECRETS}/nobody-wrote-this/rotate"),
    ("rotate_now", 409): stale,
    ("rotate_now", 422): unusable,
    ("rotate_now", 502): refused,
    ("rotate_now", 503): silent,
    ("rotate_now", 411): in_chunks("POST", f"{SECRETS}/documented/rotate"),
    ("rotate_many", 202): asked_for_many,
    ("rotate_many", 400): call("POST", "/api/rotations", body="[]"),
    ("rotate_many", 401): call("POST", "/api/rotations", key="wrong", body="{}"),
    ("rotate_many", 404): call("POST", "/api/rotations", body='{"vaults": "kv-nobody"}'),
    ("rotate_many", 502): forbidden_many,
    ("rotate_many", 503): throttled_many,
    ("rotate_many", 411): in_chunks("POST", "/api/rotations"),
    ("list_secrets", 200): listed,
    ("list_secrets", 401): call("GET", SECRETS, key="wrong"),
    ("list_secrets", 404): call("GET", "/api/vaults/kv-nobody/secrets"),
    ("list_secrets", 502): forbidden_list,
    ("list_secrets", 503): throttled_list,
    ("list_secrets", 400): call("GET", f"{SECRETS}?state=due"),
    ("list_secrets", 411): in_chunks("GET", SECRETS),
    ("read_secret", 200): read,
    ("read_secret", 400): call("GET", f"{SECRETS}/no_secret"),
    ("read_secret", 401): call("GET", f"{SECRETS}/documented", key=None),
    ("read_secret", 404): call("GET", f"{SECRETS}/nobody-wrote-this"),
    ("read_secret", 502): forbidden_read,
    ("read_secret", 503): throttled_read,
    ("read_secret", 411): in_chunks("GET", f"{SECRETS}/documented"),
    ("read_readers", 400): call("GET", f"{SECRETS}/documented/readers?since=monday"),
    ("read_readers", 401): call("GET", f"{SECRETS}/documented/readers", key=None),
    ("read_readers", 404): call("GET", f"{SECRETS}/nobody-wrote-this/readers"),
    ("read_readers", 411): in_chunks("GET", f"{SECRETS}/documented/readers"),
    ("read_readers", 501): no_audit_log,
    ("read_readers", 502): forbidden_readers,
    ("read_readers", 503): throttled_readers,
    ("health", 200): call("GET", "/api/health", key=None),
    ("health", 400): call("GET", "/api/health", body="{}"),
    ("health", 411): in_chunks("GET", "/api/health"),
    ("openapi", 200): call("GET", "/api/openapi.json", key=None),
    ("openapi", 400): call("GET", "/api/openapi.json?format=yaml"),
    ("openapi", 411): in_chunks("GET", "/api/openapi.json"),
}
# Without a role; `pg-admin` shows that the policy denies as well.
DENIED: dict[tuple[str, int], Callable[[Deployment], Awaitable[Answer]]] = {
    ("rotate_many", 403): call("POST", "/api/rotations", body='{"names": "*"}'),
    ("list_secrets", 403): call("GET", SECRETS),
    ("read_secret", 403): call("GET", f"{SECRETS}/documented"),
    ("read_readers", 403): call("GET", f"{SECRETS}/documented/readers"),
}
# The local stack has no audit log: tests/unit/test_readers_api.py holds its answer against the document.
ELSEWHERE = {("read_readers", 200)}


def test_every_documented_status_is_reached() -> None:
    assert REACHED.keys() | DENIED.keys() | ELSEWHERE == Contract.of_file().documented()


@pytest.mark.parametrize(("operation", "status"), REACHED, ids=str)
async def test_a_status_is_reached_and_as_documented(app: Deployment, operation: str, status: int) -> None:
    as_promised(await REACHED[operation, status](app), operation, status)
    await app.idle()


@pytest.mark.parametrize(("operation", "status"), DENIED, ids=str)
async def test_who_has_no_role_is_denied_as_documented(strangers: Deployment, operation: str, status: int) -> None:
    as_promised(await DENIED[operation, status](strangers), operation, status)


def as_promised(answer: Answer, operation: str, status: int) -> None:
    assert answer.status == status, answer.text
    promised = next(one for one in Contract.of_file().operations if one.id == operation)
    path = promised.path.pattern.replace("[^/]+", "x").replace("\\", "")
    assert Contract.of_file().objection(promised.method, path, status, answer.headers, answer.text) is None


async def test_the_document_is_served_to_anybody_and_tells_nothing_of_the_deployment(
    app: Deployment, strangers: Deployment
) -> None:
    answers = [await one.call("GET", "/api/openapi.json", key=None) for one in (app, strangers)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].text == answers[1].text == DOCUMENT.read_text(encoding="utf-8")
