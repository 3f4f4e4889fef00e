"""`GET …/readers`: who reads a secret, as the caller is told."""

import json
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from app.settings import HttpAuth
from handlers.http import HttpRequest, HttpResponse, answered
from handlers.readers import read_readers
from rotation.errors import Refused, RotationError
from rotation.policy import Policy
from rotation.readers import Heard, NoReaders, Question, Reader
from tests.e2e.contract import Contract
from tests.world import NAME, REF, World

SHOP, ANN = "a0000000-0000-4000-8000-000000000001", "a0000000-0000-4000-8000-000000000002"
HOUR = timedelta(hours=1)
URL = "https://func.example/api/vaults/kv/secrets/orders-db/readers"


class Api:
    """The handler over a world in memory; the audit log says what a test lets it say."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.readers: Any = self
        self.asked: list[Question] = []
        self.error: RotationError | None = None
        self.found: tuple[Reader, ...] = ()
        self.log_until: datetime | None = None
        self.auth = HttpAuth.KEY
        self.policy = world.policy

    async def ask(self, question: Question) -> Heard:
        self.asked.append(question)
        if self.error is not None:
            raise self.error
        return Heard(self.found, self.world.now, question.since, self.log_until)

    async def get(self, name: str = NAME, vault: str = "KV", query: str = "", body: bytes = b"") -> HttpResponse:
        app = SimpleNamespace(
            settings=SimpleNamespace(http_auth=self.auth), vaults={"kv": self.world.vault}, policy=self.policy,
            ledger=self.world.ledger, readers=self.readers,
        )  # fmt: skip

        async def running() -> Any:
            return app

        lazy: Any = SimpleNamespace(app=running)
        length = {"content-length": str(len(body))} if body else {}
        request = HttpRequest(length, URL + query, body)
        answer = await answered(lambda: read_readers(lazy, request, vault, name))
        path = URL.removeprefix("https://func.example")
        headers = {"Content-Type": "application/json", **answer.headers}
        objection = Contract.of_file().objection("GET", path, answer.status, headers, json.dumps(answer.body))
        assert objection is None
        return answer


@pytest.fixture
async def api() -> Api:
    world = await World("overlapping").start()
    world.time.ahead(hours=5)
    await world.ask()
    world.time.ahead(hours=5)
    return Api(world)


def reader(who: str, new: datetime | None, old: datetime, **more: Any) -> Reader:
    told: dict[str, Any] = {"user": None, "resource": None, "addresses_old": 2, "addresses_new": int(new is not None)}
    return Reader(who, SHOP, last_old=old, last_new=new, **(told | more))


async def test_who_read_the_old_value_and_who_has_read_the_new_one_since_is_told(api: Api) -> None:
    old, latest = api.world.vault.all(NAME)
    at = latest.created_on
    api.found = (
        reader(SHOP, None, at - HOUR),
        reader(ANN, at + HOUR, at - 2 * HOUR, user="ann@example.org", resource="/subscriptions/s"),
    )
    api.log_until = api.world.now - timedelta(minutes=5)
    answer = await api.get()
    assert answer.status == 200
    shop = {
        "object_id": SHOP, "application_id": SHOP, "user": None, "resource": None, "holds_old": True,
        "last_old": (at - HOUR).isoformat(), "last_new": None, "addresses_old": 2, "addresses_new": 0,
    }  # fmt: skip
    ann = {
        "object_id": ANN, "application_id": SHOP, "user": "ann@example.org", "resource": "/subscriptions/s",
        "holds_old": False, "last_old": (at - 2 * HOUR).isoformat(), "last_new": (at + HOUR).isoformat(),
        "addresses_old": 2, "addresses_new": 1,
    }  # fmt: skip
    assert answer.body == {
        "vault": "kv", "secret": NAME, "version": latest.version, "published_at": at.isoformat(),
        "previous_version": old.version, "as_of": api.world.now.isoformat(), "log_from": old.created_on.isoformat(),
        "log_until": api.log_until.isoformat(), "log_lag_s": 300, "gap": None, "holding": 1, "readers": [shop, ann],
    }  # fmt: skip
    assert api.asked == [Question(REF, latest.version, at, old.created_on)]


async def test_what_a_log_holds_that_is_no_id_is_not_repeated_and_a_name_stays_one_line(api: Api) -> None:
    at = api.world.latest.created_on
    api.found = (reader("<script>", None, at - HOUR, user="ann\nERROR all is lost" + "x" * 300),)
    body: Any = (await api.get()).body
    [told] = body["readers"]
    assert told["object_id"] is None
    assert "\n" not in told["user"]
    assert len(told["user"]) <= 200


async def test_versions_whose_slot_was_retired_are_not_asked_about(api: Api) -> None:
    world = api.world
    world.time.ahead(hours=80)
    await world.ask("sweep")
    await world.ask("operator", demanded=True)
    await api.get()
    middle = world.vault.all(NAME)[-2]
    assert api.asked[-1].since == middle.created_on
    world.time.ahead(hours=1)
    await world.write(world.latest.value)  # by hand: the slot of the one before the last still waits
    await api.get()
    assert api.asked[-1].since == middle.created_on


async def test_of_a_role_that_is_changed_in_place_the_version_before_the_latest_counts() -> None:
    world = await World("in-place").start()
    for _ in range(2):
        world.time.ahead(hours=5)
        await world.ask("operator", demanded=True)
    api = Api(world)
    await api.get()
    assert len(world.vault.all(NAME)) == 3
    assert api.asked[-1].since == world.vault.all(NAME)[-2].created_on


async def test_a_secret_with_one_version_has_no_older_value(api: Api) -> None:
    await api.world.vault.set("pg", api.world.latest.value, tags={})
    body: Any = (await api.get("pg")).body
    assert body["previous_version"] is None
    assert api.asked[-1].since == api.asked[-1].published_at


async def test_a_log_without_a_line_says_so(api: Api) -> None:
    body: Any = (await api.get()).body
    assert (body["log_until"], body["log_lag_s"]) == (None, None)
    assert "no line about this vault" in body["gap"]


def problem(answer: HttpResponse) -> tuple[int, str, Any]:
    body: Any = answer.body
    return answer.status, body["type"].removeprefix("urn:keyturn:problem:"), body.get("field")


async def test_a_log_that_is_ahead_of_this_clock_lags_by_nothing(api: Api) -> None:
    for ahead_s in (0, 90):
        api.log_until = api.world.now + timedelta(seconds=ahead_s)
        assert json.loads(json.dumps((await api.get()).body))["log_lag_s"] == 0


async def test_without_a_workspace_the_answer_names_the_setting(api: Api) -> None:
    api.readers = NoReaders()
    assert problem(await api.get()) == (501, "no_audit_log", "ROTATION_AUDIT_WORKSPACE")


async def test_a_log_that_may_not_be_read_is_told_as_such(api: Api) -> None:
    api.error = Refused("the audit log may not be read: …")
    assert problem(await api.get()) == (502, "refused", None)


async def test_only_what_a_rule_covers_is_told_about(api: Api) -> None:
    api.policy = Policy()
    assert problem(await api.get())[:2] == (403, "denied")
    assert api.asked == []


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"query": "?since="}, (400, "malformed", "since")),
        ({"query": "?version=v1"}, (400, "malformed", "version")),
        ({"body": b"{}"}, (400, "malformed", "body")),
        ({"name": "a.b"}, (400, "malformed", "name")),
        ({"vault": "other"}, (404, "not_found", "vault")),
        ({"name": "nothing"}, (404, "not_found", "secret")),
    ],
)
async def test_a_call_that_asks_for_nothing_that_there_is_is_refused(
    api: Api, more: dict[str, Any], told: tuple[int, str, str]
) -> None:
    assert problem(await api.get(**more)) == told
    assert api.asked == []


async def test_a_caller_without_the_role_is_refused(api: Api) -> None:
    api.auth = HttpAuth.ENTRA
    assert problem(await api.get())[:2] == (403, "denied")
    assert api.asked == []
