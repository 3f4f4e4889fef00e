"""Who may ask over HTTP, where App Service authentication stands in front."""

import base64
import json

import pytest

from app.actors import object_id
from app.settings import HttpAuth
from handlers.callers import Caller, Role, caller
from rotation.errors import Denied, HttpClosed


def header(*claims: tuple[str, str]) -> dict[str, str]:
    principal = {"claims": [{"typ": kind, "val": text} for kind, text in claims]}
    return {"x-ms-client-principal": base64.b64encode(json.dumps(principal).encode()).decode()}


@pytest.mark.parametrize("kind", ["roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"])
def test_an_operator_is_named_in_the_history(kind: str) -> None:
    headers = header((kind, "Rotation.Operator"), ("preferred_username", "ada@example.com"))
    assert caller(headers, HttpAuth.ENTRA, Role.OPERATOR) == Caller("ada@example.com")
    assert caller(headers, HttpAuth.ENTRA, Role.READER) == Caller("ada@example.com")


ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize("kind", ["oid", "http://schemas.microsoft.com/identity/claims/objectidentifier"])
def test_beside_the_name_stands_the_id_that_the_directory_gives_to_nobody_else(kind: str) -> None:
    headers = header(("roles", "Rotation.Operator"), (kind, ID.upper()), ("name", "Ada"))
    assert caller(headers, HttpAuth.ENTRA, Role.OPERATOR) == Caller("Ada", ID)


@pytest.mark.parametrize("told", [None, "", 7, "1-2-3", f"{ID}0", f"{ID}\n", f" {ID}", "somebody"])
def test_what_is_no_id_is_not_taken_for_one(told: object) -> None:
    assert object_id(told) is None


def test_a_pipeline_is_named_by_its_id() -> None:
    headers = header(("roles", "Rotation.Reader"), ("appid", "4-5-6"))
    assert caller(headers, HttpAuth.ENTRA, Role.READER) == Caller("4-5-6")
    assert caller(header(("roles", "Rotation.Reader")), HttpAuth.ENTRA, Role.READER) == Caller("somebody with the role")


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
    assert caller(headers, HttpAuth.KEY, Role.OPERATOR) == Caller("function-key")


def test_nobody_is_believed_where_the_platform_does_not_say_that_it_stands_in_front() -> None:
    headers = header(("roles", "Rotation.Operator"), ("oid", "1-2-3"))
    for role in Role:
        with pytest.raises(HttpClosed) as refused:
            caller(headers, HttpAuth.CLOSED, role)
        assert refused.value.field == "WEBSITE_AUTH_ENABLED"
        assert "ROTATION_HTTP_AUTH" in refused.value.message


def test_a_principal_with_anything_but_base64_in_it_names_nobody() -> None:
    sent = header(("roles", "Rotation.Operator"))["x-ms-client-principal"]
    with pytest.raises(Denied):
        caller({"x-ms-client-principal": f"{sent[:8]}\n{sent[8:]}"}, HttpAuth.ENTRA, Role.OPERATOR)
