"""`GET …/secrets` and `GET …/secrets/{name}`: what operators read of a secret."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_mock import MockerFixture

from app.settings import HttpAuth
from handlers.http import HttpRequest, HttpResponse, answered
from handlers.reading import list_secrets, read_secret
from rotation.engine.followers import Followers
from rotation.errors import Unreachable
from rotation.ledger.records import Record, Step
from rotation.model import Result, SecretRef, SecretValue
from tests.e2e.contract import Contract
from tests.fakes import no_hook, value
from tests.following import BARE, ELSEWHERE, URL, FollowedWorld
from tests.unit.test_callers import header
from tests.world import NAME, REF, World

SITE = "https://func.example"
SECOND = timedelta(seconds=1)


class Api:
    """The handlers over a world in memory; their clock is the world's, and each answer is held against the document."""

    def __init__(self, world: World, mocker: MockerFixture) -> None:
        self.world = world
        self.auth, self.headers = HttpAuth.KEY, dict[str, str]()
        clock = mocker.patch("handlers.reading.datetime", wraps=datetime)
        clock.now.side_effect = lambda _zone: world.now

    async def list(self, vault: str = "KV") -> Any:
        return await self._get(f"/api/vaults/{vault}/secrets", lambda app, ask: list_secrets(app, ask, vault))

    async def read(self, name: str = NAME, vault: str = "KV") -> Any:
        path = f"/api/vaults/{vault}/secrets/{name}"
        return await self._get(path, lambda app, ask: read_secret(app, ask, vault, name))

    async def _get(self, path: str, call: Any) -> Any:
        world = self.world
        vaults: Mapping[str, Any] = {"kv": world.vault}
        parts = getattr(world, "parts", None)
        app: Any = SimpleNamespace(
            settings=SimpleNamespace(http_auth=self.auth), vaults=vaults, ledger=world.ledger, policy=world.policy,
            followers=None if parts is None else Followers(parts),
        )  # fmt: skip

        async def running() -> Any:
            return app

        lazy: Any = SimpleNamespace(app=running)
        answer: HttpResponse = await answered(lambda: call(lazy, HttpRequest(self.headers, SITE + path)))
        body: Any = json.loads(json.dumps(answer.body))
        headers = {"Content-Type": "application/json", **answer.headers}
        objection = Contract.of_file().objection("GET", path, answer.status, headers, json.dumps(body))
        assert objection is None
        return body if answer.status == 200 else (answer.status, body["type"].rpartition(":")[2], body.get("field"))


@pytest.fixture
async def api(mocker: MockerFixture) -> Api:
    return Api(await World("overlapping").start(), mocker)


async def state_of(api: Api) -> str:
    """As one answer and the other have it, which must be the same."""
    listed = {one["secret"]: one["state"] for one in (await api.list())["secrets"]}
    read: str = (await api.read())["state"]
    assert listed.get(NAME, read) == read
    return read


# one secret


async def test_a_secret_that_was_rotated_is_told_with_its_version_slot_end_and_history(api: Api) -> None:
    world = api.world
    await world.ask()
    latest, records = world.latest, world.ledger.records(REF)
    rotated = json.loads(records[-1].to_line())
    assert records[-1].step is Step.ROTATED
    assert await api.read() == {
        "vault": "kv", "secret": NAME, "rotator": "overlapping", "state": "current", "version": latest.version,
        "slot": latest.tags["slot"], "expires_on": latest.expires_on.isoformat() if latest.expires_on else "",
        "last": rotated, "history": [json.loads(one.to_line()) for one in records],
    }  # fmt: skip


async def test_the_slot_is_that_of_the_latest_version_and_none_where_somebody_else_wrote_it(api: Api) -> None:
    world = api.world
    await world.ask()
    ours = world.latest.tags["slot"]
    await world.write(value("k9", "byhand-rT5w"))
    assert (await api.read())["slot"] is None
    [listed] = (await api.list())["secrets"]
    assert listed["slot"] == ours, "a listing names no version: the newest one that the history knows counts"


async def test_of_what_nothing_was_done_to_there_is_no_last_and_no_slot(api: Api) -> None:
    body = await api.read()
    assert (body["last"], body["slot"], body["history"]) == (None, None, [])


async def test_a_disabled_secret_is_told_with_its_history_alone(api: Api) -> None:
    world = api.world
    await world.ask()
    await world.vault.set_enabled(NAME, world.latest.version, enabled=False)
    assert await api.read() == {
        "vault": "kv", "secret": NAME, "state": "disabled",
        "history": [json.loads(one.to_line()) for one in world.ledger.records(REF)],
    }  # fmt: skip
    assert (await api.list())["secrets"][0]["state"] == "disabled"


# all of a vault


async def test_a_listing_has_what_is_managed_and_neither_staged_values_nor_what_nobody_asked_for(api: Api) -> None:
    world = api.world
    await world.vault.set(f"{NAME}--Staged", SecretValue("aM4-staged"), tags=world.tags)
    await world.vault.set("second", SecretValue("aM4-second"), tags={" Rotator ": " postgres "})
    await world.vault.set("blank", SecretValue("aM4-blank"), tags={"rotator": " ", "team": "x"})
    body = await api.list()
    assert body["vault"] == "kv"
    assert {one["secret"]: one["rotator"] for one in body["secrets"]} == {NAME: "overlapping", "second": "postgres"}
    expires_on = world.latest.expires_on
    assert expires_on is not None
    assert body["secrets"][0] == {
        "vault": "kv", "secret": NAME, "rotator": "overlapping", "state": "due", "expires_on": expires_on.isoformat(),
        "slot": None, "last": None,
    }  # fmt: skip


async def test_histories_are_read_side_by_side_but_not_all_at_once(api: Api, mocker: MockerFixture) -> None:
    most, now = 0, 0

    async def read(_ref: SecretRef) -> tuple[Record, ...]:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return ()

    for number in range(40):
        await api.world.vault.set(f"s-{number}", SecretValue("aM4-many"), tags=api.world.tags)
    mocker.patch.object(api.world.ledger, "read", read)
    assert len((await api.list())["secrets"]) == 41
    assert 2 <= most <= 16


# states


async def test_a_secret_is_due_from_the_moment_at_which_a_run_would_rotate_it(api: Api) -> None:
    world = api.world
    await world.ask()
    assert world.latest.expires_on is not None
    due = world.latest.expires_on - timedelta(days=30)
    world.time.moment = due - SECOND
    assert await state_of(api) == "current"
    assert (await world.ask()).result is Result.NOT_DUE
    world.time.moment = due
    assert await state_of(api) == "due"


async def test_a_secret_is_expired_from_the_very_moment(api: Api) -> None:
    world = api.world
    assert world.latest.expires_on is not None
    world.time.moment = world.latest.expires_on - SECOND
    assert await state_of(api) == "due"
    world.time.ahead(seconds=1)
    assert await state_of(api) == "expired"


async def test_a_secret_without_an_end_is_due_by_when_it_was_written_whatever_was_changed_since(api: Api) -> None:
    world = api.world
    world.time.ahead(seconds=2)
    written = await world.vault.set(NAME, world.latest.value, tags=world.tags)
    world.time.moment = written.created_on + timedelta(days=60)
    await world.vault.set_tags(NAME, written.version, {**world.tags, "team": "y"})
    body = await api.read()
    assert body["expires_on"] is None
    assert (await api.list())["secrets"][0]["expires_on"] is None
    assert await state_of(api) == "due"
    world.time.moment = written.created_on + timedelta(days=60) - SECOND
    assert await state_of(api) == "current"


async def test_a_secret_whose_tags_say_nothing_that_is_understood_is_unusable(api: Api) -> None:
    world = api.world
    await world.write(world.latest.value, {**world.tags, "lead-days": "soon"})
    assert await state_of(api) == "unusable"
    await world.write(world.latest.value, {"rotator": "overlapping", "follows": "no/such/name"})
    assert await state_of(api) == "unusable"


async def test_a_rotation_that_was_cut_off_is_told_before_anything_else(api: Api) -> None:
    world = api.world

    async def cut(when: str, call: str, _name: str) -> None:
        if (when, call) == ("after", "change"):
            raise Unreachable("cut")

    world.server.hook = cut
    with pytest.raises(Unreachable):
        await world.ask()
    world.server.hook = no_hook
    assert await state_of(api) == "interrupted"
    world.time.ahead(days=100)
    assert await state_of(api) == "interrupted", "it is finished, ended or not"


async def test_a_person_who_takes_the_tag_off_means_it_and_one_who_writes_without_it_has_lost_it(api: Api) -> None:
    world = api.world
    await world.vault.set("loose", SecretValue("aM4-loose"), tags={})
    assert (await api.read("loose"))["state"] == "unmanaged"
    await world.ask()
    tags = {name: text for name, text in world.latest.tags.items() if name != "rotator"}
    await world.vault.set_tags(NAME, world.latest.version, tags)
    assert (await api.read())["state"] == "unmanaged"
    await world.write(world.latest.value, tags={})
    assert (await api.read())["state"] == "tags_lost"
    assert (await api.read())["rotator"] is None


async def test_a_secret_that_follows_another_is_a_follower_though_its_history_had_tags(api: Api) -> None:
    world = api.world
    await world.ask()
    await world.write(world.latest.value, tags={"rotator": "overlapping", "follows": "kv/other"})
    assert await state_of(api) == "follower"


# followers


@pytest.fixture
async def followed(mocker: MockerFixture) -> Api:
    return Api(await FollowedWorld().start(), mocker)


async def test_a_leader_is_told_with_each_follower_and_whether_it_has_the_latest_login(followed: Api) -> None:
    world = followed.world
    assert isinstance(world, FollowedWorld)
    await world.rotate()
    await world.put(URL, world.in_form(URL, "app", "old-zQ8k"))
    body = await followed.read()
    found = {f"{one['vault']}/{one['secret']}": one["past"] for one in body["followers"]}
    assert found == {str(URL): False, str(ELSEWHERE): True, str(BARE): True}
    assert set(body["followers"][0]) == {"vault", "secret", "past", "detail"}
    assert body["version"] == world.latest.version


async def test_a_follower_names_its_leader_where_the_policy_lets_it_follow(followed: Api) -> None:
    world = followed.world
    body = await followed.read(URL.name)
    assert (body["state"], body["follows"]) == ("follower", "kv/orders-db")
    assert "followers" not in body
    await world.vault.set("stranger", world.latest.value, tags={"follows": "kv/orders-db"})
    assert "follows" not in await followed.read("stranger")


async def test_who_leads_nobody_is_told_without_followers(api: Api) -> None:
    body = await api.read()
    assert not {"follows", "followers", "followers_unknown"} & body.keys()


async def test_followers_that_cannot_be_looked_at_leave_the_rest_of_the_answer(followed: Api) -> None:
    """Beside a version that somebody else wrote, the app reads its own: what followers should have."""
    world = followed.world
    assert isinstance(world, FollowedWorld)
    await world.rotate()
    await world.write(value("app", "byhand-rT5w"))
    read = 0

    async def once(when: str, call: str, name: str) -> None:
        nonlocal read
        read += (when, call, name) == ("before", "get", NAME)
        if read == 2:
            raise Unreachable("the vault does not answer")

    world.vault.hook = once
    body = await followed.read()
    assert (body["followers"], body["followers_unknown"]) == (None, "the vault does not answer")
    assert (body["version"], body["state"]) == (world.latest.version, "due")


# who may ask, and for what


async def test_a_reader_may_read_and_nobody_without_a_role(api: Api) -> None:
    api.auth = HttpAuth.ENTRA
    for call in (api.list, api.read):
        assert await call() == (403, "denied", None)
    api.headers = header(("roles", "Rotation.Reader"))
    for call in (api.list, api.read):
        assert isinstance(await call(), dict)


async def test_what_is_not_there_is_not_found(api: Api) -> None:
    assert await api.list("elsewhere") == (404, "not_found", "vault")
    assert await api.read(vault="elsewhere") == (404, "not_found", "vault")
    assert await api.read("nothing") == (404, "not_found", "secret")
    assert await api.read("a.b") == (400, "malformed", "name")


async def test_the_vaults_own_capitals_do_not_matter(api: Api) -> None:
    await api.world.ask()
    assert await api.read(vault="kV") == await api.read(vault="kv")
    assert (await api.read())["last"]["step"] == "rotated"
