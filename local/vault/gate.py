"""What every call passes, in this order: token, api-version, limits, faults, rights; and what every answer carries."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local.vault import errors
from local.vault.access import Access
from local.vault.calls import CallRecord, Calls, timestamp
from local.vault.clock import Clock
from local.vault.faults import Call, Fault, Faults, Kind
from local.vault.limits import Limits
from local.vault.operations import Operation
from local.vault.wire import check_api_version
from local.vault.writers import Writers

SERVICE_VERSION = "1.9.2500.1"
REGION = "local"
NETWORK = "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;"

Work = Callable[[web.Request], Awaitable[tuple[int, dict[str, Any] | None]]]


class _DroppedError(Exception):
    """The connection is to be closed without an answer."""


class Gate:
    """The way into one vault."""

    def __init__(
        self, vault: str, *, access: Access, limits: Limits, faults: Faults, calls: Calls, clock: Clock
    ) -> None:
        self._vault = vault
        self._access = access
        self._limits = limits
        self._faults = faults
        self._calls = calls
        self._clock = clock
        self._writers = Writers()

    def guard(self, operation: Operation, work: Work) -> Handler:
        """The handler that lets good calls through to `work`, and records all of them."""

        async def handle(request: web.Request) -> web.StreamResponse:
            started = time.monotonic()
            at = timestamp()
            status: int | None = None
            try:
                response = await self._answer(request, operation, work)
                status = response.status
            except _DroppedError:
                response = web.Response(status=500)  # never sent: the connection is gone
                if request.transport is not None:
                    request.transport.abort()
            self._calls.add(
                CallRecord(
                    at=at,
                    vault=self._vault,
                    method=request.method,
                    operation=operation.value,
                    name=request.match_info.get("name"),
                    version=request.match_info.get("version"),
                    status=status,
                    duration_ms=round((time.monotonic() - started) * 1000, 3),
                )
            )
            return response

        return handle

    async def _answer(self, request: web.Request, operation: Operation, work: Work) -> web.Response:
        try:
            status, body = await self._pass(request, operation, work)
        except errors.ServiceError as error:
            return self._respond(request, error.status, error.body(), error.headers)
        except (_DroppedError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, the answer must be the service's and tell no value
            print(f"vault {self._vault}: {operation} failed on {type(error).__qualname__}", file=sys.stderr)
            body = errors.ServiceError(500, "InternalServerError", "The vault failed on this call.").body()
            return self._respond(request, 500, body)
        return self._respond(request, status, body)

    async def _pass(self, request: web.Request, operation: Operation, work: Work) -> tuple[int, dict[str, Any] | None]:
        claims = self._access.caller(request.headers.get("Authorization"))
        check_api_version(request.query.get("api-version"))
        self._limits.take(self._vault, operation)
        name = request.match_info.get("name")
        faults = self._faults.strike(Call(self._vault, operation, name, request.method, request.path))
        await self._suffer_before(faults, claims, request, operation)
        self._access.authorize(claims, self._vault, operation, name)
        async with self._writers.only(operation, name):
            answer = await work(request)
        await _suffer_after(faults)
        return answer

    async def _suffer_before(
        self, faults: Sequence[Fault], claims: dict[str, Any], request: web.Request, operation: Operation
    ) -> None:
        for fault in faults:
            if fault.kind is Kind.LATENCY:
                await asyncio.sleep(fault.ms / 1000)
            elif fault.kind is Kind.DROP_BEFORE:
                raise _DroppedError
            elif fault.kind is Kind.STATUS:
                raise _refusal(fault)
            elif fault.kind is Kind.REFUSE and fault.code is not None:
                name = request.match_info.get("name")
                raise self._access.refusal(fault.code, claims, self._vault, operation, name, request.remote)

    def _respond(
        self, request: web.Request, status: int, body: dict[str, Any] | None, headers: dict[str, str] | None = None
    ) -> web.Response:
        response = web.Response(status=status, headers=headers)
        if body is not None:
            response.content_type = "application/json"
            response.charset = "utf-8"
            response.body = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        response.headers.update(
            {
                "Date": self._clock.http_date(),
                "Cache-Control": "no-cache",
                "Pragma": "no-cache",
                "Expires": "-1",
                "X-Content-Type-Options": "nosniff",
                "Strict-Transport-Security": "max-age=31536000;includeSubDomains",
                "x-ms-request-id": str(uuid.uuid4()),
                "x-ms-keyvault-network-info": NETWORK,
                "x-ms-keyvault-region": REGION,
                "x-ms-keyvault-service-version": SERVICE_VERSION,
            }
        )
        client_request = request.headers.get("x-ms-client-request-id")
        if client_request is not None:
            response.headers["x-ms-client-request-id"] = client_request
        return response

    @property
    def unknown_path(self) -> Middleware:
        """A middleware that words aiohttp's own refusals (no such path, method, too large) as the service would."""

        @web.middleware
        async def words(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                return await handler(request)
            except web.HTTPMethodNotAllowed as refused:
                message = f"HTTP method {request.method} is not allowed on this resource."
                body = errors.ServiceError(405, "MethodNotAllowed", message).body()
                return self._respond(request, 405, body, {"Allow": ",".join(sorted(refused.allowed_methods))})
            except web.HTTPException as refused:
                body = errors.ServiceError(refused.status, refused.reason.replace(" ", ""), refused.reason).body()
                return self._respond(request, refused.status, body)

        return words


async def _suffer_after(faults: Sequence[Fault]) -> None:
    for fault in faults:
        if fault.kind is Kind.SLOW_ANSWER:
            await asyncio.sleep(fault.ms / 1000)
        elif fault.kind is Kind.DROP_AFTER:
            raise _DroppedError


def _refusal(fault: Fault) -> errors.ServiceError:
    if fault.status == 429:  # noqa: PLR2004  the status has the name Throttled right below
        return errors.throttled(fault.retry_after_s)
    headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
    code = {503: "ServiceUnavailable"}.get(fault.status, "InternalServerError")
    return errors.ServiceError(fault.status, code, "The service can't answer this call now.", headers=headers)
