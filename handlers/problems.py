"""Errors become HTTP here and nowhere else: RFC 9457 problems."""

from __future__ import annotations

from dataclasses import dataclass

from app.log_fields import result_of
from rotation.errors import (
    BoundElsewhere,
    Busy,
    Denied,
    Disabled,
    HttpClosed,
    LengthRequired,
    Malformed,
    Misconfigured,
    NoAuditLog,
    NotFound,
    Refused,
    RotationError,
    Stale,
    Transient,
    Unusable,
)

# The first that fits counts: what is more special comes before what it is a kind of.
_STATUS: tuple[tuple[type[RotationError], int], ...] = (
    (LengthRequired, 411),
    (Malformed, 400),
    (Denied, 403),
    (NotFound, 404),
    (Busy, 409),
    (BoundElsewhere, 409),
    (Stale, 409),
    (Unusable, 422),
    (Disabled, 422),
    (Refused, 502),
    (Transient, 503),
    (HttpClosed, 503),
    (Misconfigured, 500),
    (NoAuditLog, 501),
)
_TITLES = {
    400: "The request can't be understood",
    403: "The policy does not permit it",
    404: "There is no such thing",
    409: "Not now",
    411: "The body has no length",
    422: "A tag or the value can't be used",
    500: "A fault of the app",
    501: "This deployment can't do that",
    502: "The provider refused",
    503: "Not reachable now",
}
DEFAULT_RETRY_S = 30


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer: its status, its body, and for how many seconds to wait where trying again helps."""

    status: int
    body: dict[str, object]
    retry_after_s: int | None


def problem(error: RotationError) -> Problem:
    """The answer to an error that was cleaned by the engine's boundary."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    body: dict[str, object] = {
        "type": f"urn:keyturn:problem:{error.code}",
        "title": _TITLES[status],
        "status": status,
        "detail": error.message,
        "outcome": result_of(error).value,
    }
    if error.field is not None:
        body["field"] = error.field
    wait = error.retry_after_s or (DEFAULT_RETRY_S if error.transient else None)
    return Problem(status, body, wait)
