"""With `entra`, and nothing in front that looks at tokens: HTTP calls are refused, and all else runs."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from local.stack import Stack
from tests.e2e.contract import Contract
from tests.e2e.deployment import Deployment, opened

GENERATED = {"rotator": "generated", "format": "hex"}
CALLS = (
    ("POST", "/api/vaults/kv-demo/secrets/by-hand/rotate", None),
    ("POST", "/api/vaults/kv-demo/secrets/by-hand/rotate?dry_run=true", None),
    ("POST", "/api/rotations", json.dumps({"names": ["*"]})),
    ("GET", "/api/vaults/kv-demo/secrets", None),
    ("GET", "/api/vaults/kv-demo/secrets/by-hand", None),
)


@pytest.fixture(scope="module")
def fronted_by_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"ROTATION_HTTP_AUTH": "entra", "WEBSITE_AUTH_ENABLED": "false"}
    with Stack(tmp_path_factory.mktemp("closed"), settings=settings) as running:
        yield running


@pytest.fixture
async def app(fronted_by_nobody: Stack) -> AsyncIterator[Deployment]:
    async with opened(fronted_by_nobody, []) as deployment:
        yield deployment
    contract = Contract.of_file()
    for method, path, answer in deployment.seen:
        assert contract.objection(method, path, answer.status, answer.headers, answer.text) is None


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_a_call_is_refused_whoever_it_says_that_it_is(
    app: Deployment, method: str, path: str, body: str | None
) -> None:
    """Nobody takes a header away that names a caller: anybody could send it."""
    await app.put("by-hand", "0" * 64, GENERATED)
    before = await app.versions("by-hand")
    claims = {"claims": [{"typ": "roles", "val": "Rotation.Operator"}, {"typ": "oid", "val": "1"}]}
    forged = {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(claims).encode()).decode()}
    for key, headers in ((None, {}), (None, forged), ("", forged)):
        answer = await app.call(method, path, key=key, headers=headers, data=body)
        assert answer.status == 503, answer.text
        assert answer.json["type"] == "urn:keyturn:problem:http_closed"
        assert answer.json["field"] == "WEBSITE_AUTH_ENABLED"
        assert "ROTATION_HTTP_AUTH" in answer.json["detail"]
        assert "Retry-After" not in answer.headers
    assert await app.versions("by-hand") == before


async def test_health_answers_and_says_so(app: Deployment) -> None:
    answer = await app.call("GET", "/api/health", key=None)
    assert (answer.status, answer.json["status"]) == (200, "http_closed")
    assert "WEBSITE_AUTH_ENABLED" in answer.json["detail"]
    assert (await app.call("GET", "/api/openapi.json", key=None)).status == 200


async def test_events_the_queue_and_the_sweep_run(app: Deployment) -> None:
    told = await app.put("told", "0" * 64, GENERATED, life=timedelta(days=20))
    await app.near_expiry("told", told)
    await app.idle()
    assert len(await app.versions("told")) == 2
    await app.put("swept", "0" * 64, GENERATED, life=timedelta(seconds=1))
    await app.sweep()
    assert len(await app.versions("swept")) == 2
    log = (app.stack.data / "host.log").read_text()
    assert len([line for line in log.splitlines() if "ERROR" in line and "WEBSITE_AUTH_ENABLED" in line]) == 1
