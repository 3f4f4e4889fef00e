"""HTTP without the Functions library: text and mappings in, an `Answer` out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from handlers.problems import problem
from rotation.errors import RotationError


@dataclass(frozen=True, slots=True)
class Ask:
    """An HTTP request: header names in lower case."""

    headers: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; the body is JSON."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)
    messages: tuple[str, ...] = ()


async def answered(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of `call`, or the problem that it raised."""
    try:
        return await call()
    except RotationError as error:
        told = problem(error)
        headers = {"Content-Type": "application/problem+json"}
        if told.retry_after_s is not None:
            headers["Retry-After"] = str(told.retry_after_s)
        return Answer(told.status, told.body, headers)
