"""What operators ask for by HTTP: what the engine is asked, who is told of it, and what a bulk sends to the queue."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from app.messages import from_text
from app.settings import HttpAuth
from app.shutdown import Shutdown
from handlers.http import HttpRequest, HttpResponse, answered
from handlers.on_demand import rotate_many, rotate_now
from rotation.errors import Busy, Denied, Disabled, NotFound, RotationError, Unreachable
from rotation.model import Adopt, Force, Outcome, Reason, Result, RotationRequest, SecretItem, SecretRef
from tests.e2e.contract import Contract
from tests.unit.test_callers import header

REF = SecretRef("kv", "orders-db")
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
ADA = header(("roles", "Rotation.Operator"), ("name", "Ada"), ("oid", ID))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DONE = Outcome(
    Result.ROTATED, REF, "done", version="v2", previous_version="v1", operation_id="op", slot="app", expires_on=NOW,
    duration_ms=7,
)  # fmt: skip
URL = "https://func.example/api/vaults/kv/secrets/orders-db/rotate"


@dataclass
class Listed:
    """A vault that lists some secrets; versions are named by their secrets, but for those that can't be read."""

    name: str
    items: list[SecretItem]
    unreadable: dict[str, RotationError] = field(default_factory=dict)
    most: int = 0
    _now: int = 0

    async def secrets(self) -> AsyncIterator[SecretItem]:
        for item in self.items:
            yield item

    async def get(self, name: str) -> SimpleNamespace:
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        if name in self.unreadable:
            raise self.unreadable[name]
        return SimpleNamespace(version=f"{name}-1")


def item(name: str, vault: str = "kv", *, enabled: bool = True, **tags: str) -> SecretItem:
    return SecretItem(SecretRef(vault, name), enabled, None, NOW, tags or {"rotator": "postgres"})


class Api:
    """The handlers over an engine that is played; what it is asked and who is told is kept."""

    def __init__(self, answer: Outcome | RotationError = DONE) -> None:
        self.answer = answer
        self.headers = ADA
        self.planned: list[RotationRequest] = []
        self.handled: list[RotationRequest] = []
        self.told: list[Outcome] = []
        self.at_work: list[int] = []
        self.shutdown = Shutdown()
        self.sent: list[str] = []
        self.vaults: dict[str, Any] = {"kv": Listed("kv", []), "kv-b": Listed("kv-b", [])}
        self.engine = SimpleNamespace(handle=self._handle, plan=self._plan)
        self.notifier = SimpleNamespace(tell=self._tell)
        self.request_queue = None  # a few messages are left to the output binding
        self.settings = SimpleNamespace(http_auth=HttpAuth.ENTRA)

    async def _handle(self, request: RotationRequest) -> Outcome:
        self.handled.append(request)
        self.at_work.append(self.shutdown._at_work)
        return self._answer()

    async def _plan(self, request: RotationRequest) -> Outcome:
        self.planned.append(request)
        return self._answer()

    def _answer(self) -> Outcome:
        if isinstance(self.answer, RotationError):
            raise self.answer
        return self.answer

    async def _tell(self, outcome: Outcome) -> None:
        self.told.append(outcome)

    async def app(self) -> Any:
        return self

    async def rotate(self, query: str = "", vault: str = "kv", name: str = "orders-db", body: bytes = b"") -> Any:
        lazy: Any = self
        request = HttpRequest(self.headers, URL + query, body)
        return self._held(
            "/api/vaults/kv/secrets/x/rotate", await answered(lambda: rotate_now(lazy, request, vault, name))
        )

    async def bulk(self, **wish: object) -> Any:
        lazy: Any = self
        request = HttpRequest(self.headers, "https://func.example/api/rotations", json.dumps(wish).encode())
        answer = await answered(lambda: rotate_many(lazy, request))
        self.sent = list(answer.messages)
        return self._held("/api/rotations", answer)

    async def asked_for(self, **wish: object) -> list[str]:
        """Which secrets a bulk asks for."""
        body = await self.bulk(**wish)
        assert body == {"accepted": len(self.sent), "count": len(self.sent)}
        return [str(from_text(message).ref) for message in self.sent]

    @staticmethod
    def _held(path: str, answer: HttpResponse) -> Any:
        """The body, or of a problem its status, code and field; either is held against the document."""
        body: Any = json.loads(json.dumps(answer.body))
        headers = {"Content-Type": "application/json", **answer.headers}
        objection = Contract.of_file().objection("POST", path, answer.status, headers, json.dumps(body))
        assert objection is None
        if answer.status >= 400:
            return answer.status, body["type"].rpartition(":")[2], body.get("field")
        return body


# one secret


async def test_an_operators_wish_reaches_the_engine_with_who_asked() -> None:
    api = Api()
    await api.rotate()
    assert api.handled == [
        RotationRequest(REF, None, Reason.OPERATOR, "Ada", demanded=True, actor_id=ID),
    ]
    await api.rotate("?if_version=v1&force=grace&restore_tags=true&adopt=Reset&slots=a,%20b", vault="KV")
    assert api.handled[1:] == [
        RotationRequest(
            REF, "v1", Reason.OPERATOR, "Ada", Force.GRACE, demanded=True, restore_tags=True, adopt=Adopt.RESET,
            slots=("a", "b"), actor_id=ID,
        )
    ]  # fmt: skip
    await api.rotate("?adopt=takeover")
    assert api.handled[2].adopt is Adopt.TAKEOVER
    assert api.planned == []


async def test_the_answer_is_the_outcome_and_it_is_told_to_others() -> None:
    api = Api()
    assert await api.rotate() == {
        "outcome": "rotated", "vault": "kv", "secret": "orders-db", "version": "v2", "previous_version": "v1",
        "operation_id": "op", "slot": "app", "expires_on": "2026-01-01T00:00:00+00:00", "duration_ms": 7,
        "detail": "done",
    }  # fmt: skip
    assert api.told == [DONE]


async def test_a_plan_is_answered_and_told_to_nobody() -> None:
    api = Api(replace(DONE, result=Result.PLANNED))
    assert (await api.rotate("?dry_run=true&force=true"))["outcome"] == "planned"
    assert api.planned == [RotationRequest(REF, None, Reason.OPERATOR, "Ada", Force.YES, demanded=True, actor_id=ID)]
    assert (api.handled, api.told) == ([], [])


async def test_the_process_is_at_work_until_all_is_told() -> None:
    api = Api()
    at_work = []

    async def tell(_outcome: Outcome) -> None:
        at_work.append(api.shutdown._at_work)

    api.notifier.tell = tell
    await api.rotate()
    assert (api.at_work, at_work, api.shutdown._at_work) == ([1], [1], 0)


@pytest.mark.parametrize(
    ("error", "told", "answer"),
    [
        (Denied("no rule covers it"), Result.DENIED, (403, "denied", None)),
        (Busy("another run works on it"), Result.BUSY, (409, "busy", None)),
        (Unreachable("the server does not answer"), Result.FAILED, (503, "unreachable", None)),
    ],
)
async def test_a_failure_is_answered_and_told_with_its_code(
    error: RotationError, told: Result, answer: tuple[int, str, None]
) -> None:
    api = Api(error)
    assert await api.rotate() == answer
    assert api.told == [Outcome(told, REF, error.message, code=error.code)]


async def test_a_wish_for_a_version_that_is_no_longer_the_latest_is_stale() -> None:
    superseded = replace(DONE, result=Result.SUPERSEDED, version="v3")
    api = Api(superseded)
    assert await api.rotate("?if_version=v1") == (409, "stale", "if_version")
    assert api.told == [superseded]


async def test_what_is_no_vault_or_secret_of_ours_is_refused_before_anything_is_asked() -> None:
    api = Api()
    assert await api.rotate(vault="elsewhere") == (404, "not_found", "vault")
    assert await api.rotate(name="a.b") == (400, "malformed", "name")
    assert await api.rotate("?if_version=a%20b") == (400, "malformed", "if_version")
    assert api.handled == api.planned == []


async def test_who_may_only_read_may_not_rotate() -> None:
    api = Api()
    api.vaults["kv"] = Listed("kv", [item("orders-db")])
    api.headers = header(("roles", "Rotation.Reader"), ("name", "Ada"))
    assert await api.rotate() == (403, "denied", None)
    assert await api.bulk(names=["*"]) == (403, "denied", None)
    assert (api.handled, api.sent) == ([], [])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?adopt=steal", "adopt"),
        ("?adopt=reset&slots=a,,b", "slots"),
        ("?adopt=reset&slots=a,", "slots"),
        ("?adopt=reset&slots=a,b,a", "slots"),
        ("?slots=a", "slots"),
        ("?adopt=takeover&slots=a", "slots"),
    ],
)
async def test_slots_that_may_be_set_anew_are_named_once_each_and_for_a_reset_alone(query: str, field: str) -> None:
    api = Api()
    assert await api.rotate(query) == (400, "malformed", field)
    assert api.handled == []


# many


async def test_a_bulk_pins_each_secret_to_its_latest_version_and_says_who_asked() -> None:
    api = Api()
    api.vaults["kv"] = Listed("kv", [item("orders-db")])
    await api.bulk(names=["*"], force=True)
    assert [from_text(message) for message in api.sent] == [
        RotationRequest(REF, "orders-db-1", Reason.OPERATOR, "Ada", Force.YES, demanded=True, actor_id=ID)
    ]


async def test_a_bulk_asks_for_what_is_managed_and_enabled_and_for_nothing_else() -> None:
    api = Api()
    api.vaults["kv"] = Listed(
        "kv",
        [
            item("first"),
            item("unmanaged", team="x"),
            item("blank", rotator=" "),
            item("off", enabled=False),
            item("first--staged"),
            item("copy", rotator="postgres", follows="kv/first"),
            item("odd", rotator="postgres", follows="first"),  # its own run says what is wrong
            item("last"),
        ],
    )
    assert await api.asked_for(names=["*"]) == ["kv/first", "kv/odd", "kv/last"]


async def test_what_was_deleted_or_disabled_since_it_was_listed_is_left_out() -> None:
    api = Api()
    items = [item("gone"), item("off"), item("first")]
    api.vaults["kv"] = Listed("kv", items, {"gone": NotFound("x"), "off": Disabled("x")})
    assert await api.asked_for(names=["*"]) == ["kv/first"]
    api.vaults["kv"] = Listed("kv", items, {"off": Unreachable("x")})
    assert await api.bulk(names=["*"]) == (503, "unreachable", None)


@pytest.fixture
def two() -> Api:
    """Two vaults, two kinds."""
    api = Api()
    for name in api.vaults:
        api.vaults[name] = Listed(
            name, [item("Orders-db", name), item("orders-key", name, Rotator=" Storage-key "), item("web-db", name)]
        )
    return api


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        ({"names": "orders-*", "vaults": ["KV-B"]}, ["kv-b/Orders-db", "kv-b/orders-key"]),
        ({"names": ["ORDERS-DB", "web-*"], "vaults": "kv"}, ["kv/Orders-db", "kv/web-db"]),
        ({"vaults": ["kv"]}, ["kv/Orders-db", "kv/orders-key", "kv/web-db"]),
        ({"rotators": ["STORAGE-KEY"]}, ["kv/orders-key", "kv-b/orders-key"]),
        ({"names": ["*-db"], "rotators": ["postgres"], "vaults": ["kv"]}, ["kv/Orders-db", "kv/web-db"]),
        ({"names": ["web-db"], "rotators": ["storage-key"]}, []),
        ({"names": ["*"], "vaults": [], "rotators": []}, [f"{vault}/{name}" for vault in ("kv", "kv-b")
                                                         for name in ("Orders-db", "orders-key", "web-db")]),
    ],
)  # fmt: skip
async def test_each_term_of_a_filter_narrows_it_in_any_case_of_letters(
    two: Api, wish: dict[str, object], found: list[str]
) -> None:
    assert await two.asked_for(**wish) == found


@pytest.mark.parametrize("wish", [{"names": []}, {"names": [], "vaults": [], "rotators": []}, {"force": True}])
async def test_a_filter_that_names_nothing_rotates_nothing(two: Api, wish: dict[str, object]) -> None:
    assert await two.bulk(**wish) == (400, "malformed", "body")
    assert two.sent == []


@pytest.mark.parametrize("value", [7, None, {"a": 1}, ["a", 7], ["a", ""], [None]])
@pytest.mark.parametrize("key", ["vaults", "names", "rotators"])
async def test_a_filter_has_texts_or_lists_of_texts(two: Api, key: str, value: object) -> None:
    assert await two.bulk(**{"names": ["*"], key: value}) == (400, "malformed", key)
    assert two.sent == []


async def test_a_vault_that_is_none_of_ours_is_not_found_and_nothing_is_asked_for(two: Api) -> None:
    assert await two.bulk(names=["*"], vaults=["kv", "elsewhere"]) == (404, "not_found", "vaults")
    assert two.sent == []


async def test_versions_are_read_side_by_side_but_not_all_at_once() -> None:
    api = Api()
    vault = api.vaults["kv"] = Listed("kv", [item(f"s-{number}") for number in range(40)])
    assert len(await api.asked_for(names=["*"])) == 40
    assert 2 <= vault.most <= 16
