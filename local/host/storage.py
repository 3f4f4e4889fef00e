"""The queue service's Put, Peek and Delete Message, over TLS, as azure-storage-queue calls them. The app uses no more.

Source: Microsoft Learn, "Put Message", "Peek Messages" and "Delete Message (Azure Storage REST API)".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from xml.sax.saxutils import escape

from aiohttp import web
from aiohttp.typedefs import Handler
from defusedxml import ElementTree

from local.host.queue import Queues
from local.tokens import TokenAuthority, TokenRefused

ACCOUNT = "devstoreaccount1"
AUDIENCES = ("https://storage.azure.com", "https://storage.azure.com/")


def queue_service(queues: Queues, authority: TokenAuthority) -> web.Application:
    """The service; an account's name leads each path, as Azurite has it."""
    service, messages = _Service(queues), f"/{ACCOUNT}/{{queue}}/messages"

    @web.middleware
    async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await handler(request) if _admitted(request, authority) else _error(401, "InvalidAuthenticationInfo")

    app = web.Application(middlewares=[admitted])
    app.router.add_get(messages, service.peek)
    app.router.add_post(messages, service.put)
    app.router.add_delete(f"{messages}/{{message}}", service.delete)
    return app


class _Service:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def peek(self, request: web.Request) -> web.Response:
        queue, most = request.match_info["queue"], request.query.get("numofmessages", "1")
        if request.query.get("peekonly") != "true" or not most.isdigit():
            return _error(400, "InvalidQueryParameterValue")
        if not self._queues.count(queue):
            return _error(404, "QueueNotFound")
        found = "".join(
            f"<QueueMessage><MessageId>{message.id}</MessageId>{_times(message.inserted)}"
            f"<DequeueCount>{message.tries}</DequeueCount><MessageText>{escape(message.body)}</MessageText></QueueMessage>"
            for message in self._queues.peek(queue, int(most))
        )
        return _xml(200, f"<QueueMessagesList>{found}</QueueMessagesList>")

    async def put(self, request: web.Request) -> web.Response:
        try:
            text = ElementTree.fromstring(await request.read()).findtext("MessageText")
            delay_s = int(request.query.get("visibilitytimeout", "0"))
        except (ElementTree.ParseError, ValueError):
            return _error(400, "InvalidXmlDocument")
        if text is None:
            return _error(400, "InvalidXmlDocument")
        message, receipt = self._queues.send(request.match_info["queue"], text, delay_s=delay_s)
        now = datetime.now(UTC)
        told = "".join(
            f"<{name}>{format_datetime(at, usegmt=True)}</{name}>"
            for name, at in (
                ("InsertionTime", now),
                ("ExpirationTime", now + timedelta(days=7)),
                ("TimeNextVisible", now + timedelta(seconds=delay_s)),
            )
        )
        body = f"<QueueMessage><MessageId>{message}</MessageId><PopReceipt>{receipt}</PopReceipt>{told}</QueueMessage>"
        return _xml(201, f"<QueueMessagesList>{body}</QueueMessagesList>")

    async def delete(self, request: web.Request) -> web.Response:
        queue, message = request.match_info["queue"], request.match_info["message"]
        if not self._queues.delete(queue, message, request.query.get("popreceipt", "")):
            return _error(404, "MessageNotFound")
        return web.Response(status=204)


def _admitted(request: web.Request, authority: TokenAuthority) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        authority.verify(token if scheme == "Bearer" else "", AUDIENCES)
    except TokenRefused:
        return False
    return True


def _times(inserted: float) -> str:
    at = datetime.fromtimestamp(inserted, UTC)
    ends = at + timedelta(days=7)
    return (
        f"<InsertionTime>{format_datetime(at, usegmt=True)}</InsertionTime>"
        f"<ExpirationTime>{format_datetime(ends, usegmt=True)}</ExpirationTime>"
    )


def _error(status: int, code: str) -> web.Response:
    answer = _xml(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>")
    answer.headers["x-ms-error-code"] = code
    return answer


def _xml(status: int, body: str) -> web.Response:
    return web.Response(
        status=status, text=f'<?xml version="1.0" encoding="utf-8"?>{body}', content_type="application/xml"
    )
