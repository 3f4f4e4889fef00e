"""What the .NET program counts is read rightly; a program in its place shows that a lane without it is left out."""

import pytest

from rotation.formats import read
from tests.proof.consumers import dotnet
from tests.proof.consumers.dotnet import Counted, Met, ado, counted, rows

LINE = "dotnet: 1438 logins, 3 refused, 1 refused after reading again, 5 reads, longest outage {} ms\n"


def test_the_counts_of_its_last_line_are_read() -> None:
    assert counted("something else\n" + LINE.format(43)) == Counted(1438, 3, 1, 5, 43)


def test_a_program_that_came_to_no_count_is_an_error_with_its_words() -> None:
    with pytest.raises(ValueError, match="no count: Unhandled exception"):
        counted("Unhandled exception. System.UriFormatException")


@pytest.mark.parametrize(
    ("longest_ms", "broken", "holds"),
    [(43, (), True), (5_001, (), False), (43, ("rotation 2: failed: no",), False)],
)
def test_it_holds_when_each_rotation_succeeded_and_no_outage_lasted(
    longest_ms: int, broken: tuple[str, ...], *, holds: bool
) -> None:
    [row] = rows(Met(3 - len(broken), counted(LINE.format(longest_ms)), broken, 4.1))
    assert row.holds is holds
    assert f"3 of 1,438 logins refused, 1 more after reading again, 5 reads; longest outage {longest_ms} ms" in row.note


def test_its_secret_is_one_that_is_npgsqls_and_that_keyturn_reads() -> None:
    value = read(ado("localhost", 5433, "app", "Hq7-first-kVn"))
    assert (value.name, value.user) == ("ado", "app")


def test_without_the_program_the_lane_is_left_out_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dotnet, "at_hand", lambda *_names, **_options: None)
    monkeypatch.setattr("sys.argv", ["dotnet"])
    assert dotnet.main() == 0
    assert capsys.readouterr().out == "left out: dotnet-clients is not at hand: set DOTNET_CLIENTS to it\n"
