"""Who may ask the host for what.

Microsoft Learn, "Work with access keys in Azure Functions": a function key opens functions; the system key of the Event
Grid extension its webhook; the master key everything. On a developer's machine (Core Tools) the webhook and the admin
endpoints ask for none; so here none and the function key open them too, and what is wrong opens nothing.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from aiohttp import web

from local.host.urls import first


@dataclass(frozen=True, slots=True)
class Keys:
    """Of one host."""

    function: str
    master: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    system: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def opens_functions(self, request: web.Request) -> bool:
        """Whether the request may call HTTP functions."""
        return _is_one_of(_given(request), self.function, self.master)

    def opens_webhook(self, request: web.Request) -> bool:
        """Whether it may deliver events."""
        given = _given(request)
        return given is None or _is_one_of(given, self.function, self.master, self.system)

    def opens_all(self, request: web.Request) -> bool:
        """Whether it may ask the admin endpoints."""
        given = _given(request)
        return given is None or _is_one_of(given, self.function, self.master)


def _given(request: web.Request) -> str | None:
    """The header goes before the query."""
    if "x-functions-key" in request.headers:
        return request.headers["x-functions-key"]
    return first(request.raw_path.partition("?")[2], "code") or None


def _is_one_of(given: str | None, *keys: str) -> bool:
    return given is not None and any(hmac.compare_digest(given.encode(), key.encode()) for key in keys)
