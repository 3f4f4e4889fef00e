"""What both hosts are asked: requests, deliveries and messages, to the app in `probe`, which tells what reached it.

Each has a name, by which `answers.json` keeps what the real host did. `{function}`, `{master}` and `{system}` stand for
keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

WEBHOOK = "/runtime/webhooks/eventgrid"
ON_EVENT = f"{WEBHOOK}?functionName=on_event"
EVENT = {
    "id": "1", "topic": "/t", "subject": "job", "eventType": "Kind.One", "eventTime": "2026-01-01T00:00:00Z",
    "data": {"a": 1}, "dataVersion": "1", "metadataVersion": "1",
}  # fmt: skip
CLOUD = {
    "specversion": "1.0", "id": "2", "source": "/s", "subject": "cloudy", "type": "Cloud.Kind",
    "time": "2026-01-01T00:00:00Z", "data": {"b": 2},
}  # fmt: skip
QUERIES = r"""
a=1 a a= =1 ? & a=1&a=2 a=1&A=2 a=1&A=2&a=3 a=&A=1 a=1&a=2&A=3 a=&a=1 a=1&a= a=1&b=2&a=1 A=1 a=x%20y a=x+y a=%2B
a=%26b%3D1 a=%FF a=%zz a=%C3%A9 a=b=c a=1;b=2 a[]=1 a=1%2C2 %61=1 a=%e2%82 a=%E2%82%AC code= code=%7B dry_run
dry_run= dryrun=true Dry_Run=true if_version=
"""
PATHS = r"""
/api/echo/x/ /API/ECHO/X /Api/eCho/MixedCase /api/echo/ /api/echo /api//echo/x //api/echo/x /api/echo//x
/api/echo/a%2Fb /api/echo/a%20b /api/echo/a+b /api/echo/%FF /api/echo/%C3%A9 /api/echo/a%00b /api/echo/a%0Ab
/api/echo/%2E%2E /api/echo/.. /api/echo/../echo/y /api/echo/./y /api/echo/a;b /api/echo/a,b /api/echo/%25
/api/echo/a%252Fb /api/echo/%zz /api/echo/%41 /api/echo/a%3Fb /api/echo/a%23b /api/echo/%7Ba%7D /api/echo/a|b
/api/echo/[a] /api/echo/a%5Cb /api/echo/%e2%82 /api/echo/a%252541 /api/echo/... /api/./echo/x /api/x/%2e%2e/echo/x
/api/echo/x? /api /api/ /echo/x /api/open/x /api/Open/x /api/nothing
"""
CODE = {"validationCode": "c0de", "validationUrl": "https://example.test/"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. key: "function", "master", "system", "wrong" or none, sent as the header x-functions-key."""

    name: str
    method: str = "GET"
    target: str = "/api/echo/x"
    key: str | None = "function"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    chunked: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """Messages that come to the queue at one moment, and what happens meanwhile: "killed" or "stopped" is the host."""

    name: str
    texts: tuple[str, ...]
    host: str | None = field(default=None)


def requests() -> Iterator[Asked]:
    """HTTP functions and the admin endpoints."""
    yield from _queries()
    yield from _paths()
    yield from _methods()
    yield from _bodies()
    yield from _keys()
    yield from _headers()
    yield from _answers()
    yield from _admin()


def _queries() -> Iterator[Asked]:
    for query in QUERIES.split():
        yield Asked(f"query ?{query}", target=f"/api/echo/x?{query}")
    yield Asked("query with the key as code", target="/api/echo/x?code={function}", key=None)
    yield Asked("query with the key as CODE", target="/api/echo/x?CODE={function}&a=1", key=None)
    yield Asked("query with the key twice", target="/api/echo/x?code={function}&code={function}", key=None)
    yield Asked("query with a wrong code and the right header", target="/api/echo/x?code=wrong")


def _paths() -> Iterator[Asked]:
    for path in PATHS.split():
        yield Asked(f"path {path}", target=path)
    yield Asked("path of 2,000 characters", target=f"/api/echo/{'x' * 2_000}")
    yield Asked("request line over 8 KiB", target=f"/api/echo/x?a={'x' * 8_200}")


def _methods() -> Iterator[Asked]:
    for method in ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "get", "TRACE", "NONSENSE"):
        yield Asked(f"method {method}", method=method)


def _bodies() -> Iterator[Asked]:
    post = Asked("", method="POST")
    json_type = (("Content-Type", "application/json"),)
    yield replace(post, name="body of JSON", headers=json_type, body=b'{"dry_run": true}')
    yield replace(post, name="body without a type", body=b"text")
    yield replace(
        post, name="body of bytes", headers=(("Content-Type", "application/octet-stream"),), body=b"\x00\xff\x80"
    )
    form = (("Content-Type", "application/x-www-form-urlencoded"),)
    yield replace(post, name="body of a form", headers=form, body=b"a=1&b=2")
    yield replace(post, name="body that is empty", body=b"")
    yield replace(post, name="body without a length")
    yield replace(post, name="body in chunks", headers=json_type, body=b'{"dry_run": true}', chunked=True)
    yield replace(post, name="body in chunks, empty", body=b"", chunked=True)
    yield replace(post, name="body of 200 KiB", body=b"x" * 200_000)
    yield replace(post, name="body that is no UTF-8", headers=(("Content-Type", "text/plain"),), body=b"\xc3\x28")
    yield replace(post, name="GET with a body", method="GET", headers=json_type, body=b'{"a": 1}')


def _keys() -> Iterator[Asked]:
    for key in (None, "wrong", "system", "master"):
        yield Asked(f"key {key}", key=key)
    yield Asked("key that is empty", key=None, headers=(("x-functions-key", ""),))
    yield Asked("key twice", key=None, headers=(("x-functions-key", "{function}"), ("x-functions-key", "{function}")))
    yield Asked("key wrong as a header, right as code", target="/api/echo/x?code={function}", key="wrong")
    yield Asked("key for everybody's function, none", target="/api/open/x", key=None)
    yield Asked("key for everybody's function, wrong", target="/api/open/x", key="wrong")
    yield Asked("key, master as code", target="/api/echo/x?code={master}", key=None)


def _headers() -> Iterator[Asked]:
    yield Asked("headers over 32 KiB", headers=(("x-wide", "x" * 33_000),))
    yield Asked("headers, a hundred and one", headers=tuple((f"x-{number}", "1") for number in range(101)))
    yield Asked("header twice", headers=(("X-Twice", "one"), ("X-Twice", "two")))
    yield Asked("header in capitals", headers=(("X-CAPITALS", "Kept"),))
    yield Asked("header of UTF-8", headers=(("X-Bytes", "\xc3\xa9"),))
    yield Asked("header with bytes", headers=(("X-Bytes", "\xe9"),))
    yield Asked(
        "header that says who calls", headers=(("x-ms-client-principal", "e30="), ("x-forwarded-for", "1.2.3.4"))
    )
    yield Asked("cookies", headers=(("Cookie", "a=1; b=2"),))


def _answers() -> Iterator[Asked]:
    yield told("with text", text="told")
    yield told("without a body", status=204)
    yield told("that is a problem", status=409, text="{}", headers={"Content-Type": "application/problem+json"})
    yield told("with Retry-After", status=503, headers={"Retry-After": "30"})
    yield told("of a function that raises", raises=True)


def _admin() -> Iterator[Asked]:
    post = Asked("", method="POST", headers=(("Content-Type", "application/json"),), body=b"{}")
    event = json.dumps({"input": json.dumps(EVENT | {"subject": "by hand"})}).encode()
    for name, function, key, body in (
        ("the timer", "on_tick", "master", b"{}"),
        ("the timer without a key", "on_tick", None, b"{}"),
        ("the timer with a wrong key", "on_tick", "wrong", b"{}"),
        ("the timer with a function key", "on_tick", "function", b"{}"),
        ("the timer in another case", "ON_TICK", "master", b"{}"),
        ("the timer without a body", "on_tick", "master", b""),
        ("the event function without an event", "on_event", "master", b"{}"),
        ("the event function", "on_event", "master", event),
        ("the queue function", "on_message", "master", b'{"input": "by hand"}'),
        ("an unknown function", "nobody", "master", b"{}"),
        ("no JSON", "on_tick", "master", b"{"),
        ("an HTTP function", "echo", "master", b"{}"),
    ):
        yield replace(post, name=f"by hand, {name}", target=f"/admin/functions/{function}", key=key, body=body)
    yield Asked("the list of functions without a key", target="/admin/functions", key=None)


def told(name: str, **wish: Any) -> Asked:
    """Of the function that answers as it is told."""
    body = json.dumps({"status": 200} | wish).encode()
    return Asked(f"answer {name}", "POST", "/api/answers", None, (("Content-Type", "application/json"),), body)


def late() -> Iterator[Asked]:
    """What takes as long as a function may."""
    yield told("of a function that takes too long", late=True)


def deliveries() -> Iterator[Asked]:
    """The Event Grid webhook. Its keys stand in the query, as in an event subscription."""

    def posted(name: str, body: Any, kind: str | None = "Notification", **more: Any) -> Asked:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        target = more.pop("target", f"{ON_EVENT}&code={{system}}")
        headers = more.pop("headers", ())
        if "Content-Type" not in dict(headers):
            headers = (("Content-Type", "application/json"), *headers)
        headers += (("aeg-event-type", kind),) if kind is not None else ()
        return Asked(f"delivery {name}", more.pop("method", "POST"), target, None, headers, text, **more)

    raises = EVENT | {"subject": "raises", "id": "9"}
    yield posted("of an event", [EVENT])
    yield posted("of an event without its list", EVENT)
    yield posted("of two events", [EVENT, EVENT | {"id": "2"}])
    yield posted("of an event that raises", [raises])
    yield posted("of two events, one raises", [EVENT, raises])
    yield posted("of an empty list", [])
    yield posted("of an empty object", {})
    yield posted("of a list of an empty object", [{}])
    yield posted("of a list in a list", [[EVENT]])
    yield posted("of an event without data", [{name: value for name, value in EVENT.items() if name != "data"}])
    yield posted("of an event without a type", [{name: value for name, value in EVENT.items() if name != "eventType"}])
    yield posted("of an event with text for its data", [EVENT | {"data": "text"}])
    yield posted("of an event with more fields", [EVENT | {"more": True}])
    for name, body in (
        ("no JSON", b"[{"),
        ("nothing", b""),
        ("white space", b"  "),
        ("null", b"null"),
        ("a number", b"7"),
        ("a text", b'"text"'),
        ("a list of texts", b'["text"]'),
        ("many brackets", b"[" * 100_000),
        ("a list that ends twice", b"[]]"),
        ("no UTF-8", b'[{"id": "\xff"}]'),
        ("a byte order mark", b"\xef\xbb\xbf" + json.dumps([EVENT]).encode()),
        ("a comment in JSON", b"[/* */]"),
        ("single quotes", b"[{'id': '1', 'subject': 'job'}]"),
    ):
        yield posted(f"of {name}", body)
    for key in ("{function}", "{master}", "wrong", ""):
        yield posted(f"with the key {key or 'none'}", [EVENT], target=f"{ON_EVENT}&code={key}" if key else ON_EVENT)
    header = (("x-functions-key", "{system}"),)
    yield posted("with the key as a header", [EVENT], target=ON_EVENT, headers=header)
    for name, function in (
        ("an unknown function", "nobody"),
        ("another case", "ON_EVENT"),
        ("another trigger", "on_message"),
    ):
        yield posted(f"to {name}", [EVENT], target=f"{WEBHOOK}?functionName={function}&code={{system}}")
    yield posted("to no function", [EVENT], target=f"{WEBHOOK}?code={{system}}")
    yield posted(
        "to the path in capitals", [EVENT], target=f"{ON_EVENT.replace('webhooks', 'WebHooks')}&code={{system}}"
    )
    for kind in (None, "", "Else", "notification", "Unsubscribe", "SubscriptionDeletion"):
        yield posted(f"of the kind {kind}", [EVENT], kind)
    yield replace(posted("by GET", []), method="GET", body=None)
    yield replace(posted("by PUT", [EVENT]), method="PUT")
    origin = (("WebHook-Request-Origin", "eventgrid.azure.net"),)
    yield replace(posted("by OPTIONS", [], None, headers=origin), method="OPTIONS", body=None)
    yield replace(posted("by OPTIONS without an origin", [], None), method="OPTIONS", body=None)
    yield posted("in chunks", [EVENT], chunked=True)
    yield posted("of a validation", [EVENT | {"data": CODE}], "SubscriptionValidation")
    yield posted("of a validation without a code", [EVENT], "SubscriptionValidation")
    yield posted("of a validation of no list", EVENT | {"data": CODE}, "SubscriptionValidation")
    yield posted("of a validation that is empty", [], "SubscriptionValidation")
    cloud = (("Content-Type", "application/cloudevents+json"),)
    yield posted("of a cloud event", CLOUD, headers=cloud)
    yield posted("of a cloud event of no kind", CLOUD, None, headers=cloud)
    yield posted("of two cloud events", [CLOUD, CLOUD | {"id": "3"}], headers=cloud)
    yield posted("of a cloud event without a type", {name: value for name, value in CLOUD.items() if name != "type"})
    yield posted("with two content types", [EVENT], headers=(*cloud, ("Content-Type", "application/json")))
    binary = tuple((f"ce-{name}", str(value)) for name, value in CLOUD.items() if name != "data")
    yield posted("of a cloud event in headers", {"b": 2}, headers=binary)


def messages() -> Iterator[Sent]:
    """What becomes of messages."""
    yield Sent("message that is taken", ("hello",))
    yield Sent("message whose function raises once", ("once",))
    yield Sent("message whose function always raises", ("raises",))
    yield Sent("message of JSON", ('{"a": 1}',))
    yield Sent("message of odd text", ("é <&> \t \U0001f511 'x' \"y\"",))
    yield Sent("message of 40,000 characters", ("x" * 40_000,))
    yield Sent("messages, twenty at once", tuple(f"many {number}" for number in range(20)))
    yield Sent("message whose function takes too long", ("slow",))
    yield Sent("messages, one takes too long, beside one that raises once", ("slow too", "once too"))
    yield Sent("message in hand when the host was killed", ("slow, killed",), "killed")
    yield Sent("message in hand when the host was stopped", ("slow, stopped",), "stopped")
