"""The main job on the real host: events, calls, the sweep, bulk, a message put back, and a restart in between."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from rotation.model import SecretValue
from tests.e2e.deployment import NOT_SOON, VAULT, Deployment, event_of, logs_in, steps
from tests.real_host.checks import Checks
from tests.real_host.raw import ask
from tests.real_host.seen import QUEUE, Seen, queue_client

TAGS = {"rotator": "postgres", "lead-days": "89", "validity-days": "178"}
FUNCTIONS = {
    "near_expiry", "rotate", "sweep", "rotate_now", "rotate_many", "list_secrets", "read_secret", "read_readers",
    "health", "openapi",
}  # fmt: skip
WITHIN_S = 90.0
DRAINED_WITHIN_S = 300.0
SOON = timedelta(days=20)
HELD_MS = 6_000
COPIES = 6
MAX_TRIES = 5  # host.json's maxDequeueCount


async def managed(app: Deployment, name: str, *, life: timedelta | None = NOT_SOON) -> tuple[SecretValue, str]:
    """A secret with a role of its own -> its value, its version."""
    value = await app.role(f"{name.replace('-', '_')}_app")
    return value, await app.put(name, value, TAGS, life=life)


async def rotated(app: Deployment, name: str, versions: int = 2) -> float:
    """Wait until there are so many versions -> seconds."""
    began = time.monotonic()
    async with asyncio.timeout(WITHIN_S):
        while len(await app.versions(name)) < versions:  # noqa: ASYNC110  seen from outside only
            await asyncio.sleep(0.02)
    return time.monotonic() - began


class MainJob:
    """On one app."""

    def __init__(self, app: Seen, checks: Checks) -> None:
        self._app = app
        self._checks = checks

    async def indexed(self) -> None:
        """What the host made of the app."""
        told = await self._admin("/admin/functions")
        self._checks.equal("the app's nine functions are indexed", {one["name"] for one in told}, FUNCTIONS)
        status = await self._admin("/admin/host/status")
        self._checks.holds("it is the host of this version", status["version"].startswith("4.1037"), status["version"])
        self._checks.equal("the host runs", status["state"], "Running")
        health = await self._app.call("GET", "/api/health", key=None)
        self._checks.equal("health is told to everybody", (health.status, health.json["status"]), (200, "ok"))
        document = await self._app.call("GET", "/api/openapi.json", key=None)
        self._checks.equal("so is the OpenAPI document", (document.status, document.json["openapi"][:2]), (200, "3."))

    async def _admin(self, path: str) -> Any:
        return (await self._app.call("GET", path, key=self._app.stack.host.keys.master)).json

    async def events(self) -> None:
        """The vault's own event, and one of the other schema."""
        app, checks = self._app, self._checks
        old, _ = await managed(app, "by-event", life=SOON)
        await rotated(app, "by-event")
        checks.holds(
            "the vault's own event rotates: the new password logs in", await logs_in(await app.value("by-event"))
        )
        checks.holds("and the old one is refused", not await logs_in(old))
        told = await app.read("by-event")
        checks.equal("its history ends with rotated", steps(told)[-1], "rotated")
        checks.equal("asked for by Event Grid", told["history"][-1]["reason"], "near-expiry")

        _, version = await managed(app, "by-cloud-event")
        event = event_of("by-cloud-event", version)
        cloud = {
            "specversion": "1.0", "id": event["id"], "source": event["topic"], "type": event["eventType"],
            "subject": event["subject"], "time": event["eventTime"], "data": event["data"],
        }  # fmt: skip
        answer = await app.event(cloud, content_type="application/cloudevents+json")
        await rotated(app, "by-cloud-event")
        checks.equal("an event of the CloudEvents schema is taken", answer.status, 202)
        checks.holds("and rotates", await logs_in(await app.value("by-cloud-event")))

    async def calls(self) -> None:
        """By HTTP: a rotation, a plan, a stale wish, both reads."""
        app, checks = self._app, self._checks
        old, first = await managed(app, "by-call")
        plan = await app.rotate("by-call", dry_run="true", force="true")
        checks.equal("a dry run plans", (plan.status, plan.json["outcome"]), (200, "planned"))
        checks.holds("and changes nothing", await logs_in(old))
        answer = await app.rotate("by-call", if_version=first, force="true")
        checks.equal("a call rotates", (answer.status, answer.json["outcome"]), (200, "rotated"))
        checks.holds(
            "its answer is JSON", answer.headers["Content-Type"].startswith("application/json"), answer.headers
        )
        checks.holds("the new password logs in", await logs_in(await app.value("by-call")))
        checks.holds("the old one is refused", not await logs_in(old))
        stale = await app.rotate("by-call", if_version=first, force="true")
        checks.equal("a stale wish is refused", stale.status, 409)
        checks.equal("as a problem", stale.headers["Content-Type"], "application/problem+json")
        nobody = await app.rotate("nobody")
        checks.equal("a secret that is none is not found", nobody.status, 404)
        listed = await app.call("GET", f"/api/vaults/{VAULT}/secrets")
        checks.holds("the list names it", "by-call" in listed.text, listed.text)
        checks.equal("its state is told", (await app.read("by-call"))["secret"], "by-call")

    async def sweep(self) -> None:
        """What no event asked for is found."""
        app, checks = self._app, self._checks
        app.stack.vault_control.post("event-endpoint", {"url": None})
        value, _ = await managed(app, "by-sweep", life=timedelta(days=10))
        await app.run("sweep")
        await rotated(app, "by-sweep")
        checks.holds("a sweep rotates what is due", await logs_in(await app.value("by-sweep")))
        checks.holds("the old password is refused", not await logs_in(value))
        checks.equal("asked for by the sweep", (await app.read("by-sweep"))["history"][-1]["actor"], "sweep")
        app.stack.vault_control.post("event-endpoint", {"url": app.stack.events_url})

    async def put_back(self) -> None:
        """A message that meets a running rotation waits in the queue, and comes again as a new one."""
        app, checks = self._app, self._checks
        await app.idle()
        _, version = await managed(app, "by-turns")
        fault = {"kind": "slow_answer", "operation": "set", "name": "by-turns", "ms": HELD_MS, "times": 1}
        app.stack.vault_control.post("faults", fault)
        running = asyncio.create_task(app.rotate("by-turns", force="true"))
        await rotated(app, "by-turns")
        await app.near_expiry("by-turns", version)
        async with asyncio.timeout(WITHIN_S):
            while "busy kv-demo/by-turns" not in app.stack.host.log:  # noqa: ASYNC110  as above
                await asyncio.sleep(0.1)
        # A message that is being worked on is not to be seen either, so what is counted settles a moment later.
        waiting, both = await app.queue(), (2, 2)  # the run's own reminder, and what was put back
        with suppress(TimeoutError):
            async with asyncio.timeout(HELD_MS / 2000):
                while (waiting["count"], waiting["delayed"]) != both:
                    await asyncio.sleep(0.1)
                    waiting = await app.queue()
        unseen = (waiting["count"], waiting["delayed"])
        checks.equal("a message that meets a running rotation waits, unseen", unseen, both)
        answer = await running
        checks.equal("the rotation comes to its end", answer.json["outcome"], "rotated")
        _, copied = await managed(app, "by-copies")
        answers = await asyncio.gather(*(app.near_expiry("by-copies", copied) for _ in range(COPIES)))
        checks.equal("copies of one event are all taken", {answer.status for answer in answers}, {202})
        app.stack.vault_control.delete("faults")

    async def drained(self) -> None:
        """Of what was put back: after a minute or more it came again. Copies may meet each other, and wait again."""
        app, checks = self._app, self._checks
        await app.idle(DRAINED_WITHIN_S)
        checks.equal("a message put back came again, and rotated nothing twice", len(await app.versions("by-turns")), 2)
        checks.equal("copies of one event rotate once", len(await app.versions("by-copies")), 2)
        checks.holds("each copy has its line", app.stack.host.log.count("superseded kv-demo/by-copies") == COPIES - 1)
        checks.equal("no message was given up", (await app.queue())["poison"], 0)

    async def odd_messages(self) -> None:
        """What no function can use leaves the queue."""
        app, checks = self._app, self._checks
        assert app.stack.azurite is not None
        before = app.stack.host.log.count("a message is dropped")
        async with queue_client(app.stack.azurite, QUEUE) as queue:
            for text in ("", "no JSON", "[]", '{"vault": "kv-demo"}'):
                await queue.send_message(text)
        async with asyncio.timeout(WITHIN_S):
            while app.stack.host.log.count("a message is dropped") < before + 4:  # noqa: ASYNC110  as above
                await asyncio.sleep(0.1)
        dropped = app.stack.host.log.count("a message is dropped") - before
        checks.equal("messages that say nothing are dropped, each with a line", dropped, 4)
        checks.equal("and are no poison", (await app.queue())["poison"], 0)

    async def restart(self) -> None:
        """SIGTERM and a new process: what came meanwhile is worked off, and what was tried too often is not."""
        app, checks = self._app, self._checks
        assert app.stack.azurite is not None
        host, url = app.stack.host, app.stack.ready["functions"]
        value, version = await managed(app, "by-waiting")
        await asyncio.to_thread(host.stop)
        async with queue_client(app.stack.azurite, QUEUE) as queue:
            await queue.send_message("tried too often")
            for _ in range(MAX_TRIES):
                await queue.receive_message(visibility_timeout=1)
                await asyncio.sleep(1.1)
            wish = {"vault": VAULT, "secret": "by-waiting", "version": version, "force": "yes", "demanded": True}
            await queue.send_message(json.dumps(wish))
        log = len(host.log)
        await asyncio.to_thread(host.start)
        checks.measured("cold start", "real", host.cold_start_s)
        checks.equal("it serves where it served", (await ask(url, "GET", "/api/health")).status, 200)
        await rotated(app, "by-waiting")
        checks.holds("a message from before the start is worked off", await logs_in(await app.value("by-waiting")))
        checks.holds("the old password is refused", not await logs_in(value))
        async with asyncio.timeout(WITHIN_S):
            while not (await app.queue())["poison"]:  # noqa: ASYNC110  as above
                await asyncio.sleep(0.1)
        await app.idle()
        checks.holds("one tried too often is poison, without another try", "a message is dropped" not in host.log[log:])
        answer = await app.rotate("by-waiting", force="true")
        checks.equal("the keys are the same", answer.status, 200)
        await app.run("sweep")
        async with asyncio.timeout(WITHIN_S):
            while "poison" not in host.log[log:].lower():  # noqa: ASYNC110  as above
                await asyncio.sleep(0.1)
        checks.holds("the sweep tells of the poison", "poison" in host.log[log:].lower())
