"""The lane itself: what a client's run comes to, and where the program for .NET is looked for."""

import os
import sys
from pathlib import Path

import pytest

from tests.foreign_clients import dotnet
from tests.foreign_clients.told import Told, counted


def printed(text: str) -> Told:
    return counted("client", (sys.executable, "-c", f"print({text!r})"), {}, 60)


def test_a_clients_own_count_and_what_it_says_of_failures_is_taken() -> None:
    told = printed("ok     set\nnot ok get -- 404\nclient: 2 operations, 1 failed")

    assert told == Told("client", 2, 1, ("not ok get -- 404",))
    assert not told.passed
    assert str(told) == "client: 2 operations, 1 failed"


def test_runs_of_one_client_are_added_up() -> None:
    assert str(printed("client: 2 operations, 0 failed") + printed("client: 3 operations, 0 failed")) == (
        "client: 5 operations, 0 failed"
    )


@pytest.mark.parametrize("text", ["", "client: 0 operations, 0 failed", "Traceback"])
def test_a_client_that_did_nothing_or_came_to_no_end_has_not_passed(text: str) -> None:
    assert not printed(text).passed


def test_the_program_for_net_is_the_one_that_is_named_then_one_on_path_then_one_beside_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, named, on_path = (tmp_path / folder / dotnet.NAME for folder in ("beside", "named", "bin"))
    for program in (beside, named, on_path):
        program.parent.mkdir()
        program.touch(0o755)
    monkeypatch.setattr(dotnet, "BESIDE", beside)

    for said in (named, named.parent):
        assert dotnet.found({"DOTNET_CLIENTS": str(said), "PATH": str(on_path.parent)}) == named
    with pytest.raises(LookupError, match="DOTNET_CLIENTS is"):
        dotnet.found({"DOTNET_CLIENTS": str(tmp_path / "nowhere"), "PATH": str(on_path.parent)})
    assert dotnet.found({"PATH": str(on_path.parent)}) == on_path
    assert dotnet.found({"PATH": os.devnull}) == beside
    beside.unlink()
    assert dotnet.found({"PATH": os.devnull}) is None


@pytest.mark.parametrize(
    ("environment", "excused"),
    [
        ({}, True),
        ({"CI": "true"}, True),
        ({"KEYTURN_WITH_ALL": "1"}, False),
        ({"KEYTURN_WITH_ALL": "1", "KEYTURN_WITHOUT": "real-host"}, False),
        ({"KEYTURN_WITH_ALL": "1", "KEYTURN_WITHOUT": "real-host,dotnet-clients"}, True),
    ],
)
def test_it_may_be_missing_where_not_all_is_asked_for_or_where_that_is_said(
    environment: dict[str, str], excused: bool
) -> None:
    assert dotnet.excused(environment) is excused
