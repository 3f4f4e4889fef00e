"""The document at /api/openapi.json is a sound one, and says the same as the code."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from handlers.problems import _STATUS, problem
from rotation import errors
from rotation.errors import Misconfigured, RotationError
from rotation.ledger.records import Record, Step
from rotation.model import Force, Result
from tests.e2e.contract import DOCUMENT, Contract

ROOT = Path(__file__).parents[2]
TEXT = DOCUMENT.read_text(encoding="utf-8")
DOC: Any = json.loads(TEXT)
SCHEMAS: Any = DOC["components"]["schemas"]


def test_it_is_a_sound_document_of_openapi_3_1() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOC).iter_errors()] == []
    assert DOC["openapi"].startswith("3.1.")


def test_it_tells_the_apps_own_version() -> None:
    assert DOC["info"]["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_its_paths_begin_as_the_host_has_it() -> None:
    prefix = json.loads((ROOT / "host.json").read_text())["extensions"]["http"]["routePrefix"]
    assert all(path.startswith(f"/{prefix}/") for path in DOC["paths"])


def test_its_words_are_the_codes_words() -> None:
    errors_are = {Result.DENIED, Result.BUSY, Result.FAILED}
    assert set(SCHEMAS["Result"]["enum"]) == set(Result) - errors_are
    assert set(SCHEMAS["Problem"]["properties"]["outcome"]["enum"]) == errors_are
    assert set(SCHEMAS["Step"]["properties"]["step"]["enum"]) == set(Step)
    assert set(SCHEMAS["Step"]["properties"]) == set(Record.__slots__)
    assert set(SCHEMAS["Force"]["enum"]) == {"false", "true"} | set(Force) - {"yes"}


def every_error(kind: type[RotationError] = RotationError) -> set[type[RotationError]]:
    """What the whole app can say; errors of one module that never leave it are not among them."""
    public = {kind} if kind.__module__ == errors.__name__ else set()
    return public.union(*(every_error(below) for below in kind.__subclasses__()))


@pytest.mark.parametrize("kind", sorted(every_error(), key=str))
def test_every_error_becomes_a_problem_of_the_documented_shape(kind: type[RotationError]) -> None:
    told = problem(kind("one line", field="rotator"))
    ask = {"components": DOC["components"], "$ref": "#/components/schemas/Problem"}
    assert list(OAS31Validator(ask).iter_errors(told.body)) == []
    documented = {status for _, status in Contract(DOC).documented()}
    faults = {errors.Unexpected, errors.RotationError, Misconfigured}  # 500: no part of the contract
    assert (told.status in documented) == (kind not in faults)


def test_every_status_of_an_error_is_documented_somewhere() -> None:
    documented = {status for _, status in Contract(DOC).documented()}
    assert {status for kind, status in _STATUS if kind is not Misconfigured} <= documented


def test_it_offers_both_ways_of_saying_who_asks() -> None:
    schemes = DOC["components"]["securitySchemes"]
    assert (schemes["functionKey"]["name"], schemes["entra"]["scheme"]) == ("x-functions-key", "bearer")
    open_to_all = {one["operationId"] for path in DOC["paths"].values() for one in path.values() if is_open(one)}
    assert open_to_all == {"health", "openapi"}
    assert DOC["security"] == [{"functionKey": []}, {"entra": []}]


def is_open(told: Any) -> bool:
    return isinstance(told, dict) and told.get("security") == []


@pytest.mark.parametrize("broken", [TEXT.replace('"enum": ["ok", "http_closed"]', '"enum": ["no"]')])
def test_an_answer_that_is_not_as_documented_is_noticed(broken: str) -> None:
    assert broken != TEXT
    json_type, body = {"Content-Type": "application/json"}, '{"status": "ok", "vaults": 1}'
    assert Contract(DOC).objection("GET", "/api/health", 200, json_type, body) is None
    assert Contract(json.loads(broken)).objection("GET", "/api/health", 200, json_type, body) is not None
    assert Contract(DOC).objection("GET", "/api/health", 500, json_type, body) is not None
    assert Contract(DOC).objection("GET", "/api/health", 200, {"Content-Type": "text/plain"}, body) is not None
    assert Contract(DOC).objection("GET", "/api/vaults/kv/secrets", 503, json_type, "") is not None
