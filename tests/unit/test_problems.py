"""Which HTTP answer an error gets: its status, what its body says, and for how long a caller waits."""

from typing import Any

import pytest

from handlers.http import HttpResponse, answered
from rotation import errors
from rotation.errors import RotationError

STATUS = [
    (errors.LengthRequired, 411, "The body has no length"),
    (errors.Malformed, 400, "The request can't be understood"),
    (errors.Denied, 403, "The policy does not permit it"),
    (errors.NotFound, 404, "There is no such thing"),
    (errors.Busy, 409, "Not now"),
    (errors.BoundElsewhere, 409, "Not now"),
    (errors.Stale, 409, "Not now"),
    (errors.Unusable, 422, "A tag or the value can't be used"),
    (errors.Disabled, 422, "A tag or the value can't be used"),
    (errors.Refused, 502, "The provider refused"),
    (errors.Unreachable, 503, "Not reachable now"),
    (errors.Throttled, 503, "Not reachable now"),
    (errors.HttpClosed, 503, "Not reachable now"),
    (errors.Misconfigured, 500, "A fault of the app"),
    (errors.Unexpected, 500, "A fault of the app"),
    (errors.NoAuditLog, 501, "This deployment can't do that"),
]


async def answer_to(error: RotationError) -> tuple[HttpResponse, Any]:
    async def call() -> HttpResponse:
        raise error

    answer = await answered(call)
    return answer, answer.body


@pytest.mark.parametrize(("kind", "status", "title"), STATUS, ids=[kind.__name__ for kind, *_ in STATUS])
async def test_each_error_has_its_status_and_says_it_in_the_body_too(
    kind: type[RotationError], status: int, title: str
) -> None:
    answer, body = await answer_to(kind("one line"))
    assert (answer.status, body["status"], body["title"], body["detail"]) == (status, status, title, "one line")
    assert body["type"] == f"urn:keyturn:problem:{kind.code}"
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_the_field_is_named_where_there_is_one() -> None:
    _, body = await answer_to(errors.Unusable("one line", field="lead-days"))
    assert body["field"] == "lead-days"
    _, body = await answer_to(errors.Unusable("one line"))
    assert "field" not in body


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (errors.Unreachable("x"), "30"),
        (errors.Throttled("x", retry_after_s=7), "7"),
        (errors.Busy("x", retry_after_s=42), "42"),
        (errors.Denied("x"), None),
        (errors.Unusable("x"), None),
    ],
)
async def test_a_caller_is_asked_to_wait_where_trying_again_helps_and_nowhere_else(
    error: RotationError, wait: str | None
) -> None:
    answer, _ = await answer_to(error)
    assert answer.headers.get("Retry-After") == wait


async def test_what_is_answered_without_an_error_goes_as_it_is() -> None:
    done = HttpResponse(202, {"count": 1}, messages=("a",))

    async def call() -> HttpResponse:
        return done

    assert await answered(call) is done
