"""Plays what `asked.py` has to a host that serves the app in `probe`, and notes what the host made of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.real_host.asked import Asked, Sent
from tests.real_host.host import Keys
from tests.real_host.raw import Told, ask

PROBE = Path(__file__).parent / "probe"
QUEUE = "probe"
# What of an answer's head matters to who asked.
HEADERS = ("content-type", "retry-after", "webhook-allowed-origin", "webhook-allowed-rate", "allow")
SHORT = 300  # characters; a longer text is told by its length
SETTLES_S = 1.0  # what is run by hand has noted what it got by then
HIDDEN_S = 6.0  # longer than the visibility time-out of `probe`
DONE_WITHIN_S = 60.0


class Host(Protocol):
    """One that serves the app in `probe`."""

    url: str
    keys: Keys
    journal: Path

    async def queued(self) -> tuple[int, int]:
        """How many messages are in the queue, and in the poison queue."""
        ...

    def kill(self) -> None:
        """SIGKILL to it and its worker."""
        ...

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        ...

    def start(self) -> None:
        """Again, at the same place; returns when it serves."""
        ...


class Player:
    """On one host. Told are plain JSON objects, in which its address and its keys are replaced by their names."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def play(self, requests: Iterable[Asked], messages: Iterable[Sent]) -> dict[str, Any]:
        """What the host did, by the name of what it was asked."""
        found: dict[str, Any] = {}
        for asked in requests:
            assert asked.name not in found, f"two of one name: {asked.name}"
            found[asked.name] = await self._ask(asked)
        for sent in messages:
            assert sent.name not in found, f"two of one name: {sent.name}"
            found[sent.name] = await self._send(sent)
        return found

    async def _ask(self, asked: Asked) -> dict[str, Any]:
        before = len(self._lines())
        keys = {
            "function": self._host.keys.function,
            "master": self._host.keys.master,
            "system": self._host.keys.system,
        }
        target, headers = asked.target, list(asked.headers)
        if asked.key is not None:
            headers.append(("x-functions-key", keys.get(asked.key, asked.key)))
        for name, key in keys.items():
            target = target.replace(f"{{{name}}}", key)
            headers = [(header, value.replace(f"{{{name}}}", key)) for header, value in headers]
        told = await ask(self._host.url, asked.method, target, headers, asked.body, chunked=asked.chunked)
        if told.status == 202 and asked.target.startswith("/admin/"):
            await asyncio.sleep(SETTLES_S)
        # Side by side, in any order.
        lines = sorted((line for line in self._lines()[before:] if line["function"] != "echo"), key=json.dumps)
        found = self._told(told) | ({"received": lines} if lines else {})
        return dict(self._named(found))

    def _told(self, told: Told) -> dict[str, Any]:
        found: dict[str, Any] = {"status": told.status}
        head = {name: told.headers[name] for name in HEADERS if name in told.headers}
        if head:
            found["headers"] = head
        if told.body:
            text = told.body.decode("utf-8", errors="backslashreplace")
            try:
                found["body"] = json.loads(text)
            except ValueError:
                found["body"] = text
        return found

    def _named(self, found: Any) -> Any:
        """Without what is another in each run; long texts by their length."""
        if isinstance(found, Mapping):
            return {name: self._named(value) for name, value in found.items()}
        if isinstance(found, list):
            return [self._named(one) for one in found]
        if not isinstance(found, str):
            return found
        keys = self._host.keys
        for name, value in (("function", keys.function), ("master", keys.master), ("system", keys.system)):
            found = found.replace(value, f"{{{name}}}")
        found = found.replace(self._host.url, "{url}").replace(self._host.url.partition("//")[2], "{host}")
        return found if len(found) <= SHORT else f"{len(found)} characters"

    async def _send(self, sent: Sent) -> dict[str, Any]:
        before = len(self._lines())
        hidden, poisoned = await self._host.queued()
        body = json.dumps(sent.texts).encode()
        told = await ask(self._host.url, "POST", "/api/send", (("Content-Type", "application/json"),), body)
        if sent.host is not None:
            await self._until(lambda: self._begun(before, len(sent.texts)))
            await asyncio.to_thread(self._host.kill if sent.host == "killed" else self._host.stop)
            await asyncio.to_thread(self._host.start)
            await asyncio.sleep(HIDDEN_S)
        else:
            await self._until(lambda: self._left(hidden))
        left, poison = await self._host.queued()
        lines = [line for line in self._lines()[before:] if line["function"] == "on_message"]
        tries: dict[str, list[int]] = {text: [] for text in sent.texts}
        for line in lines:
            if "tries" in line:
                tries.setdefault(line["body"], []).append(line["tries"])
        done = sorted({line["body"] for line in lines if line.get("done")})
        found: dict[str, Any] = {
            "status": told.status,
            "done": len(done),
            "poison": poison - poisoned,
            "hidden": left - hidden,
        }
        if len(sent.texts) == 1:
            found["tries"] = tries[sent.texts[0]]
        else:
            found["tries"] = sorted({tuple(each) for each in tries.values()})
        return json.loads(json.dumps(self._named(found)))  # type: ignore[no-any-return]

    async def _begun(self, before: int, count: int) -> bool:
        return len([line for line in self._lines()[before:] if line["function"] == "on_message"]) >= count

    async def _left(self, count: int) -> bool:
        return (await self._host.queued())[0] <= count

    async def _until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(DONE_WITHIN_S):
            while not await holds():  # noqa: ASYNC110  seen from outside only
                await asyncio.sleep(0.1)

    def _lines(self) -> list[dict[str, Any]]:
        if not self._host.journal.exists():
            return []
        return [json.loads(line) for line in self._host.journal.read_text(encoding="utf-8").splitlines()]
