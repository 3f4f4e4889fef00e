"""A run of tests fails where a value was shown, in any form and at any place; it says where, and not the value."""

import logging
import sqlite3
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from local.vault.database import Database
from rotation.terms import SecretValue
from tests.canaries import Canaries
from tests.suite.nested import run

VALUE = "p/w+ü 8mJ2kQ!x7Lr"
FORMS = {
    "plain": VALUE,
    "base64": b64encode(b"of " + VALUE.encode() + b", and more").decode(),
    "URL-encoded": quote(VALUE, safe=""),
    "within a connection string": f"postgresql://u:{quote(VALUE, safe='')}@h/d",
}
PLAYED = """
import base64
import logging
import pytest
from rotation.terms import SecretValue

@pytest.mark.parametrize("number", range(6))
def test_that_passes(number, tmp_path):
    value = SecretValue(f"{number}: the canary")
    shown = base64.b64encode(value.reveal().encode()).decode()
    match PLANTED if number == 5 else "nothing":
        case "print":
            print(shown)
        case "log":
            logging.getLogger("azure").debug("sent %s", shown)
        case "file":
            (tmp_path / "ledger").mkdir()
            (tmp_path / "ledger" / "kv-demo").write_text(shown)
        case _:
            print(value, "and nothing else")
"""


def planting(place: str) -> str:
    return PLAYED.replace("PLANTED", repr(place))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "file", ["host.log", "kv/orders-db.jsonl", "x/ledger/kv/orders-db.lease", "stack/host/queue.db"]
)
def test_a_value_in_a_file_is_found_in_every_form(tmp_path: Path, form: str, file: str) -> None:
    canaries = Canaries()
    canaries.values[VALUE] = "the test that made it"
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("begins, ends")
    assert canaries.leaks(tmp_path) == []
    path.write_text(f"begins {FORMS[form]} ends")
    assert canaries.leaks(tmp_path) == [f"{file}: a value, made by the test that made it"]


def test_a_value_is_noted_with_the_test_that_made_it_first() -> None:
    canaries = Canaries()
    with canaries.noting():
        made = [SecretValue("made twice 5tGz") for _ in range(2)]
    SecretValue("no longer noted")
    me = "tests/suite/test_canaries.py::test_a_value_is_noted_with_the_test_that_made_it_first"
    assert canaries.values == {made[0].reveal(): me}


def test_a_value_is_found_in_log_records_of_any_level_and_in_their_tracebacks(tmp_path: Path) -> None:
    canaries, log, before = Canaries(), logging.getLogger("azure.core"), logging.getLogger().level
    canaries.values[VALUE] = "the test that made it"
    with canaries.listening():
        log.debug("sent %s", FORMS["base64"])
        logging.getLogger("asyncio").error("it failed", exc_info=ValueError(VALUE))
    log.debug("sent %s", FORMS["base64"])
    lines = [line.partition(", ")[2] for line in canaries.leaks(tmp_path)]
    assert lines == [f"logged by {name}: a value, made by the test that made it" for name in ("azure.core", "asyncio")]
    assert logging.getLogger().level == before


def test_what_a_local_vault_held_is_looked_for_too_and_may_stand_in_that_vault(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    database = Database(tmp_path / "host" / "vault")  # even below a folder where values may not stand
    database.close()
    vault = tmp_path / "host" / "vault" / "vault.db"
    with closing(sqlite3.connect(vault)) as connection, connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(versions)")]
        row = {column: "held by a vault 4hYw" if column == "value" else "1" for column in columns}
        connection.execute(f"INSERT INTO versions VALUES ({', '.join('?' * len(row))})", list(row.values()))  # noqa: S608
    canaries = Canaries()
    assert canaries.leaks(tmp_path) == []
    canaries.print("an answer", "held by a vault 4hYw")
    assert canaries.leaks(tmp_path) == [f"an answer: a value, made by {vault}"]


def test_what_says_nothing_of_where_it_comes_from_is_not_looked_for(tmp_path: Path) -> None:
    canaries = Canaries()
    canaries.values = dict.fromkeys(("0" * 64, "short", "abababababab"), "a test")
    canaries.print("a place", f"{'0' * 64} short abababababab")
    assert canaries.leaks(tmp_path) == []


@pytest.mark.parametrize("part", [slice(0, 300), slice(-300, None), slice(None)])
def test_a_value_of_the_longest_that_a_vault_takes_is_found_by_either_end(tmp_path: Path, part: slice) -> None:
    canaries, value = Canaries(), f"begins {'in the middle ' * 1800}ends"
    canaries.values[value] = "a test"
    canaries.print("a place", b64encode(value[part].encode()).decode())
    assert canaries.leaks(tmp_path) == ["a place: a value, made by a test"]


def test_an_access_token_is_found_whoever_made_it(tmp_path: Path) -> None:
    canaries = Canaries()
    canaries.print("a place", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJvaWQiOiJhbiBpZCJ9.signed")
    assert canaries.leaks(tmp_path) == ["a place: a token"]


@pytest.mark.thorough
@pytest.mark.parametrize("planted", ["print", "log", "file"])
def test_a_run_in_which_a_value_was_shown_fails_though_its_tests_passed(tmp_path: Path, planted: str) -> None:
    ended = run(tmp_path, planting(planted), *(("-n", "2") if planted == "print" else ()))
    assert (ended.returncode, "6 passed, 1 error" in ended.stdout) == (1, True), ended.stdout
    assert "made by played/test_played.py::test_that_passes[5]" in ended.stdout


def test_a_run_in_which_none_was_shown_passes(tmp_path: Path) -> None:
    ended = run(tmp_path, planting("nothing"), "-k", "passes")
    assert (ended.returncode, "6 passed" in ended.stdout) == (0, True), ended.stdout
