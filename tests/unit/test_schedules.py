"""Schedules are read as the timer trigger's own code reads them; tests/vectors has what that made of 190."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schedule import checked
from app.settings import DEFAULT_SCHEDULE, from_environment
from local.host.schedule import ScheduleError, schedule
from rotation.errors import Misconfigured
from tests.vectors.schedules import Judged, schedules

SCHEDULES = schedules()
JUDGED = {one.id: one for one in SCHEDULES.judged}
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)

# What the trigger takes and the app does not, by what the app says of it.
SURPRISES = {
    "backwards": {"052", "099", "100", "102", "103", "105", "127"},
    "is 0 or goes past": {"097", "109", "129", "130"},
    "part of one": {"044", "046", "047", "048", "051", "059", "060", "061", "062", "188"},
    "both fit": {"159", "201", "203", "204", "205", "206", "208", "209", "210", "221"},
    "never comes": {"214", "215"},
    "written as": {"111", "172", "259"},
    "six fields": {
        "026", "027", "028", "029", "031", "033", "035", "039",  # five fields: minutes first
        "229", "231", "232", "233", "234", "235", "237", "238", "240", "244", "245", "246", "249", "251",  # time spans
        "255",  # %SCHEDULE%
    },
}  # fmt: skip


def refusal(text: str) -> str | None:
    """What the app says of a schedule; None where it takes it."""
    try:
        assert checked(text) == text
    except Misconfigured as error:
        assert error.field == "ROTATION_SWEEP_SCHEDULE"
        assert error.message.startswith("ROTATION_SWEEP_SCHEDULE")
        assert "\n" not in error.message
        return error.message
    return None


def times(judged: Judged) -> Iterator[list[datetime]]:
    """The five times that the local host would run it at, after each moment."""
    read = schedule(judged.text, SCHEDULES.settings)
    for moment, _ in judged.next:
        found: list[datetime] = []
        after = read.after(moment)
        while after is not None and len(found) < 5:
            found.append(after)
            after = read.after(after)
        yield found


def test_all_of_them_are_here() -> None:
    assert len(JUDGED) == 190
    assert Counter(one.kind for one in JUDGED.values())[None] == 70


@pytest.mark.parametrize("name", JUDGED)
def test_the_local_host_takes_and_runs_what_the_timer_trigger_does(name: str) -> None:
    judged = JUDGED[name]
    if judged.kind is None:
        with pytest.raises(ScheduleError):
            schedule(judged.text, SCHEDULES.settings)
    else:
        assert list(times(judged)) == [list(expected) for _, expected in judged.next]


@pytest.mark.parametrize("name", JUDGED)
def test_what_the_app_takes_the_timer_trigger_takes_and_runs(name: str) -> None:
    judged = JUDGED[name]
    if refusal(judged.text) is None:
        assert judged.kind == "cron"
        assert all(expected for _, expected in judged.next)


def test_what_the_trigger_takes_and_reads_as_it_looks_the_app_takes() -> None:
    taken = {one.id for one in JUDGED.values() if one.kind is not None}
    refused = {one for one in taken if refusal(JUDGED[one].text) is not None}
    assert refused == {f"sched-{number}" for numbers in SURPRISES.values() for number in numbers}


@pytest.mark.parametrize(
    ("number", "reason"), [(number, reason) for reason, numbers in SURPRISES.items() for number in sorted(numbers)]
)
def test_what_the_trigger_reads_otherwise_than_it_looks_is_refused_with_the_reason(number: str, reason: str) -> None:
    assert reason in (refusal(JUDGED[f"sched-{number}"].text) or "taken")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 0 0 31 2 *", "never comes"),
        ("0 0 0 30 2 *", "never comes"),
        ("0 0 0 30-31 FEB *", "never comes"),
        ("0 0 0 29 2 *", None),
        ("0 0 0 31 2,3 *", None),
        ("0 0 0 1-31 * 1", None),  # every day of the month is no choice
        ("0 0 0 15 * 0-6", None),
        ("0 0 0 */1 * MON-FRI", None),
        ("0 0 0 */2 * */2", "both fit"),
        ("0 30/0 * * * *", "is 0 or goes past"),
        ("0 */90 * * * *", "is 0 or goes past"),
        ("0 0 */25 * * *", "is 0 or goes past"),
        ("0 */60 * * * *", None),
        ("0 0 3 * * 7", "days of the week are numbers from 0 to 6"),
        ("0 0 24 * * *", "hours are numbers from 0 to 23"),
        ("99 * * * * *", "seconds are numbers from 0 to 59"),
        ("0 0 0 * * SAT-SUN", "backwards"),
        ("0 0 0 * * 6-0", "backwards"),
        ("0 0 0 1 J *", "part of one"),
        ("0 0 0 * * Tues", "part of one"),
        ("0 0 0 * * J", "days of the week are numbers"),
        ("0 0 0 1 JANUARY-march *", None),
        ("0 ² * * * *", "minutes are numbers"),
        ("0 ٣ * * * *", "minutes are numbers"),
        ("0 0 0 1 \u017fep *", "months are numbers"),
        ("0 0 ? * * *", "hours are numbers"),
        ("0 0 1,,2 * * *", "hours are numbers"),
        ("0 0 %HOUR% * * *", "hours are numbers"),
        ("01:00:00", "six fields"),
        ("%SCHEDULE%", "six fields"),
        ("0 0 * * * *\n", "days of the week are numbers"),
        (" ", "six fields"),
        ("  0  0 * * * * ", None),
    ],
)
def test_members_of_the_same_kinds_that_the_list_has_not(text: str, reason: str | None) -> None:
    said = refusal(text)
    assert said is None if reason is None else reason in (said or "taken")
    if reason is None:
        assert schedule(text, {}).after(NOON) is not None


NUMBERS = st.integers(0, 99).map(str)
NAMES = st.sampled_from(["JAN", "march", "Sept", "SUN", "Friday", "M", "mo", ""])
VALUES = NUMBERS | NAMES
RANGES = st.builds("{}-{}".format, VALUES, VALUES)
PARTS = st.builds("{}{}".format, st.just("*") | VALUES | RANGES, st.just("") | NUMBERS.map("/{}".format))
WRITTEN = st.just("*") | st.lists(PARTS, min_size=1, max_size=3).map(",".join)


@given(st.lists(WRITTEN, min_size=6, max_size=6).map(" ".join))
def test_whatever_the_app_takes_runs(text: str) -> None:
    if refusal(text) is None:
        assert schedule(text, {}).after(NOON) is not None


@pytest.mark.parametrize("text", ["0 0 3 * * 7", "0 0 0 31 2 *", "0 0 22-2 * * *", "%SCHEDULE%", "01:00:00", " "])
def test_the_settings_are_refused_with_one_line(text: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        from_environment(settings(text), Path())
    assert refused.value.message == refusal(text)


def test_an_empty_setting_means_every_hour() -> None:
    assert from_environment(settings(""), Path()).sweep_schedule == DEFAULT_SCHEDULE == checked(DEFAULT_SCHEDULE)


def settings(text: str) -> dict[str, str]:
    given = {"ROTATION_VAULTS": "https://kv.vault.azure.net", "ROTATION_LEDGER": "file:.", "ROTATION_HTTP_AUTH": "key"}
    return {**given, "ROTATION_SWEEP_SCHEDULE": text}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1.2:3", 93_780),
        ("00:00:00.5", 0.5),
        ("1:2:3:4.25", 93_784.25),
        ("-1.00:00:01", -86_401),
        ("10675199.0:0", None),
    ],
)
def test_other_ways_of_writing_a_time_span(text: str, seconds: float | None) -> None:
    """Microsoft Learn, TimeSpan.Parse: `[ws][-]{ d | [d.]hh:mm[:ss[.ff]] }[ws]`."""
    after = schedule(text, {}).after(NOON)
    assert (after - NOON).total_seconds() == seconds if after is not None else seconds is None


@pytest.mark.parametrize(
    "text", ["24:00", "1.24:00", "1.5", "0:60", "1:2:3:4:5", "1h", "10675200", "00:00:00.12345678"]
)
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError):
        schedule(text, {})
