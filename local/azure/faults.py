"""Faults on demand: what a network and a busy or strict service do to their callers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local.azure.plane import LAGS, answer


class Kind(StrEnum):
    """What happens to a call."""

    STATUS = "status"  # answer `status`, do nothing
    DROP_BEFORE = "drop_before"  # close the connection, do nothing
    DROP_AFTER = "drop_after"  # do it, then close the connection without an answer
    LAG = "lag"  # a read shows what was there before the last write


@dataclass(slots=True)
class Fault:
    """One fault and the calls that it strikes.

    path: a regular expression that is searched for in the path, whatever the case. method: None for any. times: how
    many calls it strikes; None: all until it is removed. status, code, headers: of the answer, for `status`.

    Raises:
        ValueError: fields that make no fault.
    """

    kind: Kind
    path: str = ""
    method: str | None = None
    times: int | None = None
    status: int = 503
    code: str = "ServerBusy"
    headers: Mapping[str, str] = field(default_factory=dict)
    struck: int = 0

    def __post_init__(self) -> None:
        self.kind = Kind(self.kind)
        re.compile(self.path)

    def strikes(self, request: web.Request) -> bool:
        """Whether this call suffers it; counted."""
        if self.times is not None and self.struck >= self.times:
            return False
        if self.method not in {None, request.method} or not re.search(self.path, request.path, re.IGNORECASE):
            return False
        self.struck += 1
        return True


class Faults:
    """The faults that are set; the first that matches a call strikes it."""

    def __init__(self) -> None:
        self._set: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Set a fault; it counts in `struck` how many calls it struck."""
        self._set.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take one away again."""
        self._set = [other for other in self._set if other is not fault]

    def clear(self) -> None:
        """Remove all faults."""
        self._set.clear()

    @property
    def middleware(self) -> Middleware:
        """Goes before a service's handlers."""

        @web.middleware
        async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
            fault = next((fault for fault in self._set if fault.strikes(request)), None)
            if fault is None or fault.kind is Kind.LAG:
                request[LAGS] = fault is not None
                return await handler(request)
            if fault.kind is Kind.STATUS:
                # The text repeats what was sent: whoever copies it into a message of his own gives values away.
                sent = f"{request.headers.get('Authorization')} {await request.text()}"
                raise answer(fault.status, fault.code, f"Asked for: {sent}", fault.headers)
            if fault.kind is Kind.DROP_AFTER:
                await handler(request)
            assert request.transport is not None  # noqa: S101  the caller is still there: nobody else closed it
            request.transport.abort()
            return web.Response()

        return strike


def parse_fault(raw: Mapping[str, Any]) -> Fault:
    """A fault from its JSON.

    Raises:
        ValueError: an unknown or missing field; the message names it.
    """
    known = {one.name for one in fields(Fault)} - {"struck"}
    unknown = set(raw) - known
    if unknown or "kind" not in raw:
        raise ValueError(f"a fault has a kind and any of {', '.join(sorted(known - {'kind'}))}")
    return Fault(**raw)
