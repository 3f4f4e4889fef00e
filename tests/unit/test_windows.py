from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotation.policy import windows as windows_module
from rotation.policy.windows import parse_window

relaxed = settings(deadline=None, database=None, max_examples=60)


def berlin(day: int, hour: int, minute: int = 0, *, month: int = 6, fold: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)


def test_a_window_is_open_on_its_days_from_its_first_minute_to_before_its_last() -> None:
    window = parse_window("Sat,Sun 01:00-05:00 Europe/Berlin")
    saturday = 6  # of June 2026
    assert window.contains(berlin(saturday, 1))
    assert window.contains(berlin(saturday + 1, 4, 59))
    assert not window.contains(berlin(saturday, 0, 59))
    assert not window.contains(berlin(saturday, 5))
    assert not window.contains(berlin(saturday - 1, 2))
    assert not window.contains(berlin(saturday + 2, 2))


def test_the_zone_of_the_question_does_not_matter() -> None:
    window = parse_window("Sat 01:00-05:00 Europe/Berlin")
    assert window.contains(datetime(2026, 6, 5, 23, 30, tzinfo=UTC))
    assert not window.contains(datetime(2026, 6, 6, 3, 0, tzinfo=UTC))


def test_a_window_past_midnight_belongs_to_the_day_on_which_it_opens() -> None:
    window = parse_window("Sat 23:00-02:00 UTC")
    assert window.contains(datetime(2026, 6, 6, 23, 0, tzinfo=UTC))
    assert window.contains(datetime(2026, 6, 7, 1, 59, tzinfo=UTC))
    assert not window.contains(datetime(2026, 6, 7, 2, 0, tzinfo=UTC))
    assert not window.contains(datetime(2026, 6, 6, 1, 0, tzinfo=UTC))
    assert not window.contains(datetime(2026, 6, 7, 23, 0, tzinfo=UTC))


def test_a_window_past_sundays_midnight_goes_on_on_monday() -> None:
    window = parse_window("Sun 23:00-02:00 UTC")
    assert window.contains(datetime(2026, 6, 8, 1, 59, tzinfo=UTC))
    assert not window.contains(datetime(2026, 6, 8, 2, 0, tzinfo=UTC))
    assert not parse_window("Sat 23:00-02:00 UTC").contains(datetime(2026, 6, 8, 1, 59, tzinfo=UTC))


def test_without_days_a_window_opens_every_day() -> None:
    window = parse_window("22:00-04:00 utc")
    assert window.days == set(range(7))
    assert all(window.contains(datetime(2026, 6, day, 23, tzinfo=UTC)) for day in range(1, 8))


def test_a_whole_day_ends_at_24_00() -> None:
    window = parse_window("Sun 00:00-24:00 UTC")
    assert window.contains(datetime(2026, 6, 7, 0, 0, tzinfo=UTC))
    assert window.contains(datetime(2026, 6, 7, 23, 59, 59, tzinfo=UTC))
    assert not window.contains(datetime(2026, 6, 8, 0, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Mon-Fri", {0, 1, 2, 3, 4}),
        ("Fri-Mon", {4, 5, 6, 0}),
        ("mon,WED", {0, 2}),
        ("Mon,Sat-Sun", {0, 5, 6}),
        ("Tue-Tue", {1}),
    ],
)
def test_days_are_lists_and_ranges_that_may_go_round_the_weekend(text: str, days: set[int]) -> None:
    assert parse_window(f"{text} 01:00-02:00 UTC").days == days


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sat",
        "01:00-05:00",
        "Sat 01:00-05:00",
        "Sat 1:00-5:00 UTC",
        "Sat 01:00 - 05:00 UTC",
        "Saturday 01:00-05:00 UTC",
        "Sut 01:00-05:00 UTC",
        "Mon-Wed-Fri 01:00-05:00 UTC",
        "Sat, Sun 01:00-05:00 UTC",
        "Sat 25:00-05:00 UTC",
        "Sat 01:60-05:00 UTC",
        "Sat 01:00-24:01 UTC",
        "Sat 24:00-05:00 UTC",
        "Sat 05:00-05:00 UTC",
        "Sat 01:00-05:00 Europe",
        "Sat 01:00-05:00 Mars/Base",
        "Sat 01:00-05:00 /etc/passwd",
        "Sat 01:00-05:00 ../../etc/passwd",
        "Sat 01:00-05:00 /Europe/Berlin",
        "Sat 01:00-05:00 Europe//Berlin",
        "Sat 01:00-05:00 Europe/Berlin extra",
        "Sat \u0660\u0661:00-05:00 UTC",
    ],
)
def test_what_is_no_window_is_refused_with_a_line_that_helps(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|window") as raised:
        parse_window(text)
    assert "\n" not in str(raised.value)


def test_a_zone_is_a_file_of_zones_where_the_library_looks_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_module, "SYSTEM_ZONES", str(tmp_path))
    (tmp_path / "leapseconds").write_text("# no zone")
    (tmp_path / "Ours").write_bytes(b"TZif2")
    assert parse_window("01:00-05:00 Ours").zone_name == "Ours"
    for zone in ("leapseconds", "Theirs"):
        with pytest.raises(ValueError, match=f"there is no time zone {zone}"):
            parse_window(f"01:00-05:00 {zone}")
    monkeypatch.setenv("PYTHONTZPATH", "/elsewhere")
    with pytest.raises(ValueError, match="there is no time zone Ours"):
        parse_window("01:00-05:00 Ours")


# clocks that change: in Berlin on 29 March 2026 from 2 to 3 h, on 25 October 2026 from 3 back to 2 h


def test_an_hour_that_comes_twice_counts_twice() -> None:
    window = parse_window("Sun 02:00-02:30 Europe/Berlin")
    assert window.contains(berlin(25, 2, 15, month=10))
    assert window.contains(berlin(25, 2, 15, month=10, fold=1))
    assert not window.contains(berlin(25, 2, 45, month=10))
    between = berlin(25, 2, 45, month=10)
    assert window.next_open(between) == berlin(25, 2, 0, month=10, fold=1).astimezone(UTC)
    later = parse_window("Sun 02:15-02:30 Europe/Berlin")
    assert later.next_open(between) == berlin(25, 2, 15, month=10, fold=1).astimezone(UTC)


def test_when_the_clocks_jump_into_a_window_it_opens_at_that_moment() -> None:
    window = parse_window("Sun 02:30-04:00 Europe/Berlin")
    assert window.next_open(berlin(29, 1, month=3)) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_it_opens_at_that_moment_whenever_somebody_asks_before() -> None:
    window = parse_window("Sun 02:30-04:00 Europe/Berlin")
    asked = [berlin(28, hour, minute, month=3) for hour in (0, 12, 23) for minute in range(60)]
    assert {window.next_open(moment) for moment in asked} == {datetime(2026, 3, 29, 1, 0, tzinfo=UTC)}


def test_a_window_wholly_in_the_hour_left_out_does_not_open_that_night() -> None:
    window = parse_window("Sun 02:15-02:45 Europe/Berlin")
    opens = window.next_open(berlin(28, 12, month=3))
    assert opens == datetime(2026, 4, 5, 0, 15, tzinfo=UTC)
    # asked when the one of the week before has just closed
    assert window.next_open(berlin(22, 2, 45, month=3)) == opens


def test_the_last_minute_of_a_day_may_be_the_first_of_a_window() -> None:
    window = parse_window("23:59-04:00 UTC")
    assert window.next_open(datetime(2026, 6, 6, 4, 0, tzinfo=UTC)) == datetime(2026, 6, 6, 23, 59, tzinfo=UTC)


def test_a_window_opens_on_the_minute_whatever_the_second_at_which_somebody_asks() -> None:
    window = parse_window("Sat 01:00-05:00 Europe/Berlin")
    asked = berlin(6, 0, 30).replace(second=17, microsecond=123456)
    assert window.next_open(asked) == datetime(2026, 6, 5, 23, 0, tzinfo=UTC)


def test_an_open_window_is_open_now() -> None:
    window = parse_window("22:00-04:00 Europe/Berlin")
    moment = berlin(6, 23, 17)
    assert window.next_open(moment) == moment
    assert window.next_open(moment).tzinfo is UTC


ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # changes by half an hour
    "Asia/Kathmandu",  # 5 h 45 min ahead
    "Pacific/Apia",  # left out 30 December 2011
    "America/Sao_Paulo",  # changed its clocks at midnight until 2019
    "Africa/Casablanca",  # an hour back for Ramadan
)
CHANGES = (
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
    datetime(2018, 11, 4, 3, tzinfo=UTC),
    datetime(2026, 2, 15, 2, tzinfo=UTC),
)
minutes = st.integers(0, 24 * 60 - 1)
windows = st.builds(
    lambda days, opens, life, zone: (
        f"{','.join(sorted(days))} {opens // 60:02}:{opens % 60:02}-"
        f"{(opens + life) % 1440 // 60:02}:{(opens + life) % 60:02} {zone}"
    ),
    st.sets(st.sampled_from(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]), min_size=1),
    minutes | st.integers(0, 240),
    st.integers(1, 1439) | st.integers(1, 60),
    st.sampled_from(ZONES),
)
moments = st.builds(
    lambda change, seconds: change + timedelta(seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(-3 * 86400, 86400) | st.integers(-7200, 7200),
)


@relaxed
@given(windows, moments)
def test_the_next_opening_is_the_first_minute_that_is_open(text: str, moment: datetime) -> None:
    window = parse_window(text)
    opens = window.next_open(moment)
    assert opens >= moment
    assert window.contains(opens)
    if opens > moment:
        assert not window.contains(moment)
        assert not window.contains(opens - timedelta(seconds=1))
    at = moment
    while at < opens:
        assert not window.contains(at)
        at += timedelta(minutes=1)


@relaxed
@given(windows, moments)
def test_a_window_is_open_exactly_on_those_minutes_of_its_zones_calendar(text: str, moment: datetime) -> None:
    window = parse_window(text)
    local = moment.astimezone(window.zone).replace(tzinfo=None)
    spans = []
    for back in (0, 1):
        midnight = datetime(local.year, local.month, local.day) - timedelta(days=back)  # noqa: DTZ001  a wall clock
        if midnight.weekday() in window.days:
            closes = window.closes if window.closes > window.opens else window.closes + 1440
            spans.append((midnight + timedelta(minutes=window.opens), midnight + timedelta(minutes=closes)))
    assert window.contains(moment) is any(opens <= local < closes for opens, closes in spans)
