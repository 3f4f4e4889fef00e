"""Each way of pointing the app's identity elsewhere, over every rotator; and who called, in the history."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from app.settings import HttpAuth
from app.shutdown import Shutdown
from handlers import on_demand
from handlers.http import HttpRequest
from rotation.rotators import ROTATORS
from tests.proof.deputies.__main__ import rows, tried
from tests.proof.deputies.seen import Seen
from tests.proof.deputies.vaults import principal
from tests.world import NAME, World


@pytest.fixture(scope="module")
def seen() -> list[Seen]:
    return tried()


@pytest.mark.parametrize("kind", ["denied", "vault", "planted", "control"])
def test_the_identity_is_led_nowhere_else(seen: list[Seen], kind: str) -> None:
    trials = [one for one in seen if one.kind == kind]
    assert [one for one in trials if one.broken] == []
    assert len(trials) >= {"denied": 5000, "vault": 150, "planted": 100, "control": 30}[kind]


def test_every_rotator_that_connects_is_tried_and_its_connections_are_seen(seen: list[Seen]) -> None:
    connects = {name for name, kind in ROTATORS.items() if kind.targets}
    assert connects <= {one.rotator for one in seen if one.kind == "denied"}
    controls = {one.rotator: one for one in seen if one.kind == "control" and one.rotator}
    assert set(controls) == set(ROTATORS)
    assert all(controls[name].permitted and controls[name].python for name in connects)
    assert not any(controls[name].permitted for name in set(ROTATORS) - connects)


def test_the_older_values_were_really_tried_and_refused_by_the_one_server(seen: list[Seen]) -> None:
    led = [one for one in seen if one.kind == "planted" and one.rotator.startswith("postgres")]
    assert led
    assert all(one.permitted for one in led)


@pytest.mark.parametrize("walls", [["policy"], ["policy", "rotator"]])
@pytest.mark.thorough
def test_without_the_policy_older_values_are_tried_elsewhere_and_that_is_noticed(walls: list[str]) -> None:
    [led] = tried("--without", *walls)
    assert led.broken
    assert led.canaries


@pytest.mark.thorough
def test_the_policy_keeps_older_values_from_being_tried_elsewhere_by_itself() -> None:
    trials = tried("--without", "rotator")
    assert len(trials) >= 40
    assert [one for one in trials if one.broken] == []


@pytest.mark.parametrize(
    "one",
    [
        Seen("denied", "postgres", "x", "rotated", 0, [], 0, 0),
        Seen("denied", "postgres", "x", "denied", 0, ["socket.connect"], 0, 0),
        Seen("denied", "postgres", "x", "denied", 1, [], 0, 0),
        Seen("denied", "postgres", "x", "denied", 0, [], 1, 0),
        Seen("denied", "postgres", "x", "denied", 0, [], 0, 1),
        Seen("planted", "postgres", "x", "rejected", 0, [], 9, 1),
        Seen("planted", "postgres", "x", "rejected", 0, ["socket.getaddrinfo ('evil.example', 1)"], 9, 0),
        Seen("control", "postgres", "x", "rejected", 0, [], 0, 0),
    ],
)
def test_what_was_led_elsewhere_counts_as_broken(one: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    assert one.broken
    assert [row.broken for row in rows([one])].count(1) == 1
    assert "postgres" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("named", "actor"),
    [(("preferred_username", "ada@example.com"), "ada@example.com"), (("appid", "4-5-6"), "4-5-6")],
)
async def test_the_caller_stands_in_the_history(named: tuple[str, str], actor: str) -> None:
    world = await World().start()
    headers = principal(("roles", "Rotation.Operator"), named)
    app = SimpleNamespace(
        settings=SimpleNamespace(http_auth=HttpAuth.ENTRA),
        vaults={"kv": world.vault},
        engine=world.engine,
        notifier=SimpleNamespace(tell=nothing),
        shutdown=Shutdown(),
    )
    running: Any = SimpleNamespace(app=lambda: nothing(app))
    answer = await on_demand.rotate_now(running, HttpRequest(headers), "kv", NAME)
    assert answer.status == 200
    records = await world.ledger.read(world.latest.ref)
    assert {json.loads(record.to_line())["actor"] for record in records} == {actor}


async def nothing(given: object) -> object:
    return given
