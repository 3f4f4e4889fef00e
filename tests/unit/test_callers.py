"""Who may ask over HTTP, where App Service authentication stands in front."""

import base64
import json

import pytest

from handlers.callers import Role, caller
from handlers.settings import HttpAuth
from rotation.errors import Denied, HttpClosed


def header(*claims: tuple[str, str]) -> dict[str, str]:
    principal = {"claims": [{"typ": kind, "val": text} for kind, text in claims]}
    return {"x-ms-client-principal": base64.b64encode(json.dumps(principal).encode()).decode()}


@pytest.mark.parametrize("kind", ["roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"])
def test_an_operator_is_named_in_the_history(kind: str) -> None:
    headers = header((kind, "Rotation.Operator"), ("oid", "1-2-3"), ("preferred_username", "ada@example.com"))
    assert caller(headers, HttpAuth.ENTRA, Role.OPERATOR) == "ada@example.com"
    assert caller(headers, HttpAuth.ENTRA, Role.READER) == "ada@example.com"


def test_a_pipeline_is_named_by_its_id() -> None:
    headers = header(("roles", "Rotation.Reader"), ("appid", "4-5-6"))
    assert caller(headers, HttpAuth.ENTRA, Role.READER) == "4-5-6"
    assert caller(header(("roles", "Rotation.Reader")), HttpAuth.ENTRA, Role.READER) == "somebody with the role"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ms-client-principal": "no base64"},
        {"x-ms-client-principal": base64.b64encode(b"[]").decode()},
        {"x-ms-client-principal": base64.b64encode(b'{"claims": [{"typ": "roles"}]}').decode()},
        {"x-ms-client-principal": base64.b64encode(b'{"claims": null}').decode()},
        header(("roles", "Rotation.Reader")),
        header(("roles", "rotation.operator")),
        header(("name", "Rotation.Operator")),
        header(("groups", "Rotation.Operator")),
        header(("https://example.com/claims/role", "Rotation.Operator")),
    ],
)
def test_who_has_not_got_the_role_is_denied(headers: dict[str, str]) -> None:
    with pytest.raises(Denied, match=r"Rotation\.Operator"):
        caller(headers, HttpAuth.ENTRA, Role.OPERATOR)


def test_with_function_keys_nobody_is_known_and_no_header_is_believed() -> None:
    headers = header(("roles", "Rotation.Operator"), ("name", "ada"))
    assert caller(headers, HttpAuth.KEY, Role.OPERATOR) == "function-key"


def test_nobody_is_believed_where_the_platform_does_not_say_that_it_stands_in_front() -> None:
    headers = header(("roles", "Rotation.Operator"), ("oid", "1-2-3"))
    for role in Role:
        with pytest.raises(HttpClosed) as refused:
            caller(headers, HttpAuth.CLOSED, role)
        assert refused.value.field == "WEBSITE_AUTH_ENABLED"
        assert "ROTATION_HTTP_AUTH" in refused.value.message
