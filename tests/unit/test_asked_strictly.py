"""A call is understood or refused: nothing that a caller wrote is passed over, the function key excepted.

The facts are those of the Functions host (GrpcMessageConversionExtensions.cs, Azure/azure-functions-host): a parameter
without a value is not handed to the function, one that is repeated comes joined by commas, whatever its case, and a
body without a Content-Length arrives empty. The URL arrives whole, with the function key.
"""

import json
import logging
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from azure.functions.http import HttpRequestConverter
from azure.functions.meta import Datum
from pytest_mock import MockerFixture

from app.settings import HttpAuth
from app.shutdown import Shutdown
from handlers import on_demand, readers, reading
from handlers.http import HttpRequest, HttpResponse, answered
from rotation.model import Outcome, Result, SecretRef

KEY = "the-function-key-that-nobody-may-read=="
URL = "https://func-keyturn.azurewebsites.net/api/vaults/kv/secrets/orders-db/rotate"


def received(query: str, *, body: bytes = b"", **headers: str) -> HttpRequest:
    """A request as the worker makes it of what the host sends, here with no parameter at all: none may be relied on."""
    told = {name.replace("_", "-"): Datum(value, "string") for name, value in headers.items()}
    parts: dict[str, Any] = {
        "method": Datum("POST", "string"), "url": Datum(URL + query, "string"), "headers": told, "query": {},
        "params": {}, "body": Datum(body, "bytes"),
    }  # fmt: skip
    return HttpRequest.of(HttpRequestConverter.decode(Datum(parts, "http"), trigger_metadata={}))


class Asked:
    """An app whose engine notes what it is asked for."""

    def __init__(self, mocker: MockerFixture) -> None:
        done = Outcome(Result.ROTATED, SecretRef("kv", "orders-db"), "done")
        self.engine = SimpleNamespace(
            handle=mocker.AsyncMock(return_value=done), plan=mocker.AsyncMock(return_value=done)
        )
        self.shutdown = Shutdown()
        self.notifier = SimpleNamespace(tell=mocker.AsyncMock())
        self.vaults: Mapping[str, Any] = {"kv": SimpleNamespace(secrets=nobody)}
        self.request_queue = SimpleNamespace(send=mocker.AsyncMock(return_value=[]))
        self.ledger = SimpleNamespace()
        self.settings = SimpleNamespace(http_auth=HttpAuth.KEY)
        self.running: Any = mocker.Mock(app=mocker.AsyncMock(return_value=self))

    async def rotate(self, query: str, *, body: bytes = b"", **headers: str) -> HttpResponse:
        ask = received(query, body=body, **headers)
        return await answered(lambda: on_demand.rotate_now(self.running, ask, "kv", "orders-db"))

    async def rotate_many(self, body: object, query: str = "", **headers: str) -> HttpResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await answered(lambda: on_demand.rotate_many(self.running, received(query, body=raw, **headers)))

    @property
    def untouched(self) -> bool:
        return not self.engine.handle.called and not self.engine.plan.called


async def nobody() -> Any:
    return
    yield


@pytest.fixture
def app(mocker: MockerFixture) -> Asked:
    return Asked(mocker)


def told(answer: HttpResponse) -> tuple[int, str, str]:
    """Status, field and detail of a problem."""
    body: Any = answer.body
    return answer.status, body["field"], body["detail"]


REFUSED = [
    ("?dry_run", "dry_run", "has no value"),
    ("?dry_run=", "dry_run", "has no value"),
    ("?if_version", "if_version", "has no value"),
    ("?if_version=", "if_version", "has no value"),
    ("?force=", "force", "has no value"),
    ("?adopt=", "adopt", "has no value"),
    ("?slots=", "slots", "has no value"),
    ("?restore_tags=&dry_run=true", "restore_tags", "has no value"),
    ("?dryrun=true", "dryrun", "dry_run"),
    ("?dry-run=true", "dry-run", "dry_run"),
    ("?Dry_Run=true", "Dry_Run", "dry_run"),
    ("?DRY_RUN=true", "DRY_RUN", "dry_run"),
    ("?dry_run=true&dry_run=false", "dry_run", "twice"),
    ("?dry_run=true&dry_run=true", "dry_run", "twice"),
    ("?dry_run=true&Dry_Run=false", "Dry_Run", "dry_run"),
    ("?dry%5Frun=true&dry_run=true", "dry_run", "twice"),
    ("?dry_run=1", "dry_run", "true or false"),
    ("?dry_run=yes", "dry_run", "true or false"),
    ("?dry_run=true,false", "dry_run", "true or false"),
    ("?dry_run=true;force=true", "dry_run", "true or false"),
    ("?dry_run=true%20", "dry_run", "true or false"),
    ("?dry_run=true+", "dry_run", "true or false"),
    ("?dry_run=true#", "dry_run", "true or false"),
    ("?dry_run=true?force=true", "dry_run", "true or false"),
    ("?dry_run==true", "dry_run", "true or false"),
    ("?%20dry_run=true", "query", "dry_run"),
    ("?dry_run%20=true", "query", "dry_run"),
    ("?dry_run%00=true", "query", "dry_run"),
    ("?dry_run%3Dtrue", "query", "dry_run"),
    ("?+dry_run=true", "query", "dry_run"),
    ("??dry_run=true", "query", "dry_run"),
    ("?amp;dry_run=true", "query", "dry_run"),
    ("?dry_run=%zz", "query", "percent"),
    ("?dry_run=%FF", "query", "percent"),
    ("?dry_run=%", "query", "percent"),
    ("?%E2%80%8Bdry_run=true", "query", "dry_run"),
    ("?=true", "query", "dry_run"),
    ("?", "query", "nothing"),
    ("?&", "query", "nothing"),
    ("?dry_run=true&", "query", "nothing"),
    ("?&force=true", "query", "nothing"),
    ("?force=true&&dry_run=true", "query", "nothing"),
    ("?if-version=v1", "if-version", "if_version"),
    ("?version=v1", "version", "if_version"),
    ("?clientId=default", "clientId", "dry_run"),
    ("?x-functions-key=abc", "x-functions-key", "dry_run"),
    ("?if_version=v1&if_version=v2", "if_version", "twice"),
    ("?slots=a&slots=b&adopt=reset", "slots", "twice"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "field", "says"), REFUSED, ids=[query for query, *_ in REFUSED])
async def test_what_a_query_says_and_is_not_understood_is_refused_before_anything_is_asked(
    app: Asked, query: str, field: str, says: str
) -> None:
    status, named, detail = told(await app.rotate(query))
    assert (status, named) == (400, field)
    assert says in detail
    assert app.untouched


@pytest.mark.parametrize("query", ["?dry_run=true", "?dry_run=TRUE", "?dry%5Frun=tru%65", "?force=true&dry_run=True"])
async def test_a_plan_that_is_asked_for_in_another_way_of_writing_is_a_plan(app: Asked, query: str) -> None:
    assert (await app.rotate(query)).status == 200
    assert app.engine.plan.called
    assert not app.engine.handle.called


@pytest.mark.parametrize("query", ["", "?dry_run=false", "?force=true&if_version=v1", "?adopt=reset&slots=a%2Cb,c+d"])
async def test_what_is_understood_is_done(app: Asked, query: str) -> None:
    assert (await app.rotate(query)).status == 200
    request = app.engine.handle.call_args.args[0]
    assert request.slots == (("a", "b", "c d") if "slots" in query else ())


@pytest.mark.parametrize(
    "query",
    [
        f"?code={KEY}",
        f"?CODE={KEY}",
        f"?c%6Fde={KEY}",
        f"?code={KEY}&Code={KEY}",
        "?code",
        "?code=",
        f"?code={KEY}&code=",
    ],
)
async def test_the_function_key_is_the_hosts_and_is_passed_over(app: Asked, query: str) -> None:
    """Its name is `code`, in any case: AuthenticationLevelHandler.cs of Azure/azure-functions-host. It has no other."""
    assert (await app.rotate(query)).status == 200
    assert (await app.rotate(query + "&dry_run=true")).status == 200
    assert (app.engine.handle.call_count, app.engine.plan.call_count) == (1, 1)


@pytest.mark.parametrize(
    "query",
    [
        f"?code={KEY}&dryrun=true",
        f"?code%3D{KEY}",
        f"?code:{KEY}",
        f"?{KEY}",
        f"?key={KEY}",
        f"?dry_run={KEY}",
        f"?force={KEY}",
        f"?code={KEY}&%zz",
        f"?if_version={KEY}&if_version={KEY}",
        f"?if_version={KEY}%20",
        f"?adopt={KEY}",
        f"?slots={KEY}",
    ],
)
async def test_no_refusal_repeats_the_key_or_what_may_be_one(
    app: Asked, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await app.rotate(query)
    assert answer.status == 400
    everything = json.dumps([answer.body, dict(answer.headers), caplog.messages])
    assert KEY.rstrip("=") not in everything


@pytest.mark.parametrize(
    "body", [b'{"dry_run": true}', b"{}", b" ", b"\n", b"null", b"dry_run=true", b"\xef\xbb\xbf", b"\x00"]
)
async def test_a_body_where_none_is_expected_is_refused(app: Asked, body: bytes) -> None:
    status, field, detail = told(await app.rotate("", body=body, content_length=str(len(body))))
    assert (status, field) == (400, "body")
    assert "?dry_run=true" in detail
    assert app.untouched


async def test_a_body_that_was_sent_and_did_not_arrive_is_refused_too(app: Asked) -> None:
    assert (await app.rotate("", content_length="17")).status == 400
    assert app.untouched
    assert (await app.rotate("", content_length="0")).status == 200


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "gzip, chunked", "identity"])
async def test_a_chunked_body_is_answered_with_411_and_the_remedy(app: Asked, coding: str) -> None:
    for answer in (
        await app.rotate("?dry_run=true", transfer_encoding=coding),
        await app.rotate_many(b"", transfer_encoding=coding),
    ):
        status, field, detail = told(answer)
        assert (status, field) == (411, "body")
        assert "Content-Length" in detail
        assert isinstance(answer.body, dict)
        assert answer.body["type"] == "urn:keyturn:problem:length_required"
    assert app.untouched


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b'{"names": ["a"], "names": ["*"]}', "names", "names is there twice"),
        (b'{"force": "true", "names": ["a"], "names": ["*"]}', "names", "names is there twice"),
        (f'{{"{KEY}": 1, "{KEY}": 2}}'.encode(), "body", "a name is there twice"),
        ({"names": ["*"], "dry_run": True}, "dry_run", '"names"'),
        ({"Names": ["*"]}, "Names", "written names"),
        ({"names": ["*"], "Force": "true"}, "Force", "written force"),
        ({"names": ["*"], "force": 1}, "force", "true"),
        ({"names": ["*"], "force": None}, "force", "true"),
        ({"names": ["*"], "force": ""}, "force", "true"),
        ({"names": ["*"], "force": ["true"]}, "force", "true"),
        ({"names": ["*"], KEY: "x"}, "body", '"names"'),
        (b"", "body", "JSON object"),
        (b"names=*", "body", "JSON object"),
        (b'["names"]', "body", "JSON object"),
        (b'"names"', "body", "JSON object"),
        (b"null", "body", "JSON object"),
        (b"{}", "body", "JSON object"),
    ],
)
async def test_a_filter_is_understood_or_refused(app: Asked, body: object, field: str, says: str) -> None:
    status, named, detail = told(await app.rotate_many(body))
    assert (status, named) == (400, field)
    assert says in detail
    assert KEY not in detail


@pytest.mark.parametrize("force", [True, False, "true", "TRUE", "false", "grace"])
async def test_force_in_a_filter_is_a_text_or_json_s_own_word(app: Asked, force: object) -> None:
    assert (await app.rotate_many({"names": ["*"], "force": force})).status == 202


@pytest.mark.parametrize("query", ["?dry_run=true", "?force=true", "?names=orders-*", "?", "?x="])
async def test_a_filter_stands_in_the_body_alone(app: Asked, query: str) -> None:
    status, _, detail = told(await app.rotate_many({"names": ["*"]}, query))
    assert status == 400
    assert ("says nothing" if query == "?" else "takes none") in detail
    assert (await app.rotate_many({"names": ["*"]}, f"?code={KEY}")).status == 202


@pytest.mark.parametrize(
    ("query", "body", "coding", "status"),
    [
        ("?top=10", b"", {}, 400),
        ("?state=due", b"", {}, 400),
        ("?x=", b"", {}, 400),
        ("", b"{}", {}, 400),
        ("", b"", {"transfer_encoding": "chunked"}, 411),
    ],
)
async def test_what_only_reads_takes_no_parameter_and_no_body(
    app: Asked, query: str, body: bytes, coding: dict[str, str], status: int
) -> None:
    ask = received(query, body=body, **coding)
    for call in (
        lambda: reading.list_secrets(app.running, ask, "kv"),
        lambda: reading.read_secret(app.running, ask, "kv", "orders-db"),
        lambda: readers.read_readers(app.running, ask, "kv", "orders-db"),
    ):
        assert (await answered(call)).status == status
