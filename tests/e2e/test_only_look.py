"""Whoever means "only look", and writes it otherwise than the app understands, rotates nothing."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from tests.e2e.deployment import Deployment, logs_in
from tests.e2e.leaks import forms

POSTGRES = {"rotator": "postgres"}
JSON = {"Content-Type": "application/json"}


async def chunked() -> AsyncIterator[bytes]:
    yield b'{"dry_run": true}'


CALLS: Mapping[str, tuple[str, int, Callable[[], Mapping[str, Any]]]] = {
    **{
        query: (query, 400, dict)
        for query in (
            "?dry_run", "?dry_run=", "?if_version", "?if_version=", "?force=", "?dryrun=true", "?Dry_Run=true",
            "?dry_run=1", "?x=1", "?&", "?dry_run=false&", "?dry_run&force=true", "?dry_run=true&dry_run=false",
            "?dry_run=false&Dry_Run=true", "?dry_run=false;dry_run=true",
        )
    },
    "a body": ("", 400, lambda: {"json": {"dry_run": True}}),
    "an empty object": ("", 400, lambda: {"data": b"{}", "headers": JSON}),
    "a form": ("", 400, lambda: {"data": {"dry_run": "true"}}),
    "a blank body": ("", 400, lambda: {"data": b" "}),
    "a chunked body": ("", 411, lambda: {"data": chunked()}),
    "a chunked body beside force": ("?force=true", 411, lambda: {"data": chunked()}),
}  # fmt: skip


@pytest.mark.parametrize("what", CALLS)
async def test_a_wish_that_is_not_understood_rotates_nothing(app: Deployment, what: str) -> None:
    query, status, options = CALLS[what]
    name = f"only-look-{list(CALLS).index(what)}"
    value = await app.role(f"{name}_role")
    version = await app.put(name, value, POSTGRES)
    answer = await app.call("POST", f"/api/vaults/kv-demo/secrets/{name}/rotate{query}", **options())
    assert answer.status == status, answer.text
    assert answer.json["field"]
    assert (await app.get(name)).properties.version == version
    assert (await app.read(name))["history"] == []
    assert await logs_in(value)


async def test_the_function_key_in_the_url_lets_in_and_stands_nowhere(app: Deployment) -> None:
    key = app.stack.ready["function_key"]
    await app.put("keyed", await app.role("keyed_role"), POSTGRES)
    path = "/api/vaults/kv-demo/secrets"
    for method, rest, status in (
        ("POST", f"/keyed/rotate?code={key}&dry_run=true", 200),
        ("POST", f"/keyed/rotate?dry_run=true&CODE={key}", 200),
        ("POST", f"/keyed/rotate?code={key}&dryrun=true", 400),
        ("POST", f"/nobody-wrote-this/rotate?code={key}", 404),
        ("GET", f"?code={key}", 200),
        ("GET", f"/keyed?code={key}", 200),
        ("GET", f"/keyed?code={key}&x={key}", 400),
    ):
        answer = await app.call(method, path + rest, key=None)
        assert answer.status == status, answer.text
        assert key not in answer.text
        assert key not in str(answer.headers)
    wanted = forms(key)
    logs = list(app.stack.data.glob("*.log"))
    assert logs
    assert [log.name for log in logs if any(form in log.read_bytes() for form in wanted)] == []
