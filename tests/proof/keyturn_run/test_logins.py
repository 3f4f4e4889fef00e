"""The judge of the programs' logins is tried itself."""

from pathlib import Path

import pytest

from tests.proof.keyturn_run.logins import Login, outages_s, read


def logins(text: str) -> list[Login]:
    """`+` was let in, `-` was refused; a second apart."""
    return [Login(float(at), "a", mark == "+") for at, mark in enumerate(text)]


@pytest.mark.parametrize(
    ("text", "found"), [("+++", []), ("+-+", [2.0]), ("+--++-+", [3.0, 2.0]), ("++--", [2.0]), ("-+", [1.0]), ("", [])]
)
def test_an_outage_is_from_the_last_login_to_the_next(text: str, found: list[float]) -> None:
    assert outages_s(logins(text)) == found


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    assert read(report) == []
    report.write_text('{"at": 1.0, "user": "a", "let_in": true}\n{"at": 2.0, "us')
    assert read(report) == [Login(1.0, "a", let_in=True)]
