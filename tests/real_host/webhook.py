"""The Event Grid webhook of the real host: handshakes, keys, bodies, batches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.e2e.deployment import event_of
from tests.real_host.checks import Checks
from tests.real_host.main_job import managed, rotated
from tests.real_host.raw import Told, ask
from tests.real_host.seen import WEBHOOK, Seen

JSON = ("Content-Type", "application/json")
NOTIFICATION = ("aeg-event-type", "Notification")
DEEP = "[" * 100_000


class Webhook:
    """On one app; nothing here rotates anything but where it says so."""

    def __init__(self, app: Seen, checks: Checks) -> None:
        self._app = app
        self._checks = checks

    async def _post(
        self,
        body: Any,
        *,
        key: str | None = None,
        function: str = "near_expiry",
        kind: str | None = "Notification",
        method: str = "POST",
        chunked: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Told:
        """body: text goes as it is. key: "" is none; None the system key. kind: of the header aeg-event-type."""
        text = body if isinstance(body, str) else json.dumps(body)
        code = self._app.stack.host.keys.system if key is None else key
        target = f"{WEBHOOK}?functionName={function}" + (f"&code={code}" if code else "")
        told = [("aeg-event-type", kind)] if kind is not None else []
        told += [*(headers or {}).items(), *([] if headers and "Content-Type" in headers else [JSON])]
        sent = None if method == "GET" else text.encode()
        return await ask(self._app.stack.ready["functions"], method, target, told, sent, chunked=chunked)

    async def keys(self) -> None:
        """Who may deliver."""
        keys, other = self._app.stack.host.keys, [event_of("nobody", "1", vault="kv-other")]
        for what, key, status in (
            ("without a key", "", 401),
            ("with a wrong key", "wrong", 401),
            ("with a function key", keys.function, 403),
            ("with the master key", keys.master, 202),
            ("with the system key", keys.system, 202),
        ):
            self._checks.equal(f"a delivery {what}: {status}", (await self._post(other, key=key)).status, status)
        for what, name in (("of an unknown function", "nobody"), ("of a name in another case", "NEAR_EXPIRY")):
            self._checks.equal(f"a delivery {what}: 404", (await self._post(other, function=name)).status, 404)

    async def handshakes(self) -> None:
        """What Event Grid asks before it delivers."""
        event = event_of("nobody", "1") | {"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent"}
        event["data"] = {"validationCode": "c0de", "validationUrl": "https://example.test"}
        told = await self._post([event], kind="SubscriptionValidation")
        self._checks.equal("the validation is answered", told.status, 200)
        self._checks.equal("with its code", json.loads(told.body or b"{}"), {"validationResponse": "c0de"})
        options = await self._post(
            "", method="OPTIONS", kind=None, headers={"WebHook-Request-Origin": "eventgrid.azure.net"}
        )
        self._checks.equal("OPTIONS of the CloudEvents schema: 200", options.status, 200)
        self._checks.equal(
            "its origin is allowed", options.headers.get("webhook-allowed-origin"), "eventgrid.azure.net"
        )
        self._checks.equal("an unsubscription is taken", (await self._post([event], kind="Unsubscribe")).status, 202)
        for what, kind in (("no", None), ("an unknown", "Else")):
            told = await self._post([event], kind=kind)
            self._checks.equal(f"a delivery with {what} aeg-event-type: 400", told.status, 400)

    async def bodies(self) -> None:
        """What is no list of events is answered so that it comes again; what is one, in whatever form, is taken."""
        other = event_of("nobody", "1", vault="kv-other")
        for what, body, status in (
            ("no JSON", "[{", 500), ("an empty body", "", 500), ("null", "null", 500),
            ("100,000 brackets", DEEP, 500), ("an empty list", [], 202), ("an event without its list", other, 202),
        ):  # fmt: skip
            self._checks.equal(f"a delivery of {what}: {status}", (await self._post(body)).status, status)
        self._checks.equal("GET: 500", (await self._post("", method="GET")).status, 500)
        self._checks.equal("a chunked delivery: 202", (await self._post([other], chunked=True)).status, 202)

    async def batch(self) -> None:
        """Several events of one delivery, about several secrets."""
        versions = {name: (await managed(self._app, name))[1] for name in ("batch-1", "batch-2")}
        events = [event_of(name, version) for name, version in versions.items()]
        told = await self._post([*events, event_of("nobody", "1", vault="kv-other")])
        self._checks.equal("a batch of three is taken", told.status, 202)
        for name in versions:
            await rotated(self._app, name)
        found = {name: len(await self._app.versions(name)) for name in versions}
        self._checks.equal("each of its secrets was rotated once", set(found.values()), {2})
