"""The queue service's Put Message, over TLS, as azure-storage-queue calls it: who waits for a lease uses nothing else.

Source: Microsoft Learn, "Put Message (Azure Storage REST API)".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from aiohttp import web
from defusedxml import ElementTree

from local.host.queue import Queues
from local.tokens import TokenAuthority, TokenRefused

ACCOUNT = "devstoreaccount1"
AUDIENCES = ("https://storage.azure.com", "https://storage.azure.com/")


def queue_service(queues: Queues, authority: TokenAuthority) -> web.Application:
    """The service; an account's name leads each path, as Azurite has it."""

    async def put(request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            authority.verify(token if scheme == "Bearer" else "", AUDIENCES)
        except TokenRefused:
            return _error(401, "InvalidAuthenticationInfo")
        try:
            text = ElementTree.fromstring(await request.read()).findtext("MessageText")
            delay_s = int(request.query.get("visibilitytimeout", "0"))
        except (ElementTree.ParseError, ValueError):
            return _error(400, "InvalidXmlDocument")
        if text is None:
            return _error(400, "InvalidXmlDocument")
        queues.put(request.match_info["queue"], [text], delay_s=delay_s)
        now = datetime.now(UTC)
        told = "".join(
            f"<{name}>{format_datetime(at, usegmt=True)}</{name}>"
            for name, at in (
                ("InsertionTime", now),
                ("ExpirationTime", now + timedelta(days=7)),
                ("TimeNextVisible", now + timedelta(seconds=delay_s)),
            )
        )
        body = f"<QueueMessage><MessageId>{request.match_info['queue']}</MessageId><PopReceipt>-</PopReceipt>{told}"
        return _xml(201, f"<QueueMessagesList>{body}</QueueMessage></QueueMessagesList>")

    app = web.Application()
    app.router.add_post(f"/{ACCOUNT}/{{queue}}/messages", put)
    return app


def _error(status: int, code: str) -> web.Response:
    answer = _xml(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>")
    answer.headers["x-ms-error-code"] = code
    return answer


def _xml(status: int, body: str) -> web.Response:
    return web.Response(
        status=status, text=f'<?xml version="1.0" encoding="utf-8"?>{body}', content_type="application/xml"
    )
