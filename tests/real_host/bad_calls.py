"""Calls that are wrong in one way or another: what the real host and the app answer, and that nothing rotates."""

from __future__ import annotations

from tests.e2e.deployment import VAULT
from tests.real_host.checks import Checks
from tests.real_host.main_job import managed
from tests.real_host.raw import Told, ask
from tests.real_host.seen import Seen

SECRET = "bad-calls"
PATH = f"/api/vaults/{VAULT}/secrets/{SECRET}"
LONG = "x" * 8_300
WIDE = "x" * 33_000


class BadCalls:
    """On one app."""

    def __init__(self, app: Seen, checks: Checks) -> None:
        self._app = app
        self._checks = checks

    async def _ask(
        self,
        method: str,
        target: str,
        *headers: tuple[str, str],
        key: str | None = None,
        body: bytes | None = None,
        chunked: bool = False,
    ) -> Told:
        """key: None the function key; "" none."""
        code = self._app.stack.host.keys.function if key is None else key
        told = [*headers, *([("x-functions-key", code)] if code else [])]
        sent = b"" if body is None and method == "POST" else body
        return await ask(self._app.stack.ready["functions"], method, target, told, sent, chunked=chunked)

    async def keys(self) -> None:
        """Who may call."""
        keys = self._app.stack.host.keys
        for what, key, status in (
            ("no key", "", 401), ("a wrong key", "wrong", 401), ("the system key", keys.system, 401),
            ("the function key", keys.function, 200), ("the master key", keys.master, 200),
        ):  # fmt: skip
            told = await self._ask("GET", f"/api/vaults/{VAULT}/secrets", key=key)
            self._checks.equal(f"a call with {what}: {status}", told.status, status)
        told = await self._ask("GET", f"/api/vaults/{VAULT}/secrets?code={keys.function}", key="")
        self._checks.equal("a call with the key as ?code=: 200", told.status, 200)
        self._checks.holds("the answer does not repeat the key", keys.function.encode() not in told.body)
        for what, method, path in (("list", "GET", "functions"), ("run", "POST", "functions/sweep")):
            told = await self._ask(method, f"/admin/{path}")
            self._checks.equal(f"a function key does not {what} functions: 403", told.status, 403)

    async def routes(self) -> None:
        """Where there is nothing, and where there is something after all."""
        for what, method, target, status in (
            ("an unknown path", "GET", "/api/nothing", 404),
            ("another method", "DELETE", PATH, 404),
            ("GET of a rotation", "GET", f"{PATH}/rotate", 404),
            ("HEAD", "HEAD", PATH, 404),
            ("OPTIONS", "OPTIONS", PATH, 404),
            ("two slashes", "GET", f"/api//vaults/{VAULT}/secrets", 404),
            ("capitals and a slash at the end", "GET", f"/API/Vaults/{VAULT}/SECRETS/", 200),
            ("a request line over 8 KiB", "GET", f"{PATH}?x={LONG}", 414),
            ("a zero byte in a name", "GET", f"/api/vaults/{VAULT}/secrets/a%00b", 400),
            ("a slash in a name", "GET", f"/api/vaults/{VAULT}/secrets/a%2Fb", 400),
            ("a byte that is no UTF-8 in a name", "GET", f"/api/vaults/{VAULT}/secrets/a%FFb", 400),
            ("a vault that is none of ours", "GET", "/api/vaults/kv-other/secrets", 404),
        ):
            told = await self._ask(method, target)
            self._checks.equal(f"{what}: {status}", told.status, status)
            if status == 404 and "kv-other" not in target:
                self._checks.equal(f"{what}: no body", told.body, b"")

    async def headers(self) -> None:
        """More of them than the host takes."""
        many = [(f"x-{number}", "1") for number in range(101)]
        self._checks.equal("headers over 32 KiB: 431", (await self._ask("GET", PATH, ("x-wide", WIDE))).status, 431)
        self._checks.equal("over a hundred headers: 431", (await self._ask("GET", PATH, *many)).status, 431)

    async def wishes(self) -> None:
        """A parameter or a body that can't be meant: refused, and nothing rotates."""
        value, version = await managed(self._app, SECRET)
        for query in (
            "dry_run=perhaps", "force=perhaps", "if_version=a%20b", "adopt=perhaps", "slots=a",
            "adopt=reset&slots=a,,b", "dry_run=true&dry_run=false",
        ):  # fmt: skip
            told = await self._ask("POST", f"{PATH}/rotate?{query}")
            self._checks.equal(f"?{query}: 400", told.status, 400)
        filters = (b"", b"{", b"[]", b"{}", b'{"names": []}', b'{"nmaes": ["*"]}', b'{"names": [""]}', b"[" * 50_000)
        for body in filters:
            told = await self._ask("POST", "/api/rotations", ("Content-Type", "application/json"), body=body)
            self._checks.equal(f"a filter of {len(body)} bytes that is none: 400", told.status, 400)
        for query in (
            "dry_run", "dry_run=", "dryrun=true", "DRY_RUN=true", "if_version=", "force=", "force=true&FORCE=true",
            "x=1",
        ):  # fmt: skip
            told = await self._ask("POST", f"{PATH}/rotate?{query}")
            self._checks.equal(f"?{query}, which could mean only to look: 400", told.status, 400)
        for what, chunked, status in (("a body where none is expected", False, 400), ("a chunked body", True, 411)):
            json_type = ("Content-Type", "application/json")
            told = await self._ask("POST", f"{PATH}/rotate", json_type, body=b'{"dry_run": true}', chunked=chunked)
            self._checks.equal(f"{what}: {status}", told.status, status)
        self._checks.equal("none of them rotated", await self._app.versions(SECRET), [version])
        self._checks.holds("nor anything else", (await self._app.value(SECRET)).reveal() == value.reveal())
