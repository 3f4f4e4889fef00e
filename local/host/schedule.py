"""A timer trigger's schedule, read as the Functions host reads it: whatever that takes or refuses, so does this.

Sources: TimerSchedule.cs of Azure/azure-webjobs-sdk-extensions, CrontabField.cs and CrontabSchedule.cs of
atifaziz/NCrontab, and Microsoft Learn on `TimeSpan.Parse`. tests/vectors holds it to what those made of 190 schedules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import MAXYEAR, date, datetime, time, timedelta
from typing import Protocol

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
_MOST = 2**31 - 1  # numbers are .NET's Int32
_NUMBER = re.compile(r"[\t-\r ]*([+-]?[0-9]+)[\t-\r ]*\0*")  # as Int32.Parse takes them
_SPAN = re.compile(
    r"(?P<minus>-)?(?:(?P<d>\d+)|(?:(?P<days>\d+)[.:])??(?P<h>\d+):(?P<m>\d+)(?::(?P<s>\d+)(?:\.(?P<f>\d{1,7}))?)?)",
    re.ASCII,
)


class ScheduleError(ValueError):
    """The host would say that it can't be read, and never run the function."""


class Schedule(Protocol):
    """When a function runs."""

    def after(self, moment: datetime) -> datetime | None:
        """The next time, of the same time zone; None where there is none any more."""
        ...


def schedule(text: str, settings: Mapping[str, str]) -> Schedule:
    """Of a trigger. settings: for %NAME%.

    Raises:
        ScheduleError: the host refuses it.
    """
    text = re.sub(r"%([^%]*)%", lambda name: _setting(settings, name[1]), text)
    fields = [field for field in text.split(" ") if field]
    try:
        return Crontab(["0", *fields] if len(fields) == len(_RANGES) - 1 else fields)
    except ScheduleError:
        return Interval(text)


class Crontab:
    """Six fields, seconds first. A day counts where both its fields fit."""

    def __init__(self, fields: list[str]) -> None:
        if len(fields) != len(_RANGES):
            raise ScheduleError("it has not six fields")
        values = [_Field(*told).values(text) for told, text in zip(_RANGES, fields, strict=True)]
        self._seconds, self._minutes, self._hours, self._days, self._months, self._weekdays = values

    def after(self, moment: datetime) -> datetime | None:
        first = moment.replace(microsecond=0) + timedelta(seconds=1)
        for year in range(first.year, MAXYEAR + 1):
            for month in self._months:
                for day in self._days:
                    if (year, month, day) < (first.year, first.month, first.day) or not self._fits(year, month, day):
                        continue
                    today = (year, month, day) == (first.year, first.month, first.day)
                    at = self._time(first.time() if today else time())
                    if at is not None:
                        return datetime.combine(date(year, month, day), at, moment.tzinfo)
        return None

    def _fits(self, year: int, month: int, day: int) -> bool:
        try:
            return date(year, month, day).isoweekday() % 7 in self._weekdays
        except ValueError:  # no such day in this month
            return False

    def _time(self, least: time) -> time | None:
        """The first time of a day that is not before `least`."""
        found = (
            time(hour, minute, second)
            for hour in self._hours
            if hour >= least.hour
            for minute in self._minutes
            if (hour, minute) >= (least.hour, least.minute)
            for second in self._seconds
            if (hour, minute, second) >= (least.hour, least.minute, least.second)
        )
        return next(found, None)


class Interval:
    """A `TimeSpan`: so long after the last run, whatever the clock says."""

    def __init__(self, text: str) -> None:
        match = _SPAN.fullmatch(text.strip())
        if match is None:
            raise ScheduleError("it is neither a schedule nor a time span")
        days, hours, minutes, seconds = (
            int(one or 0) for one in (match["d"] or match["days"], *match.group("h", "m", "s"))
        )
        if hours > _LAST_HOUR and match["days"] is None and match["s"] is not None and match["f"] is None:
            days, hours, minutes, seconds = hours, minutes, seconds, 0  # 24:00:00 is 24 days
        if hours > _LAST_HOUR or minutes > _LAST_MINUTE or seconds > _LAST_MINUTE or days > _LONGEST_DAYS:
            raise ScheduleError("a part of the time span is too large")
        fraction = int((match["f"] or "").ljust(7, "0")) // 10
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=fraction)
        self._span = -span if match["minus"] else span

    def after(self, moment: datetime) -> datetime | None:
        try:
            return moment + self._span
        except OverflowError:
            return None


class _Field:
    """One of the six; names are of months or of days."""

    def __init__(self, least: int, most: int, names: list[str]) -> None:
        self._least = least
        self._most = most
        self._names = names

    def values(self, text: str) -> list[int]:
        """In order, each once."""
        if text.find(",") > 0:
            return sorted({value for part in text.split(",") for value in self.values(part)})
        step = 1
        stepped = text.find("/") > 0
        if stepped:
            text, _, every = text.partition("/")
            step = max(_integer(every), 1)  # a step of nothing is a step of one
        if text == "*":
            first, last = self._least, self._most
        elif text.find("-") > 0:
            start, _, end = text.partition("-")
            first, last = sorted((self._value(start), self._value(end)))  # backwards is taken for forwards
        else:
            first = self._value(text)
            last = self._most if stepped else first
        if first < self._least or last > self._most:
            raise ScheduleError("a value is outside its field")
        found = list(range(first, last + 1, step))
        if found[-1] - self._least + step > _MOST:
            raise ScheduleError("a step is too large")  # counted in an Int32, beginning with 0 for the least
        return found

    def _value(self, text: str) -> int:
        if text and "0" <= text[0] <= "9":
            return _integer(text)
        found = (number for number, name in enumerate(self._names) if text and name.startswith(text.lower()))
        number = next(found, None)
        if number is None:
            raise ScheduleError("a value is neither a number nor the beginning of a name")
        return number + self._least


def _integer(text: str) -> int:
    match = _NUMBER.fullmatch(text)
    if match is None or not -_MOST - 1 <= int(match[1]) <= _MOST:
        raise ScheduleError("a number can't be read")
    return int(match[1])


def _setting(settings: Mapping[str, str], name: str) -> str:
    if name not in settings:
        raise ScheduleError(f"there is no setting {name}")
    return settings[name]


_LAST_HOUR, _LAST_MINUTE = 23, 59
_LONGEST_DAYS = 10_675_199
_RANGES: tuple[tuple[int, int, list[str]], ...] = (
    (0, 59, []),
    (0, 59, []),
    (0, 23, []),
    (1, 31, []),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
