"""JSON calls to Azure's planes (resource manager, Graph, login) over azure-core's pipeline.

Of an answer only its JSON fields and Azure's own error code are used; the message of an error, which may repeat what
was sent, is never read. Redirects are not followed: they could carry a token or a secret to another host.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from azure.core import AsyncPipelineClient
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.policies import AsyncRetryPolicy, RequestIdPolicy, UserAgentPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

from rotation.errors import Misconfigured, Refused, Throttled, Unreachable
from rotation.ports import TokenProvider

CALL_S = 12.0  # one call with all its tries; a rotator makes few in the engine's time limit for a provider
CONNECT_S = 4.0
TRIES_MORE = 2
BACKOFF_S = 0.4
BUSY_S = 10  # when a provider says "not now" and not when

OK = range(200, 300)
CREATED, ACCEPTED = 201, 202
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 400, 401, 403, 404
CONFLICT, PRECONDITION, THROTTLED, SERVER_ERRORS = 409, 412, 429, range(500, 600)
_TIMED_OUT = 408

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{1,79}")


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What a plane said. body: hidden, since it may hold keys. code: Azure's error code, where it is one."""

    status: int
    body: Mapping[str, Any] = field(repr=False)
    code: str | None = None

    @property
    def ok(self) -> bool:
        return self.status in OK

    @property
    def summary(self) -> str:
        """For a message: the status and the code."""
        return f"{self.status} {self.code}" if self.code else str(self.status)


@asynccontextmanager
async def session(authority: str | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections for one operation. Trust is read here and now, so that SSL_CERT_FILE counts whenever it was set.

    authority: PEM of what alone is trusted, where that is not whom everybody trusts. ValueError: it is none.
    """
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=authority))
    async with aiohttp.ClientSession(
        connector=connector, trust_env=True, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as opened:
        yield opened


class ApiClient:
    """One of Azure's planes at `base`, called with this app's token; without `tokens` nobody's.

    Raises:
        Misconfigured: `base` is not https, over which alone tokens and secrets are sent.

    Every call raises:
        Throttled: too many calls for now. Unreachable: no answer, a fault of Azure's, or a conflict with another
        change. Refused: the token was not accepted; everything else is an `ApiResponse` for the caller to judge.
    """

    def __init__(self, name: str, base: str, tokens: TokenProvider | None = None) -> None:
        if not base.startswith("https://"):
            raise Misconfigured(f"the address of {name} is not https: correct the endpoints")
        self.name = name
        self._base = base
        self._tokens = tokens

    async def get(self, over: aiohttp.ClientSession, path: str, **query: str) -> ApiResponse:
        """Read; tried again where that may help."""
        return await self._send(over, HttpRequest("GET", self._base + path, params=query))

    async def post(self, over: aiohttp.ClientSession, path: str, body: Mapping[str, Any], **query: str) -> ApiResponse:
        """Sent once: an answer that was lost may have been a success."""
        return await self._send(over, HttpRequest("POST", self._base + path, params=query, json=body))

    async def put(self, over: aiohttp.ClientSession, path: str, body: Mapping[str, Any], **query: str) -> ApiResponse:
        """Sent once, as with `post`; but aiohttp repeats a PUT at once where a connection breaks: let it do no harm."""
        return await self._send(over, HttpRequest("PUT", self._base + path, params=query, json=body))

    async def get_as_it_is(self, over: aiohttp.ClientSession, path: str, headers: Mapping[str, str]) -> ApiResponse:
        """Read with these headers; tried again where that may help. path: with its query, if it has one."""
        return await self._send(over, HttpRequest("GET", self._base + path, headers=dict(headers)))

    async def post_form(self, over: aiohttp.ClientSession, path: str, form: Mapping[str, str]) -> ApiResponse:
        """Sent once, as a form."""
        return await self._send(over, HttpRequest("POST", self._base + path, data=dict(form)))

    async def send_as_it_is(
        self, over: aiohttp.ClientSession, method: str, path: str, content: bytes, headers: Mapping[str, str]
    ) -> ApiResponse:
        """Sent once (but see `put`), byte by byte, with these headers. method: one that writes."""
        return await self._send(over, HttpRequest(method, self._base + path, content=content, headers=dict(headers)))

    async def _send(self, over: aiohttp.ClientSession, request: HttpRequest) -> ApiResponse:
        if self._tokens is not None:
            token = await self._tokens.token(f"{self._base}/.default")
            request.headers["Authorization"] = f"Bearer {token.reveal()}"
        policies = [RequestIdPolicy(), UserAgentPolicy("keyturn"), _Retry()]
        transport = AioHttpTransport(session=over, session_owner=False, connection_timeout=CONNECT_S)
        client: AsyncPipelineClient[HttpRequest, AsyncHttpResponse] = AsyncPipelineClient(
            self._base, policies=policies, transport=transport
        )
        try:
            async with asyncio.timeout(CALL_S):
                response = await client.send_request(request, retry_on_methods=["GET"])  # said here alone it counts
        except (ServiceRequestError, ServiceResponseError, HttpResponseError, aiohttp.ClientError, TimeoutError):
            raise Unreachable(f"{self.name} did not answer; it is asked again later") from None
        return self._judge(response)

    def _judge(self, response: AsyncHttpResponse) -> ApiResponse:
        body = _json_object(response.content)
        answer = ApiResponse(response.status_code, body, _error_code(body))
        wait = _retry_after(response)
        if answer.status == THROTTLED:
            raise Throttled(f"{self.name} answered that there are too many calls", retry_after_s=wait or BUSY_S)
        if answer.code == "ScopeLocked":
            raise Refused(f"{self.name} answered that the resource has a lock: take it, or the rotator tag, away")
        if answer.status == CONFLICT:
            raise Unreachable(
                f"{self.name} answered {answer.summary}: the same thing is being changed by another request; it is "
                "asked again later",
                retry_after_s=wait,
            )
        if answer.status == _TIMED_OUT or answer.status in SERVER_ERRORS:
            raise Unreachable(f"{self.name} answered {answer.summary}; it is asked again later", retry_after_s=wait)
        if answer.status == UNAUTHORIZED and self._tokens is not None:
            raise Refused(f"{self.name} did not accept this app's token ({answer.summary}): check its managed identity")
        return answer


class _Retry(AsyncRetryPolicy[HttpRequest, AsyncHttpResponse]):
    """A few quick tries of what only reads. One that says when to come back is not asked before: the queue waits."""

    def __init__(self) -> None:
        super().__init__(retry_total=TRIES_MORE, retry_backoff_factor=BACKOFF_S)

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse[Any, Any]) -> bool:
        answered = response.http_response
        return (
            settings["total"] > 0
            and response.http_request.method == "GET"
            and answered.status_code in SERVER_ERRORS
            and "Retry-After" not in answered.headers
        )


def _json_object(raw: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _error_code(body: Mapping[str, Any]) -> str | None:
    error = body.get("error")
    code = error.get("code") if isinstance(error, dict) else error
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _retry_after(response: AsyncHttpResponse) -> int | None:
    """Whole seconds; the header's other form, a date, is not used by Azure's planes."""
    text = response.headers.get("Retry-After", "")
    return int(text) if text.isdecimal() else None
