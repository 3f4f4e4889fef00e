"""HTTP without the Functions library: text and mappings in, an `HttpResponse` out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from handlers.problems import problem
from rotation.errors import RotationError


class Received(Protocol):
    """What is needed of an `azure.functions.HttpRequest`. Its parameters are not: `handlers.strict` says why."""

    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def get_body(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An HTTP request: header names in lower case, and the whole URL; what it holds is never answered or logged."""

    headers: Mapping[str, str]
    url: str = ""
    body: bytes = b""

    @classmethod
    def of(cls, request: Received) -> HttpRequest:
        """What a function received."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        return cls(headers, request.url, request.get_body())


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP answer; the body becomes JSON, or is the bytes of one."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)
    messages: tuple[str, ...] = ()


async def answered(call: Callable[[], Awaitable[HttpResponse]]) -> HttpResponse:
    """The answer of `call`, or the problem that it raised."""
    try:
        return await call()
    except RotationError as error:
        answer = problem(error)
        headers = {"Content-Type": "application/problem+json"}
        if answer.retry_after_s is not None:
            headers["Retry-After"] = str(answer.retry_after_s)
        return HttpResponse(answer.status, answer.body, headers)
